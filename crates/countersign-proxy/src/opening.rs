//! The HTTP/2 connection that requests share, while it is opened and afterwards.

use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::{
    connect::{Http2, Unconnected},
    exchange::Exchange,
};

type Opened<E> = BoxFuture<'static, Result<Http2<E>, Unconnected>>;

/// A connection that is being opened, for all who wait for it. When none is left, the attempt ends.
pub(crate) type Opening<E> = Shared<Opened<E>>;

/// What is known of the connection that requests share.
#[derive(Debug)]
pub(crate) struct Slot<E: Exchange> {
    open: Option<Http2<E>>,
    opening: Option<WeakShared<Opened<E>>>,
}

impl<E: Exchange> Default for Slot<E> {
    fn default() -> Self {
        Self {
            open: None,
            opening: None,
        }
    }
}

impl<E: Exchange> Slot<E> {
    pub(crate) const fn open(&self) -> Option<&Http2<E>> {
        self.open.as_ref()
    }

    /// The attempt that is under way, if anybody still waits for it.
    pub(crate) fn opening(&self) -> Option<Opening<E>> {
        self.opening.as_ref()?.upgrade()
    }

    pub(crate) fn begin(&mut self, opening: &Opening<E>) {
        self.opening = opening.downgrade();
    }

    /// Gives the connection no further request.
    pub(crate) fn retire(&mut self) {
        self.open = None;
    }

    /// Ends an attempt.
    pub(crate) fn end(&mut self, opened: Option<&Http2<E>>) {
        self.open = opened.cloned();
        self.opening = None;
    }
}
