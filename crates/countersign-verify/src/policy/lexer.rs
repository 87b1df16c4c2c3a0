//! Text into tokens, as the CEL language definition has them, less what policies never need.

use super::{error::Refusal, literal};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    /// Decimal or `0x` digits; the sign belongs to the parser.
    Int(&'a str),
    Text(String),
    Symbol(&'static str),
    End,
}

/// A token and the byte at which it begins.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) token: Token<'a>,
    pub(super) at: usize,
}

/// Longer symbols before their beginnings.
const SYMBOLS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// Cuts the whole text into tokens; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Refusal> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let at = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        tokens.push(Placed { token, at });
        if end {
            return Ok(tokens);
        }
    }
}

/// White space of the language.
pub(super) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes the longest beginning of the rest whose characters all pass.
    fn take_while(&mut self, pass: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !pass(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// White space and comments, which run from `//` to the end of the line.
    fn skip_blank(&mut self) {
        loop {
            self.take_while(is_blank);
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn next(&mut self) -> Result<Token<'a>, Refusal> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if literal::begins(rest) {
            let (value, length) = literal::read(rest, self.at)?;
            self.at += length;
            return Ok(Token::Text(value));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Token::Name(
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'),
            ));
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        Err(self.stray(first))
    }

    fn stray(&self, character: char) -> Refusal {
        let refusal = Refusal::new(self.at, format!("unexpected character {character:?}"));
        match character {
            '=' => refusal.suggest("write `==` to compare"),
            '&' => refusal.suggest("write `&&` for \"and\""),
            '|' => refusal.suggest("write `||` for \"or\""),
            '\u{2018}'..='\u{201f}' => refusal.suggest("write plain quotes, `\"` or `'`"),
            _ => refusal,
        }
    }

    fn number(&mut self) -> Result<Token<'a>, Refusal> {
        let at = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let fraction = self
            .rest()
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let plain = hexadecimal.map_or_else(
            || word.bytes().all(|b| b.is_ascii_digit()),
            |digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        );
        if plain && !fraction {
            return Ok(Token::Int(word));
        }
        let unsigned = word.ends_with(['u', 'U']);
        let message = if unsigned && !fraction {
            "unsigned numbers are not supported"
        } else {
            "this is not an integer"
        };
        Err(Refusal::new(at, message).suggest("write a whole number such as `3`"))
    }
}
