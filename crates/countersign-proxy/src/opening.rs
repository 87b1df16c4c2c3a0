//! The HTTP/2 connection that requests share, while it is opened and afterwards.

use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::{connect::Unconnected, http2_upstream::Http2};

type Opened = BoxFuture<'static, Result<Http2, Unconnected>>;

/// A connection that is being opened, for all who wait for it. When none is left, the attempt ends.
pub(crate) type Opening = Shared<Opened>;

/// What is known of the connection that requests share.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    open: Option<Http2>,
    opening: Option<WeakShared<Opened>>,
}

impl Slot {
    pub(crate) const fn open(&self) -> Option<&Http2> {
        self.open.as_ref()
    }

    /// The attempt that is under way, if anybody still waits for it.
    pub(crate) fn opening(&self) -> Option<Opening> {
        self.opening.as_ref()?.upgrade()
    }

    pub(crate) fn begin(&mut self, opening: &Opening) {
        self.opening = opening.downgrade();
    }

    /// Gives the connection no further request.
    pub(crate) fn retire(&mut self) {
        self.open = None;
    }

    /// Ends an attempt.
    pub(crate) fn end(&mut self, opened: Option<&Http2>) {
        self.open = opened.cloned();
        self.opening = None;
    }
}
