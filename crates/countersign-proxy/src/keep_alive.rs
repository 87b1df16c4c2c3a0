//! Finding out that the peer of an HTTP/2 connection is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// How long the answer to a ping may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(20);

/// Pings a peer that is silent.
pub(crate) struct KeepAlive {
    pings: Option<PingPong>,
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    awaits_pong: bool,
}

impl KeepAlive {
    pub(crate) fn new(pings: Option<PingPong>, interval: Duration) -> Self {
        Self {
            pings,
            interval,
            timer: Box::pin(sleep(interval)),
            awaits_pong: false,
        }
    }

    /// Whether the peer has not answered a ping, nor sent anything else. `is_silent` tells whether
    /// nothing came that should since it was asked last.
    pub(crate) fn is_dead(
        &mut self,
        is_silent: impl Fn() -> bool,
        context: &mut Context<'_>,
    ) -> bool {
        let Some(pings) = &mut self.pings else {
            return false;
        };
        if self.awaits_pong && pings.poll_pong(context).is_ready() {
            self.awaits_pong = false;
        }
        while let Poll::Ready(()) = self.timer.as_mut().poll(context) {
            let next = match (is_silent(), self.awaits_pong) {
                (true, true) => return true,
                (true, false) => {
                    // It fails where a ping is under way, or the connection ends anyway.
                    let _ = pings.send_ping(Ping::opaque());
                    self.awaits_pong = true;
                    PONG_TIMEOUT
                }
                (false, _) => self.interval,
            };
            self.timer.as_mut().reset(Instant::now() + next);
        }
        false
    }
}
