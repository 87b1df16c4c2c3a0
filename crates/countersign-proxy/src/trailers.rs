//! Trailers over HTTP/1.1. hyper writes those only that a `Trailer` header announced. So a body ends
//! for hyper without any, and the end that it then writes is replaced.

use std::{
    io::IoSlice,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::headers::{self, is_no_trailer, remove_all};

/// The end of a chunked body without trailers (RFC 9112 section 7.1). hyper writes it after
/// everything else of a message, and hands it over as a part of its own.
const END: &[u8] = b"0\r\n\r\n";

/// The trailers of the message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Trailers {
    /// Whether there are any, so that messages without need no lock.
    waiting: AtomicBool,
    end: Mutex<Bytes>,
}

/// What to write of the parts that hyper hands over.
pub(crate) enum Parts<'parts, 'bytes> {
    /// These. Another part may be left, for the next time.
    These(&'parts [IoSlice<'bytes>]),
    /// This, in place of so many bytes.
    Instead(Bytes, usize),
}

impl Trailers {
    /// Has these follow the body that ends now, which must be chunked.
    pub(crate) fn follow(
        &self,
        mut trailers: HeaderMap,
        is_reserved: impl Fn(&HeaderName) -> bool,
    ) {
        remove_all(&mut trailers, |name| {
            is_no_trailer(name) || is_reserved(name)
        });
        if trailers.is_empty() {
            return;
        }
        let mut end = b"0\r\n".to_vec();
        headers::write(&trailers, &mut end);
        end.extend_from_slice(b"\r\n");
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end.into();
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// Forgets those of a message that was not written to its end.
    pub(crate) fn forget(&self) {
        if self.waiting.load(Ordering::Relaxed) {
            self.waiting.store(false, Ordering::Relaxed);
            self.take();
        }
    }

    /// Finds the end of the message in what is to be written, if trailers are to follow it.
    pub(crate) fn find_end<'parts, 'bytes>(
        &self,
        parts: &'parts [IoSlice<'bytes>],
    ) -> Parts<'parts, 'bytes> {
        if !self.waiting.load(Ordering::Relaxed) {
            return Parts::These(parts);
        }
        match parts.split_last() {
            Some((last, before)) if **last == *END => {
                if before.iter().any(|part| !part.is_empty()) {
                    return Parts::These(before);
                }
                self.waiting.store(false, Ordering::Relaxed);
                Parts::Instead(self.take(), END.len())
            }
            _ => Parts::These(parts),
        }
    }

    fn take(&self) -> Bytes {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn written(trailers: &Trailers, parts: &[&[u8]]) -> String {
        let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let bytes = match trailers.find_end(&slices) {
            Parts::These(parts) => parts.iter().flat_map(|part| part.to_vec()).collect(),
            Parts::Instead(bytes, count) => {
                assert_eq!(count, END.len());
                bytes.to_vec()
            }
        };
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_end_of_a_message_is_replaced_and_nothing_else() {
        let trailers = Trailers::default();
        assert_eq!(written(&trailers, &[b"a", END]), "a0\r\n\r\n");
        let names = ["x-sum", "content-length", "x-ours"].map(HeaderName::from_static);
        let map: HeaderMap = names
            .into_iter()
            .map(|name| (name, HeaderValue::from_static("1")))
            .collect();
        let is_ours = |name: &HeaderName| name == "x-ours";
        trailers.follow(map.clone(), is_ours);
        assert_eq!(
            written(&trailers, &[b"5\r\n", b"0\r\n\r\n", b"\r\n"]),
            "5\r\n0\r\n\r\n\r\n"
        );
        assert_eq!(written(&trailers, &[b"", b"a", END]), "a");
        assert_eq!(written(&trailers, &[b"", END]), "0\r\nx-sum: 1\r\n\r\n");
        assert_eq!(
            written(&trailers, &[END]),
            "0\r\n\r\n",
            "of the next message"
        );
        trailers.follow(map, is_ours);
        trailers.forget();
        assert_eq!(written(&trailers, &[END]), "0\r\n\r\n");
        trailers.follow(HeaderMap::new(), is_ours);
        assert_eq!(written(&trailers, &[END]), "0\r\n\r\n");
    }
}
