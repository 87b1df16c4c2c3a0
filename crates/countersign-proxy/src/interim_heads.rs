//! Finds the interim responses before a response over HTTP/1.1. hyper skips them, and tells of them
//! only through the extensions of a request: a map for each of them, where a look at one byte is
//! enough for most responses.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::Status;

use crate::traffic::Traffic;

/// Where the status begins in `HTTP/1.1 103`.
const STATUS: usize = "HTTP/1.1 ".len();

/// The most bytes of a head, which are as many as hyper reads of one.
const MAX_BYTES: usize = 64 * 1024;

/// The most headers of an interim response that is passed on.
const MAX_HEADERS: usize = 100;

/// Reads what comes before a response.
#[derive(Debug, Default)]
pub(crate) struct InterimHeads {
    /// The head that is not whole yet.
    begun: Vec<u8>,
}

impl InterimHeads {
    /// Passes on the interim responses whose heads end in these bytes; whether the response itself
    /// has begun.
    pub(crate) fn read(&mut self, bytes: &[u8], traffic: &Traffic) -> bool {
        if self.begun.is_empty() && bytes.get(STATUS).is_some_and(|first| *first != b'1') {
            return true;
        }
        self.begun.extend_from_slice(bytes);
        while !self.begun.is_empty() {
            match interim(&self.begun) {
                Ok(Status::Complete((length, status, headers))) => {
                    self.begun.drain(..length);
                    if let Some(interims) = traffic.interims() {
                        interims.pass_on(status, &headers);
                    }
                }
                Ok(Status::Partial) if self.begun.len() < MAX_BYTES => return false,
                Ok(Status::Partial) | Err(NoInterim) => {
                    self.begun = Vec::new();
                    return true;
                }
            }
        }
        false
    }
}

/// The response itself, or what is none: hyper sees to both.
struct NoInterim;

/// The interim response at the beginning of these bytes, and its length.
fn interim(bytes: &[u8]) -> Result<Status<(usize, StatusCode, HeaderMap)>, NoInterim> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let parsing = parsed.parse(bytes).map_err(|_| NoInterim)?;
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else {
        return Ok(Status::Partial);
    };
    if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(NoInterim);
    }
    let Status::Complete(length) = parsing else {
        return Ok(Status::Partial);
    };
    let mut map = HeaderMap::new();
    for header in parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| NoInterim)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| NoInterim)?;
        map.append(name, value);
    }
    Ok(Status::Complete((length, status, map)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// The statuses that are passed on, and whether the response has begun, when these bytes come in
    /// pieces of this size.
    fn passed_on(text: &str, size: usize) -> (Vec<u16>, bool) {
        let (traffic, interims) = (Traffic::default(), Arc::default());
        traffic.begin(false, Some(&interims), 1);
        let mut heads = InterimHeads::default();
        let mut pieces = text.as_bytes().chunks(size);
        let has_begun = pieces.any(|piece| heads.read(piece, &traffic));
        let passed_on = std::iter::from_fn(|| interims.take());
        let statuses = passed_on.map(|each| each.status().as_u16());
        (statuses.collect(), has_begun)
    }

    #[test]
    fn what_comes_before_a_response_is_passed_on_however_it_is_cut() {
        const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
        const FINAL: &str = "HTTP/1.1 200 OK\r\nx: HTTP/1.1 103\r\n\r\nHTTP/1.1 103 \r\n\r\n";
        const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        for (text, statuses, has_begun) in [
            (FINAL.to_owned(), vec![], true),
            (format!("{HINTS}{FINAL}"), vec![103], true),
            (
                format!("{CONTINUE}{HINTS}{HINTS}{FINAL}"),
                vec![103, 103],
                true,
            ),
            (format!("{HINTS}{SWITCHING}"), vec![103], true),
            (HINTS.repeat(2), vec![103, 103], false),
            ("HTTP/1.1 1".to_owned(), vec![], false),
            ("HTTP/1.1 1x3 \r\n\r\n".to_owned(), vec![], true),
            (format!("\r\n{FINAL}"), vec![], true),
        ] {
            for size in [1, 2, 9, 10, 11, 40, 1_000] {
                let found = passed_on(&text, size);
                assert_eq!(found, (statuses.clone(), has_begun), "{text:?} by {size}");
            }
        }
    }
}
