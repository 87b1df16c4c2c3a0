//! One line of JSON, written field by field.

use itoa::Integer;

/// The name of a field as it is written: a comma, the name in quotes, a colon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field(#[doc(hidden)] pub(crate) &'static str);

/// A [`Field`], put together when the program is compiled.
macro_rules! field {
    ($name:literal) => {
        $crate::json_line::Field(concat!(",\"", $name, "\":"))
    };
}
pub(crate) use field;

/// A JSON object on one line. `serde_json` looks at each byte of each name and value, one by one:
/// for the access log, that is a tenth of all that is done for a request. Here names are not looked
/// at, since they stand in the program, and values at once.
#[derive(Debug)]
pub(crate) struct JsonLine(Vec<u8>);

/// Fields of many lines, written once.
#[derive(Debug)]
pub(crate) struct Fields(Box<[u8]>);

impl JsonLine {
    /// An object without fields, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, name: Field, text: &str) {
        if is_plain(text) {
            return self.plain(name, text);
        }
        self.0.extend_from_slice(name.0.as_bytes());
        // A text can always be written, and so can memory.
        let _ = serde_json::to_writer(&mut self.0, text);
    }

    /// Adds a text of which it is known that JSON writes it as it is: an id, a token, an address.
    pub(crate) fn plain(&mut self, name: Field, text: &str) {
        debug_assert!(is_plain(text), "{text}");
        self.0.extend_from_slice(name.0.as_bytes());
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    /// Adds a text, where there is one.
    pub(crate) fn text_if_any(&mut self, name: Field, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds fields that were written before.
    pub(crate) fn add(&mut self, fields: &Fields) {
        self.0.extend_from_slice(&fields.0);
    }

    /// The fields so far, to be added to lines.
    pub(crate) fn into_fields(self) -> Fields {
        Fields(self.0.into())
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, name: Field, value: impl Integer) {
        self.0.extend_from_slice(name.0.as_bytes());
        let mut digits = itoa::Buffer::new();
        self.0.extend_from_slice(digits.format(value).as_bytes());
    }

    /// The line, with its line break.
    pub(crate) fn end(mut self) -> Vec<u8> {
        match self.0.first_mut() {
            // In place of the comma before the first field.
            Some(first) => *first = b'{',
            None => self.0.push(b'{'),
        }
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}

/// Whether JSON writes a text as it is (RFC 8259 section 7). All bytes are looked at, so that it is
/// done many at a time.
fn is_plain(text: &str) -> bool {
    !text.bytes().fold(false, |found, byte| {
        found | (byte < b' ') | (byte == b'"') | (byte == b'\\')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn whatever_a_text_holds_the_line_is_json_and_says_it() {
        let every_character: String = (0..=0x2030).filter_map(char::from_u32).collect();
        for text in [
            "",
            "a",
            "a\"b",
            "a\\b",
            "\u{0}",
            "\n",
            "\u{7f}",
            "ü",
            &every_character,
        ] {
            let mut before = JsonLine::with_capacity(0);
            before.text(field!("a"), text);
            before.text_if_any(field!("b"), None);
            let mut line = JsonLine::with_capacity(0);
            line.add(&before.into_fields());
            line.number(field!("c"), 7_u64);
            line.plain(field!("d"), "d");
            let line = String::from_utf8(line.end()).unwrap();
            assert_eq!(line.lines().count(), 1, "{line:?}");
            let read: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read, json!({"a": text, "c": 7, "d": "d"}));
        }
    }

    #[test]
    fn a_line_without_fields_is_an_object() {
        assert_eq!(JsonLine::with_capacity(0).end(), b"{}\n");
    }
}
