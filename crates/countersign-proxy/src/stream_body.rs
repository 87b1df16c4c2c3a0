//! A body that arrives over an HTTP/2 stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Frame, SizeHint};

/// A body that arrives over an HTTP/2 stream. A stream that is reset before its end is an error,
/// whatever the reset's code.
#[derive(Debug)]
pub(crate) struct StreamBody {
    stream: RecvStream,
    /// How many bytes are to come, if that is known.
    left: Option<u64>,
    /// All data has come, and only trailers may follow.
    data_ended: bool,
}

impl StreamBody {
    /// The body of a message with these headers.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        Self {
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            data_ended: false,
            stream,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(self.data(bytes)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(context)).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    /// Takes bytes, and lets the peer send as many more.
    fn data(&mut self, bytes: Bytes) -> Frame<Bytes> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(count));
        // It fails only for more than was received.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
        Frame::data(bytes)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.stream.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}
