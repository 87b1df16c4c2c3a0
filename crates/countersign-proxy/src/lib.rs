//! Carries HTTP requests to an upstream and the responses back, faithfully: request targets,
//! hop-by-hop headers, bodies, upgrades, upstream connections, limits. It knows nothing of trust,
//! keys or identity: who may send a request, and which headers are its caller's alone to set, is
//! decided by whoever hands the request over (see [`Exchange`]).

mod backlog;
mod bare_refusal;
mod client_body;
mod client_state;
mod client_stream;
mod connect;
mod connections;
mod deadline;
mod discard;
mod error;
mod exchange;
mod forward;
mod frame_budget;
mod headers;
mod health;
mod http1_connection;
mod http2_connection;
mod http2_io;
mod http2_request;
mod http2_response;
mod http2_upstream;
mod http_tunnel;
mod interim;
mod interim_heads;
mod keep_alive;
mod last_use;
mod opening;
mod over_socket;
mod progress;
mod repeat;
mod request_body;
mod request_heads;
mod request_path;
mod request_target;
mod response_body;
mod sending;
mod stall;
mod stream_body;
mod target;
mod traffic;
mod trailers;
mod upgrade;
mod upstream;
mod upstream_stream;
mod waiting;

pub use bare_refusal::RefuseHead;
pub use client_body::ClientBody;
pub use client_state::ClientState;
pub use client_stream::ClientStream;
pub use discard::leave_body;
pub use error::{BodyError, Broken, Fault, ForwardError, TargetError};
pub use exchange::{Cut, CutSignal, Exchange};
pub use forward::{AwaitedResponse, Forwarded, Forwarder};
pub use http_tunnel::{HttpTunnel, Tunnelled};
pub use http1_connection::Http1Connection;
pub use http2_connection::{Flood, Http2Connection, Http2Limits, ServeHttp2};
pub use over_socket::OverSocket;
pub use progress::Progress;
pub use request_body::RequestBody;
pub use request_path::{EscapedSlashes, PathRules, settle_path, without_parameters};
pub use request_target::{MalformedRequest, check_host, check_shape, host_of};
pub use response_body::{ResponseBody, UpstreamBody};
pub use target::{Limits, Target, TargetOptions, UpstreamCounters, UpstreamTls};
