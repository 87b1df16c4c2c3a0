//! Follows the requests of an HTTP/1.1 connection as their bytes pass, to see what hyper does not
//! show: it drops a `content-length` beside a `transfer-encoding`, and the two are how requests are
//! smuggled (RFC 9112 section 11.2). What is no HTTP/1.1 is refused by hyper; here it only ends the
//! following.

use memchr::memchr;

/// As much of a line as tells a header that matters, with its value.
const LINE: usize = 48;

/// Follows the requests of a connection.
#[derive(Debug)]
pub(crate) struct RequestHeads {
    place: Place,
    /// The beginning of the present line, and its length.
    line: [u8; LINE],
    length: usize,
    /// How many heads have begun.
    begun: u64,
    /// A head has ended since this was asked last.
    ended: bool,
    framing: Framing,
    /// A chunked body is malformed in a way that hyper waits at.
    is_malformed: bool,
}

/// What a head says about its body.
#[derive(Debug, Default, Clone, Copy)]
struct Framing {
    content_length: Option<u64>,
    chunked: bool,
}

/// Where in a message the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a request's line, where empty lines may be.
    Start,
    /// In the lines of a head.
    Head,
    /// In so many bytes of a body, or of a chunk.
    Body(u64),
    /// In the line of a chunk's size.
    ChunkSize,
    /// In the data of a chunk, of which so much is left, and its line break.
    Chunk(u64),
    ChunkEnd,
    /// In the lines of the trailers.
    Trailers,
    /// In what cannot be followed.
    Lost,
}

impl RequestHeads {
    pub(crate) const fn new() -> Self {
        Self {
            place: Place::Start,
            line: [0; LINE],
            length: 0,
            begun: 0,
            ended: false,
            framing: Framing {
                content_length: None,
                chunked: false,
            },
            is_malformed: false,
        }
    }

    /// Whether a chunked body is malformed in a way that hyper does not refuse: it waits for what never comes.
    pub(crate) const fn has_malformed_chunk(&self) -> bool {
        self.is_malformed
    }

    /// Whether nothing was read yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.begun == 0 && self.length == 0
    }

    /// Whether a head has ended since this was asked last.
    pub(crate) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// Whether the present head says that a body is longer than hyper can count.
    pub(crate) fn has_uncountable_length(&self) -> bool {
        self.framing
            .content_length
            .is_some_and(|length| i64::try_from(length).is_err())
    }

    /// Whether what comes next is of a head, or begins one.
    pub(crate) fn awaits_head(&self) -> bool {
        matches!(self.place, Place::Start | Place::Head)
    }

    /// Whether what was read ends with a whole message, or there was none yet.
    pub(crate) fn are_between(&self) -> bool {
        self.place == Place::Start && self.length == 0
    }

    /// Takes note of bytes; which head has both lengths, counted from one, if one ends in them.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Option<u64> {
        let mut ambiguous = None;
        while !bytes.is_empty() {
            let taken = match self.place {
                Place::Lost => return ambiguous,
                Place::Body(left) => self.skip(bytes, left, Place::Body, Place::Start),
                Place::Chunk(left) => self.skip(bytes, left, Place::Chunk, Place::ChunkEnd),
                Place::Start
                | Place::Head
                | Place::ChunkSize
                | Place::ChunkEnd
                | Place::Trailers => self.take_line(bytes, &mut ambiguous),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        ambiguous
    }

    /// Skips what is left of a body.
    fn skip(&mut self, bytes: &[u8], left: u64, still: fn(u64) -> Place, next: Place) -> usize {
        let skipped = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        self.place = if left == 0 { next } else { still(left) };
        skipped
    }

    /// Takes a line, or what there is of it.
    fn take_line(&mut self, bytes: &[u8], ambiguous: &mut Option<u64>) -> usize {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        // Most lines are whole, and need not be copied.
        if self.length == 0 && end.is_some() {
            self.end_line(part, ambiguous);
            return part.len() + 1;
        }
        if let Some(free) = self.line.get_mut(self.length.min(LINE)..) {
            for (to, from) in free.iter_mut().zip(part) {
                *to = *from;
            }
        }
        self.length = self.length.saturating_add(part.len());
        if end.is_none() {
            return part.len();
        }
        let line = self.line;
        let length = std::mem::take(&mut self.length).min(LINE);
        self.end_line(line.get(..length).unwrap_or_default(), ambiguous);
        part.len() + 1
    }

    fn end_line(&mut self, line: &[u8], ambiguous: &mut Option<u64>) {
        let whole = line.strip_suffix(b"\r");
        // hyper takes the bare line feed for the begin of a trailer.
        self.is_malformed |= self.place == Place::Trailers && whole.is_none();
        let line = whole.unwrap_or(line);
        self.place = match self.place {
            Place::Start if line.is_empty() => Place::Start,
            Place::Start => {
                self.begun += 1;
                self.framing = Framing::default();
                Place::Head
            }
            Place::Head if line.is_empty() => {
                let Framing {
                    content_length,
                    chunked,
                } = self.framing;
                self.ended = true;
                if chunked && content_length.is_some() {
                    ambiguous.get_or_insert(self.begun);
                }
                match (chunked, content_length) {
                    (true, _) => Place::ChunkSize,
                    (false, None | Some(0)) => Place::Start,
                    (false, Some(length)) => Place::Body(length),
                }
            }
            Place::Head => {
                self.framing.read(line);
                Place::Head
            }
            Place::ChunkSize => match chunk_size(line) {
                None => Place::Lost,
                Some(0) => Place::Trailers,
                Some(size) => {
                    self.is_malformed |= i64::try_from(size).is_err();
                    Place::Chunk(size)
                }
            },
            Place::ChunkEnd => Place::ChunkSize,
            Place::Trailers if line.is_empty() => Place::Start,
            other => other,
        };
    }
}

impl Framing {
    fn read(&mut self, line: &[u8]) {
        // A look at one byte is enough for most headers.
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = value_of(line, b"content-length:") {
                    self.content_length =
                        Some(std::str::from_utf8(value).map_or(0, |value| length_of(value.trim())));
                }
            }
            Some(b't' | b'T') if value_of(line, b"transfer-encoding:").is_some() => {
                self.chunked = true;
            }
            _ => {}
        }
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (given, value) = line.split_at_checked(name.len())?;
    given.eq_ignore_ascii_case(name).then_some(value)
}

/// The length that these digits say, or the longest; 0 where they are none.
fn length_of(digits: &str) -> u64 {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let otherwise = if is_number { u64::MAX } else { 0 };
    digits.parse().unwrap_or(otherwise)
}

/// The size of a chunk, before any extension of it.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let digits = line.get(..end.unwrap_or(line.len()))?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str =
        "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\n\r\n";
    const EITHER: [&str; 5] = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 47\r\n\r\nPOST / HTTP/1.1\ncontent-length: 1\ntransfer-encoding: chunked\n\n",
        "\r\nPOST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3;a=b\r\n\r\n\n\r\nA\n0123456789\n0\r\ncontent-length: 3\r\n\r\n",
        "PUT / HTTP/1.1\r\ncontent-length:0\r\ncontent-lengths: 3\r\ntransfer-encodings: a\r\n\r\n",
        "POST /a-target-that-is-longer-than-what-is-kept-of-a-line-at-the-most-content-length: HTTP/1.1\r\n\r\n",
    ];

    fn found(text: &str, size: usize) -> Option<u64> {
        let mut heads = RequestHeads::new();
        let mut found = text
            .as_bytes()
            .chunks(size)
            .filter_map(|bytes| heads.read(bytes));
        found.next()
    }

    #[test]
    fn only_a_head_with_both_lengths_is_told_however_its_bytes_are_cut() {
        let second = EITHER[1].len() - "POST / HTTP/1.1\r\ncontent-length: 47\r\n\r\n".len();
        let sized = EITHER[1].replace("47", &second.to_string());
        let mut before = String::new();
        for (index, request) in EITHER.iter().enumerate() {
            before += if index == 1 { &sized } else { request };
            for size in [1, 2, 3, 17, 64, 1_000, 10_000] {
                assert_eq!(found(&before, size), None, "{before} by {size}");
                let ambiguous = u64::try_from(index).unwrap() + 2;
                let with_both = before.clone() + BOTH;
                assert_eq!(
                    found(&with_both, size),
                    Some(ambiguous),
                    "{with_both} by {size}"
                );
            }
        }
    }

    #[test]
    fn the_order_of_the_two_does_not_matter() {
        let reversed =
            "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH:\t5\r\n\r\n";
        assert_eq!(found(reversed, 1_000), Some(1));
    }
}
