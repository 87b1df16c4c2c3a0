//! Texts as TOML has them.

use std::fmt::Write as _;

use crate::output::is_unsafe;

/// A TOML string. What could hide or reorder the text around it, wherever the file is read, is written
/// as an escape.
pub(super) fn quoted(text: &str) -> String {
    let hidden = |c: char| is_unsafe(c) && !matches!(c, '\n' | '\r' | '\t');
    if !text.contains(hidden) {
        return toml::Value::String(text.to_owned()).to_string();
    }
    quoted_key(text)
}

/// The same in one line and in quotation marks, as a key must be.
pub(super) fn quoted_key(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_unsafe(c) || c.is_control() => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_and_hides_nothing() {
        for text in [
            "plain",
            "a \"b\" \\ c",
            "it's \"quoted\"",
            "two\nlines",
            "a\u{202e}b\"\\\n",
            "\u{e0041}",
        ] {
            let written = quoted(text);
            let document: toml::Table = format!("x = {written}").parse().unwrap();
            assert_eq!(document["x"].as_str(), Some(text), "{written}");
            assert!(!written.contains(['\u{202e}', '\u{e0041}']), "{written}");
            let key = quoted_key(text);
            let document: toml::Table = format!("[a.{key}]\nx = 1").parse().unwrap();
            assert_eq!(document["a"][text]["x"].as_integer(), Some(1), "{key}");
        }
    }
}
