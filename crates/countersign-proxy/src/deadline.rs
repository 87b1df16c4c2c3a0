//! A deadline that is moved often and seldom reached.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is set again only when it goes off. Where each request moves a deadline on, that
/// spares the runtime a timer for each request.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes, so that it need not be told again.
    wakes: Option<Waker>,
}

impl Deadline {
    /// Ready once this time has come, which may be another one each time.
    pub(crate) fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        let is_known = |waker: &Waker| waker.will_wake(context.waker());
        if timer.deadline() <= at
            && !timer.is_elapsed()
            && self.wakes.as_ref().is_some_and(is_known)
        {
            return Poll::Pending;
        }
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            // It went off too early.
            timer.as_mut().reset(at);
        }
        self.wakes = Some(context.waker().clone());
        Poll::Pending
    }

    /// Wakes nobody until it is polled again: the task that it would wake may be over, and its memory
    /// would be kept for that.
    pub(crate) fn rest(&mut self) {
        self.wakes = None;
        if let Some(timer) = &mut self.timer {
            let _ = timer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::poll_fn, time::Duration};

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn only_the_last_deadline_counts_whether_it_was_moved_on_or_back() {
        let mut deadline = Deadline::default();
        let begin = Instant::now();
        let mut context = Context::from_waker(Waker::noop());
        for factor in [1, 5, 3] {
            assert!(
                deadline
                    .poll(begin + SHORT * factor, &mut context)
                    .is_pending()
            );
            deadline.rest();
        }
        poll_fn(|context| deadline.poll(begin + SHORT * 3, context)).await;
        let passed = begin.elapsed();
        assert!(passed >= SHORT * 3, "{passed:?}");
        let end = Instant::now() + SHORT;
        poll_fn(|context| deadline.poll(end, context)).await;
        assert!(Instant::now() >= end);
    }
}
