//! The responses with which hyper refuses heads that it cannot read. Nobody else sees such a request:
//! they are recognized by their bytes, and replaced by whole refusals.

use bytes::Bytes;
use http::{Response, StatusCode};

use crate::headers;

/// Makes the response to a request whose head cannot be read.
pub trait RefuseHead {
    /// The response, given the status that hyper chose.
    fn refuse(&self, status: StatusCode) -> Response<Bytes>;
}

/// No bare refusal is longer.
const MAX_BYTES: usize = 160;

/// The status of a refusal that hyper made, if these bytes are one. Every other response carries
/// more headers.
pub(crate) fn status_of(bytes: &[u8]) -> Option<StatusCode> {
    if bytes.len() > MAX_BYTES || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let is_bare = |line: &str| {
        matches!(line, "connection: close" | "content-length: 0") || line.starts_with("date: ")
    };
    if !lines.all(is_bare) {
        return None;
    }
    let refusals = [
        StatusCode::BAD_REQUEST,
        StatusCode::URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ];
    refusals.into_iter().find(|each| each.as_str() == status)
}

/// A response as HTTP/1.1 writes it, after which the connection is closed.
pub(crate) fn written(response: &Response<Bytes>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    headers::write(response.headers(), &mut bytes);
    let length = response.body().len();
    let end = format!("connection: close\r\ncontent-length: {length}\r\n\r\n");
    bytes.extend_from_slice(end.as_bytes());
    bytes.extend_from_slice(response.body());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bare_refusals_of_hyper_are_taken_for_ones() {
        let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        let bare = |line: &str| {
            format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n{date}")
        };
        for (line, status) in [
            ("400 Bad Request", 400),
            ("414 URI Too Long", 414),
            ("431 Request Header Fields Too Large", 431),
        ] {
            let found = status_of(bare(line).as_bytes());
            assert_eq!(found.map(|status| status.as_u16()), Some(status), "{line}");
        }
        for other in [
            bare("404 Not Found"),
            bare("400 Bad Request") + "x",
            format!("HTTP/1.1 400 Bad Request\r\nx-request-id: r\r\n{date}"),
        ] {
            assert_eq!(status_of(other.as_bytes()), None, "{other}");
        }
    }
}
