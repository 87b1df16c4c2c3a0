//! HTTP/2 connections to upstreams. They are driven with `h2` itself: hyper's client shows no interim
//! response, and takes a response for whole whose stream is reset with `NO_ERROR`.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use rustls::ClientConfig;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    connect::{Unconnected, connect},
    keep_alive::KeepAlive,
    target::Target,
    traffic::{READ_BYTES, Traffic},
    upstream_stream::UpstreamStream,
};

/// How often an upstream with requests under way is pinged that sends nothing.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// How much of one response an upstream may send ahead, and so what a client that does not
/// read costs. A gateway is near its upstreams: over a path of 1 ms that is 128 MiB each second.
const STREAM_WINDOW: u32 = 128 * 1024;

/// And of all together: as much as there can be, so that responses that are not read leave the
/// others their whole windows.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// The most that one request may have waiting in `h2`.
const SEND_BUFFER: usize = 128 * 1024;

/// How many requests may be sent before the upstream says how many it takes.
const FIRST_STREAMS: usize = 100;

/// An HTTP/2 connection, which any number of requests share.
#[derive(Debug, Clone)]
pub(crate) struct Http2 {
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Tells it from the others to its address.
    pub(crate) number: u64,
    /// Goes last, so that its task finds the others gone.
    held: Arc<Held>,
}

/// What the task of a connection notices to be dropped.
#[derive(Debug)]
struct Held {
    /// Each request under way holds this too.
    uses: Arc<()>,
    task: oneshot::Sender<Infallible>,
}

impl Http2 {
    /// Whether the connection has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.held.task.is_closed()
    }

    /// To be held as long as a request is under way.
    pub(crate) fn begin_use(&self) -> Arc<()> {
        Arc::clone(&self.held.uses)
    }

    /// Whether a request is under way.
    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.held.uses) > 1
    }
}

pub(crate) async fn open_http2(
    target: &Target,
    address: SocketAddr,
    number: u64,
) -> Result<Http2, Unconnected> {
    let tls = target.tls_now();
    let stream = connect(target, address, tls.as_ref()).await?;
    let traffic = Arc::clone(stream.traffic());
    let limit = target.options.limits.connect_timeout;
    let list = u32::try_from(READ_BYTES).unwrap_or(u32::MAX);
    let handshake = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(FIRST_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(list)
        .max_send_buffer_size(SEND_BUFFER)
        // What still comes for responses that were given up counts as the upstream's errors, of which
        // `h2` takes 1,024: with enough of them, one client could end the requests of all others.
        .max_local_error_reset_streams(None)
        .handshake(stream);
    let handshake = timeout(limit, handshake).await;
    let (sender, connection) = handshake.map_err(|_| Unconnected::TimedOut(limit))??;
    let (task, released) = oneshot::channel();
    let uses = Arc::default();
    let used = Arc::downgrade(&uses);
    tokio::spawn(drive(connection, released, used, traffic));
    Ok(Http2 {
        sender,
        tls,
        number,
        held: Arc::new(Held { uses, task }),
    })
}

/// Drives a connection to its end: until it breaks, its upstream is silent, or nobody holds it and
/// nothing is under way.
async fn drive(
    mut connection: Connection<UpstreamStream, Bytes>,
    released: oneshot::Receiver<Infallible>,
    uses: Weak<()>,
    traffic: Arc<Traffic>,
) {
    let mut alive = KeepAlive::new(connection.ping_pong(), PING_INTERVAL);
    let mut released = Some(released);
    // An idle one is not pinged: some upstreams close it for that.
    let is_silent = || !traffic.take_received() && uses.strong_count() > 1;
    poll_fn(|context: &mut Context<'_>| {
        if alive.is_dead(is_silent, context) {
            return Poll::Ready(());
        }
        // `h2` closes a connection in order that nobody holds, once it is polled.
        if let Some(waits) = &mut released
            && Pin::new(waits).poll(context).is_ready()
        {
            released = None;
        }
        Pin::new(&mut connection).poll(context).map(drop)
    })
    .await;
}
