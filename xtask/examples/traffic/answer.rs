//! The answers, as the upstream gives them and as the load expects them.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::outcome::Outcome;

/// A small answer, as an API gives it.
pub(crate) const SMALL: &[u8] = br#"{"id":"resp_68f0c2","object":"response","status":"completed","output":[{"type":"message","text":"The door is open to whom it knows."}]}"#;

/// Where small answers are.
pub(crate) const SMALL_PATH: &str = "/v1/responses";

/// Before the length of a large answer.
const LARGE_PATH: &str = "/v1/files/";

/// The path of an answer of this many bytes.
pub(crate) fn large_path(length: usize) -> String {
    format!("{LARGE_PATH}{length}")
}

/// How long the answer at a path is, if it is a large one.
pub(crate) fn large_length(path: &str) -> Option<usize> {
    path.strip_prefix(LARGE_PATH)?.parse().ok()
}

/// Reads HTTP/1.1 answers from a connection, one after another.
pub(crate) struct Answers {
    buffer: Vec<u8>,
    filled: usize,
}

impl Answers {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            buffer: vec![0; capacity],
            filled: 0,
        }
    }

    /// Reads one answer. It must be a 200 with a body of this length: a refusal is not speed.
    pub(crate) async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        length: usize,
    ) -> Outcome {
        let head = loop {
            let filled = self.buffer.get(..self.filled).unwrap_or_default();
            if let Some(end) = filled.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                check_head(filled.get(..end).unwrap_or_default(), length)?;
                break end + 4;
            }
            self.fill(stream).await?;
        };
        let mut left = length;
        let mut body = self.filled - head;
        self.filled = 0;
        while body < left {
            left -= body;
            self.fill(stream).await?;
            body = std::mem::take(&mut self.filled);
        }
        if body > left {
            return Err("more than one answer".into());
        }
        Ok(())
    }

    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Outcome {
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let read = stream.read(free).await?;
        if read == 0 {
            return Err("the server closed the connection within an answer".into());
        }
        self.filled += read;
        Ok(())
    }
}

fn check_head(head: &[u8], length: usize) -> Outcome {
    let head = std::str::from_utf8(head)?;
    let said = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    if head.starts_with("HTTP/1.1 200") && said == Some(length) {
        return Ok(());
    }
    Err(format!("not the answer that was wanted: {head}").into())
}
