//! Waiting for what seldom happens, beside what happens all the time.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Notes that a future is to be polled.
#[derive(Debug)]
struct Signal {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// The same future, polled only when it asks for that: not each time that its task is woken for
/// something else, as for each request of a connection.
pub(super) async fn seldom<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(true),
        task: AtomicWaker::new(),
    });
    let own = Waker::from(Arc::clone(&signal));
    let mut task: Option<Waker> = None;
    poll_fn(|context| {
        let waker = context.waker();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            signal.task.register(waker);
            task = Some(waker.clone());
        }
        // Whoever wakes it after this look wakes the task too.
        if !signal.woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        signal.woken.store(false, Ordering::Release);
        future.as_mut().poll(&mut Context::from_waker(&own))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::ready, sync::atomic::AtomicUsize};

    use futures_util::future::{Either, select};
    use tokio::{sync::Notify, task::yield_now};

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken_and_not_when_its_task_was() {
        assert_eq!(seldom(ready(7)).await, 7);
        let (notify, polls) = (Notify::new(), AtomicUsize::new(0));
        let mut notified = pin!(notify.notified());
        let mut watching = pin!(seldom(poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            notified.as_mut().poll(context)
        })));
        for _ in 0..3 {
            let other = pin!(yield_now());
            let first = select(&mut watching, other).await;
            assert!(matches!(first, Either::Right(_)), "nothing has happened");
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        notify.notify_one();
        watching.await;
        assert_eq!(polls.load(Ordering::Relaxed), 2);
    }
}
