//! How long nothing may move.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Ends what has been pending for too long. It costs nothing until something is pending.
#[derive(Debug)]
pub(crate) struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the timer is of the present wait, and not of an earlier one.
    waiting: bool,
}

/// Nothing moved for as long as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stalled;

impl Stall {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            waiting: false,
        }
    }

    /// The same result; an error once it has been pending for the whole limit.
    pub(crate) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<T>,
    ) -> Poll<Result<T, Stalled>> {
        match polled {
            Poll::Ready(done) => {
                self.waiting = false;
                Poll::Ready(Ok(done))
            }
            Poll::Pending => self.poll(context).map(|()| Err(Stalled)),
        }
    }

    /// Ends the present wait: it is not this that is waited for now.
    pub(crate) fn rest(&mut self) {
        self.waiting = false;
    }

    /// The same for what reads or writes: a stall is an error of it.
    pub(crate) fn watch_io<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.watch(context, polled)
            .map(|done| done.unwrap_or_else(|Stalled| Err(io::ErrorKind::TimedOut.into())))
    }

    /// The same as [`Stall::watch`], where something else may move meanwhile, which last did at the time given.
    pub(crate) fn watch_with<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<T>,
        last_moved: impl Fn() -> Instant,
    ) -> Poll<Result<T, Stalled>> {
        let mut watched = self.watch(context, polled);
        while let Poll::Ready(Err(Stalled)) = watched {
            let end = last_moved() + self.limit;
            if end <= Instant::now() {
                break;
            }
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(end);
            }
            watched = self.watch(context, Poll::Pending);
        }
        watched
    }

    /// Ready once the present wait has taken the whole limit.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};

    #[tokio::test]
    async fn only_a_whole_wait_without_a_move_is_a_stall() {
        let limit = Duration::from_millis(30);
        let mut stall = Stall::new(limit);
        for _ in 0..2 {
            let started = Instant::now();
            let mut wait = Box::pin(pending::<()>());
            let waited = poll_fn(|context| {
                let polled = wait.as_mut().poll(context);
                stall.watch(context, polled)
            });
            assert_eq!(waited.await, Err(Stalled));
            assert!(started.elapsed() >= limit);
            // What moves begins another wait, with the whole limit.
            let moved = poll_fn(|context| stall.watch(context, Poll::Ready(7)));
            assert_eq!(moved.await, Ok(7));
        }
    }
}
