//! The token without which nobody is let in: other users of the machine can reach a port of loopback.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countersign_types::secret::Secret;

/// What a path begins with, before the token.
const PATH: &str = "/t/";

/// The user name that stands before the token in the URL of a proxy.
const USER: &str = "connect";

/// The token of one forwarder.
#[derive(Clone)]
pub struct Token(Secret);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A token, if it can stand in a path and in a URL's password as it is, and cannot be guessed: at
    /// least 16 letters, digits, `-` and `_`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        const LEAST: usize = 16;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_one = text.len() >= LEAST && text.bytes().all(plain);
        is_one.then(|| Self(Secret::new(text)))
    }

    /// The token itself. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// What the paths of requests begin with.
    #[must_use]
    pub fn path_prefix(&self) -> String {
        format!("{PATH}{}", self.reveal())
    }

    /// User name and password in the URL of a proxy.
    #[must_use]
    pub fn user_info(&self) -> String {
        format!("{USER}:{}", self.reveal())
    }

    /// Whether somebody who sent this knows it. How long it takes does not tell how much of it is right.
    pub(crate) fn is(&self, given: &str) -> bool {
        verify_slices_are_equal(self.reveal().as_bytes(), given.as_bytes()).is_ok()
    }

    /// What is left of a path after the token, if it begins with it.
    pub(crate) fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(PATH)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (given, rest) = rest.split_at(end);
        self.is(given).then_some(rest)
    }
}

/// Whether a path begins as those with a token do.
pub(crate) fn has_token(path: &str) -> bool {
    path.starts_with(PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_off_a_path_and_only_the_right_one() {
        let token = Token::new("0123456789abcdef").unwrap();
        for (path, rest) in [
            ("/t/0123456789abcdef/v1/models?a=b", Some("/v1/models?a=b")),
            ("/t/0123456789abcdef", Some("")),
            ("/t/0123456789abcdef?a", Some("?a")),
            ("/t/0123456789abcdeF/v1", None),
            ("/t/0123456789abcdef0/v1", None),
            ("/t/0123456789abcde/v1", None),
            ("/t//v1", None),
            ("/v1/models", None),
            ("/x/t/0123456789abcdef/v1", None),
        ] {
            assert_eq!(token.strip(path), rest, "{path}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_is_long_and_plain() {
        for text in [
            "",
            "short",
            "0123456789abcde/",
            "0123456789abcdef@",
            "0123456789 abcdef",
        ] {
            assert!(Token::new(text).is_none(), "{text}");
        }
        assert!(Token::new("0123456789-abc_DEF").is_some());
    }
}
