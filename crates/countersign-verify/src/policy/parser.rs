//! Tokens into syntax, after the grammar of the CEL language definition. Nothing here recurses
//! deeper than [`MAX_DEPTH`], and no syntax that it makes is deeper.

use super::{
    error::Refusal,
    lexer::{Placed, Token, tokens},
    limits::{MAX_DEPTH, MAX_TERMS},
    syntax::{Boxed, Operator, RELATION, Syntax, SyntaxKind, UNARY},
};

/// Words that CEL keeps for itself; `true`, `false` and `in` have a meaning here.
const RESERVED: [&str; 17] = [
    "null",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "while",
];

/// Reads a whole policy.
pub(super) fn parse(text: &str) -> Result<Syntax<'_>, Refusal> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        open: 0,
        terms: 0,
    };
    let syntax = parser.expression()?;
    if parser.peek().token == Token::End {
        Ok(syntax)
    } else {
        Err(parser.no_operator())
    }
}

struct Parser<'a> {
    tokens: Vec<Placed<'a>>,
    next: usize,
    /// How many expressions are begun and not ended: the depth of the recursion.
    open: u8,
    terms: usize,
}

/// What a look beyond the last token finds.
const END: Placed<'static> = Placed {
    token: Token::End,
    at: 0,
};

fn describe(token: &Token<'_>) -> String {
    match token {
        Token::Name(name) => format!("`{name}`"),
        Token::Int(digits) => format!("`{digits}`"),
        Token::Text(_) => "a string".to_owned(),
        Token::Symbol(symbol) => format!("`{symbol}`"),
        Token::End => "the end".to_owned(),
    }
}

fn too_deep(at: usize) -> Refusal {
    Refusal::new(at, format!("this nests deeper than {MAX_DEPTH} levels"))
        .suggest("split the condition, or use `in` with a list")
}

impl<'a> Parser<'a> {
    fn peek(&self) -> &Placed<'a> {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .unwrap_or(&END)
    }

    fn advance(&mut self) -> usize {
        let at = self.peek().at;
        self.next += 1;
        at
    }

    /// Takes the symbol if it comes next, and says where it was.
    fn accept(&mut self, symbol: &str) -> Option<usize> {
        match self.peek().token {
            Token::Symbol(next) if next == symbol => Some(self.advance()),
            _ => None,
        }
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Refusal> {
        if self.accept(symbol).is_some() {
            return Ok(());
        }
        let found = describe(&self.peek().token);
        Err(Refusal::new(
            self.peek().at,
            format!("expected `{symbol}`, found {found}"),
        ))
    }

    /// Makes a syntax out of others, whose greatest depth is given.
    fn node(&mut self, at: usize, below: u8, kind: SyntaxKind<'a>) -> Result<Syntax<'a>, Refusal> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(
                Refusal::new(at, format!("there are more than {MAX_TERMS} terms"))
                    .suggest("shorten it, or test patterns with `matches`"),
            );
        }
        if below >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(Syntax {
            at,
            depth: below + 1,
            kind,
        })
    }

    fn expression(&mut self) -> Result<Syntax<'a>, Refusal> {
        if self.open == MAX_DEPTH {
            return Err(too_deep(self.peek().at));
        }
        self.open += 1;
        let mut syntax = self.joined("||", SyntaxKind::Or)?;
        if let Some(at) = self.accept("?") {
            let yes = self.joined("||", SyntaxKind::Or)?;
            self.expect(":")?;
            let no = self.expression()?;
            let below = syntax.depth.max(yes.depth).max(no.depth);
            syntax = self.node(at, below, SyntaxKind::Choice(Box::new([syntax, yes, no])))?;
        }
        self.open -= 1;
        Ok(syntax)
    }

    /// Operands joined by `||`, each of them operands joined by `&&`: any number without depth.
    fn joined(
        &mut self,
        symbol: &str,
        kind: fn(Vec<Syntax<'a>>) -> SyntaxKind<'a>,
    ) -> Result<Syntax<'a>, Refusal> {
        let first = self.operand_of(symbol)?;
        let Some(at) = self.accept(symbol) else {
            return Ok(first);
        };
        let mut below = first.depth;
        let mut operands = vec![first];
        loop {
            let operand = self.operand_of(symbol)?;
            below = below.max(operand.depth);
            operands.push(operand);
            if self.accept(symbol).is_none() {
                return self.node(at, below, kind(operands));
            }
        }
    }

    fn operand_of(&mut self, symbol: &str) -> Result<Syntax<'a>, Refusal> {
        if symbol == "||" {
            self.joined("&&", SyntaxKind::And)
        } else {
            self.binary(RELATION)
        }
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        match self.peek().token {
            Token::Symbol(word) | Token::Name(word) => Operator::named(word),
            _ => None,
        }
    }

    /// Operators that bind at least as tightly as the level, all of them to the left.
    fn binary(&mut self, level: u8) -> Result<Syntax<'a>, Refusal> {
        if level == UNARY {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        while let Some((operator, found)) = self.operator() {
            if found != level {
                break;
            }
            let at = self.advance();
            let right = self.binary(level + 1)?;
            let below = left.depth.max(right.depth);
            let kind = SyntaxKind::Binary(operator, Box::new(left), Box::new(right));
            left = self.node(at, below, kind)?;
        }
        Ok(left)
    }

    /// `!` or `-`, repeated as often as depth allows, but not mixed.
    fn unary(&mut self) -> Result<Syntax<'a>, Refusal> {
        let symbol = if matches!(self.peek().token, Token::Symbol("-")) {
            "-"
        } else {
            "!"
        };
        let mut signs = Vec::new();
        while let Some(at) = self.accept(symbol) {
            signs.push(at);
        }
        let mut operand = match (symbol, signs.last(), &self.peek().token) {
            ("-", Some(_), Token::Int(digits)) => {
                let value = self.int(digits, true)?;
                let at = signs.pop().unwrap_or_default();
                self.advance();
                let literal = self.node(at, 0, SyntaxKind::Int(value))?;
                self.member(literal)?
            }
            _ => {
                let primary = self.primary()?;
                self.member(primary)?
            }
        };
        let kind: fn(Boxed<'a>) -> SyntaxKind<'a> = if symbol == "-" {
            SyntaxKind::Negate
        } else {
            SyntaxKind::Not
        };
        for at in signs.into_iter().rev() {
            operand = self.node(at, operand.depth, kind(Box::new(operand)))?;
        }
        Ok(operand)
    }

    fn int(&self, digits: &str, negative: bool) -> Result<i64, Refusal> {
        let sign = if negative { "-" } else { "" };
        let (text, radix) = match digits
            .strip_prefix("0x")
            .or_else(|| digits.strip_prefix("0X"))
        {
            Some(digits) => (digits, 16),
            None => (digits, 10),
        };
        i64::from_str_radix(&format!("{sign}{text}"), radix)
            .map_err(|_| Refusal::new(self.peek().at, "this integer does not fit in 64 bits"))
    }

    /// Fields, calls and indexes after a value.
    fn member(&mut self, mut value: Syntax<'a>) -> Result<Syntax<'a>, Refusal> {
        loop {
            if self.accept(".").is_some() {
                let at = self.peek().at;
                let name = self.field_name()?;
                let below = value.depth;
                value = if self.accept("(").is_some() {
                    let arguments = self.list_until(")")?;
                    let below = deepest(&arguments).max(below);
                    self.node(
                        at,
                        below,
                        SyntaxKind::Call(Some(Box::new(value)), name, arguments),
                    )?
                } else {
                    self.node(at, below, SyntaxKind::Field(Box::new(value), name))?
                };
            } else if let Some(at) = self.accept("[") {
                let index = self.expression()?;
                self.expect("]")?;
                let below = value.depth.max(index.depth);
                value = self.node(
                    at,
                    below,
                    SyntaxKind::Index(Box::new(value), Box::new(index)),
                )?;
            } else {
                return Ok(value);
            }
        }
    }

    fn field_name(&mut self) -> Result<&'a str, Refusal> {
        if let Token::Name(name) = self.peek().token {
            self.advance();
            return Ok(name);
        }
        let found = describe(&self.peek().token);
        Err(Refusal::new(
            self.peek().at,
            format!("expected a name after `.`, found {found}"),
        ))
    }

    /// Expressions between commas, up to the closing symbol.
    fn list_until(&mut self, close: &str) -> Result<Vec<Syntax<'a>>, Refusal> {
        let mut items = Vec::new();
        while self.accept(close).is_none() {
            if !items.is_empty() {
                self.expect(",")?;
                // A list may end in a comma; the arguments of a call may not.
                if close == "]" && self.accept(close).is_some() {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }

    fn primary(&mut self) -> Result<Syntax<'a>, Refusal> {
        let at = self.peek().at;
        if self.accept("(").is_some() {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.accept("[").is_some() {
            let items = self.list_until("]")?;
            return self.node(at, deepest(&items), SyntaxKind::List(items));
        }
        if let Some(Placed {
            token: Token::Text(value),
            ..
        }) = self.tokens.get_mut(self.next)
        {
            let value = std::mem::take(value);
            self.advance();
            return self.node(at, 0, SyntaxKind::Text(value));
        }
        match self.peek().token {
            Token::Int(digits) => {
                let value = self.int(digits, false)?;
                self.advance();
                self.node(at, 0, SyntaxKind::Int(value))
            }
            Token::Name(name) => self.named(at, name),
            _ => Err(self.no_value(at)),
        }
    }

    fn named(&mut self, at: usize, name: &'a str) -> Result<Syntax<'a>, Refusal> {
        if name == "in" || RESERVED.contains(&name) {
            return Err(reserved(at, name));
        }
        self.advance();
        match name {
            "true" => return self.node(at, 0, SyntaxKind::Bool(true)),
            "false" => return self.node(at, 0, SyntaxKind::Bool(false)),
            _ => {}
        }
        if self.accept("(").is_none() {
            return self.node(at, 0, SyntaxKind::Name(name));
        }
        let arguments = self.list_until(")")?;
        self.node(
            at,
            deepest(&arguments),
            SyntaxKind::Call(None, name, arguments),
        )
    }

    fn no_operator(&self) -> Refusal {
        let Placed { token, at } = self.peek();
        let refusal = Refusal::new(
            *at,
            format!("expected an operator or the end, found {}", describe(token)),
        );
        match token {
            Token::Name("and" | "AND") => refusal.suggest("write `&&`"),
            Token::Name("or" | "OR") => refusal.suggest("write `||`"),
            Token::Symbol(_) => refusal,
            _ => refusal.suggest("join conditions with `&&` or `||`"),
        }
    }

    fn no_value(&self, at: usize) -> Refusal {
        match &self.peek().token {
            Token::Symbol("{") => Refusal::new(at, "maps and messages are not supported"),
            token => Refusal::new(at, format!("expected a value, found {}", describe(token))),
        }
    }
}

fn reserved(at: usize, name: &str) -> Refusal {
    match name {
        "null" => Refusal::new(at, "there is no `null` in a policy")
            .suggest("an absent attribute is the empty string `\"\"`"),
        "in" => Refusal::new(at, "expected a value, found `in`"),
        _ => Refusal::new(at, format!("`{name}` is a reserved word of CEL")),
    }
}

fn deepest(items: &[Syntax<'_>]) -> u8 {
    items.iter().map(|item| item.depth).max().unwrap_or(0)
}
