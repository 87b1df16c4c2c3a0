//! Discarding what is left of a request that was answered early. A client often reads nothing
//! before it has sent everything; and a connection or stream that is reset under its upload loses
//! the response with it (RFC 9112 section 9.6, RFC 9113 section 8.1).

use std::time::Duration;

use http::Version;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{client_body::ClientBody, client_state::ClientState};

/// The most bytes that are discarded after a response.
pub(crate) const MAX_BYTES: u64 = 128 * 1024 * 1024;

/// The longest that bytes are discarded; nginx's `lingering_time`.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(30);

/// How long to wait for more of them; nginx's `lingering_timeout`.
pub(crate) const MAX_SILENCE: Duration = Duration::from_secs(5);

/// Leaves a request's body unread, in such a way that the client gets its response: an HTTP/1.1
/// connection will linger when it is closed, an HTTP/2 stream lives a little longer. Nothing is
/// polled before the response, so a client that expects a 100 gets none.
pub fn leave_body(body: ClientBody, version: Version, client: &ClientState) {
    if body.is_end_stream() {
        return;
    }
    if version != Version::HTTP_2 {
        client.leave_body();
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(discard(body.without_continue()));
    }
}

async fn discard(mut body: ClientBody) {
    let end = Instant::now() + MAX_TIME;
    let mut left = MAX_BYTES;
    loop {
        let next = end.min(Instant::now() + MAX_SILENCE);
        let Ok(Some(Ok(frame))) = timeout_at(next, body.frame()).await else {
            return;
        };
        let count = frame.data_ref().map_or(0, bytes::Bytes::len);
        left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        if left == 0 {
            return;
        }
    }
}
