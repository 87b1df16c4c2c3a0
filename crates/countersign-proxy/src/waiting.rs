//! How long the head of a response may take.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::time::Instant;

use crate::{deadline::Deadline, error::ForwardError, progress::Progress};

/// Awaits the head of a response: for so long from when the request has been sent, with its body, or
/// since the upstream last took some of it. How long the client may take to send its body is a
/// matter of [`RequestBody`](crate::RequestBody).
pub(crate) async fn within<T>(
    limit: Duration,
    progress: &Progress,
    timer: &mut Deadline,
    head: impl Future<Output = Result<T, ForwardError>>,
) -> Result<T, ForwardError> {
    let mut head = pin!(head);
    let mut end = progress.started() + limit;
    poll_fn(|context| {
        if let Poll::Ready(done) = head.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        while timer.poll(end, context).is_ready() {
            let now = Instant::now();
            end = if progress.is_waiting_for_client() {
                now + limit
            } else {
                progress.last_moved() + limit
            };
            if end <= now {
                return Poll::Ready(Err(ForwardError::ResponseTimeout(limit)));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    const LIMIT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn the_time_counts_from_when_the_request_last_moved() {
        let started = Instant::now();
        let progress = Progress::since(started.into_std());
        // The body takes longer than the limit, and moves all the time.
        let upload = async {
            while started.elapsed() < LIMIT * 3 {
                progress.add_received(1);
                tokio::task::yield_now().await;
            }
            pending::<Result<(), ForwardError>>().await
        };
        let done = within(LIMIT, &progress, &mut Deadline::default(), upload).await;
        assert!(
            matches!(done, Err(ForwardError::ResponseTimeout(_))),
            "{done:?}"
        );
        assert!(Instant::now() >= progress.last_moved() + LIMIT);
        assert!(started.elapsed() > LIMIT * 3);
    }
}
