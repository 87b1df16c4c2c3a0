//! String literals: both quotes, single and triple, raw and with escapes.

use super::error::Refusal;

/// Whether a string or bytes literal begins here.
pub(super) fn begins(rest: &str) -> bool {
    let body = rest.trim_start_matches(['r', 'R', 'b', 'B']);
    rest.len() - body.len() <= 2 && body.starts_with(['"', '\''])
}

/// Reads the literal at the beginning of `rest`; `at` is where that is in the policy. Gives its
/// value and the number of bytes it takes.
pub(super) fn read(rest: &str, at: usize) -> Result<(String, usize), Refusal> {
    let body = rest.trim_start_matches(['r', 'R', 'b', 'B']);
    let prefix_length = rest.len() - body.len();
    let prefix = rest
        .get(..prefix_length)
        .unwrap_or_default()
        .to_ascii_lowercase();
    match prefix.as_str() {
        "" | "r" => {}
        "b" | "br" | "rb" => {
            return Err(
                Refusal::new(at, "bytes literals are not supported").suggest("remove the `b`")
            );
        }
        _ => {
            return Err(Refusal::new(
                at,
                format!("unknown string prefix `{prefix}`"),
            ));
        }
    }
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| body.starts_with(quote))
        .unwrap_or("\"");
    let start = prefix_length + quote.len();
    let mut literal = Literal {
        rest: rest.get(start..).unwrap_or_default(),
        start: at,
        at: at + start,
        quote,
    };
    let value = literal.body(prefix == "r")?;
    Ok((value, literal.at - at))
}

struct Literal<'a> {
    rest: &'a str,
    /// Where the literal begins, for the error that it never ends.
    start: usize,
    at: usize,
    quote: &'static str,
}

impl Literal<'_> {
    fn body(&mut self, raw: bool) -> Result<String, Refusal> {
        let mut value = String::new();
        loop {
            if self.rest.starts_with(self.quote) {
                self.advance(self.quote.len());
                return Ok(value);
            }
            match self.rest.chars().next() {
                Some('\\') if !raw => value.push(self.escape()?),
                Some('\n' | '\r') if self.quote.len() == 1 => return Err(self.unterminated()),
                Some(character) => {
                    value.push(character);
                    self.advance(character.len_utf8());
                }
                None => return Err(self.unterminated()),
            }
        }
    }

    fn unterminated(&self) -> Refusal {
        Refusal::new(self.start, "this string has no end")
            .suggest(format!("close it with `{}`", self.quote))
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
        self.at += bytes;
    }

    /// One escape sequence, the backslash included.
    fn escape(&mut self) -> Result<char, Refusal> {
        let at = self.at;
        let Some(letter) = self.rest.chars().nth(1) else {
            return Err(self.unterminated());
        };
        let (digits, radix) = match letter {
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => (3, 8),
            _ => {
                let character = simple(letter).ok_or_else(|| {
                    Refusal::new(at, format!("unknown escape `\\{letter}`"))
                        .suggest("write `\\\\` for a backslash")
                })?;
                self.advance(2);
                return Ok(character);
            }
        };
        let begin = if radix == 8 { 1 } else { 2 };
        let character = self
            .rest
            .get(begin..begin + digits)
            .filter(|text| text.chars().all(|c| c.is_digit(radix)))
            .and_then(|text| u32::from_str_radix(text, radix).ok())
            .and_then(char::from_u32)
            .ok_or_else(|| {
                Refusal::new(
                    at,
                    format!("the escape `\\{letter}` does not name a character"),
                )
            })?;
        self.advance(begin + digits);
        Ok(character)
    }
}

fn simple(letter: char) -> Option<char> {
    Some(match letter {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' | '?' | '"' | '\'' | '`' => letter,
        _ => return None,
    })
}
