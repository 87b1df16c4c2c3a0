//! The blocks of a PEM file, or the first place where it is damaged.
//!
//! Lines count from 1. What the server tolerates is tolerated here too: spaces and quotes around lines,
//! text around blocks, line ends of any system, and `\n` written as two characters.

use std::path::Path;

use data_encoding::BASE64;

use crate::{failure::Failure, files::shell_quoted};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A block of a PEM file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) label: String,
    /// The line that it begins on.
    pub(crate) line: usize,
    pub(crate) der: Vec<u8>,
}

/// Where a PEM file is damaged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// This line begins a block behind the mark that a mail program puts before what it quotes.
    Quoted(usize),
    /// One block ends and the next begins on this line.
    Glued(usize),
    /// The block that begins here goes on in the same line: its line ends were lost.
    OneLine(usize),
    /// The block that begins here has no end.
    Unended(usize),
    /// The block that begins here ends with another label.
    OtherEnd(usize),
    /// This line within a block is not base 64.
    NotBase64(usize),
    /// There is nothing in the block that begins here.
    Nothing(usize),
    /// The base 64 of the block that begins here ends too early.
    CutShort(usize),
}

/// The labels of the lines that begin a block.
pub(super) fn labels(text: &str) -> Vec<String> {
    let after = text.split(BEGIN).skip(1);
    after
        .filter_map(|rest| Some(rest.split_once(DASHES)?.0.trim().to_owned()))
        .filter(|label| label.len() <= 40 && !label.contains('\n'))
        .collect()
}

/// The blocks of a text, whatever they hold.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block>, Flaw> {
    let text = text
        .trim_start_matches('\u{feff}')
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let mut lines = (1..).zip(text.lines().map(bare));
    let mut blocks = Vec::new();
    while let Some((line, begin)) = lines.next() {
        let Some((label, after)) = begin
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.split_once(DASHES))
        else {
            if unquoted(begin).starts_with(BEGIN) {
                return Err(Flaw::Quoted(line));
            }
            continue;
        };
        if !after.is_empty() {
            return Err(Flaw::OneLine(line));
        }
        let base64 = body(label, line, &mut lines)?;
        blocks.push(Block {
            label: label.to_owned(),
            line,
            der: decode(line, &base64)?,
        });
    }
    Ok(blocks)
}

/// A line without the spaces and quotes that pasting leaves around it.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'')
}

/// A line without the marks of a quotation.
fn unquoted(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || c == '>' || c == '|')
}

/// The base 64 between the first line of a block and its last.
fn body<'a>(
    label: &str,
    begin: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, Flaw> {
    let mut base64 = String::new();
    for (number, line) in lines {
        if let Some(end) = line.strip_prefix(END) {
            let (ended, after) = end.split_once(DASHES).ok_or(Flaw::OtherEnd(begin))?;
            return match (ended == label, after) {
                (true, "") => Ok(base64),
                (_, after) if after.contains(BEGIN.trim_end()) || after.starts_with("BEGIN ") => {
                    Err(Flaw::Glued(number))
                }
                _ => Err(Flaw::OtherEnd(begin)),
            };
        }
        if line.starts_with(BEGIN) {
            break;
        }
        // The headers of an encrypted key, as OpenSSL once wrote them.
        if line.contains(": ") || (label.ends_with("PRIVATE KEY") && line.contains(',')) {
            continue;
        }
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/= ".contains(&byte);
        if !line.bytes().all(is_base64) {
            return Err(Flaw::NotBase64(number));
        }
        base64.extend(line.chars().filter(|each| *each != ' '));
    }
    Err(Flaw::Unended(begin))
}

fn decode(begin: usize, base64: &str) -> Result<Vec<u8>, Flaw> {
    if base64.is_empty() {
        return Err(Flaw::Nothing(begin));
    }
    BASE64
        .decode(base64.as_bytes())
        .map_err(|_| Flaw::CutShort(begin))
}

impl Flaw {
    /// Says where a file is damaged, and what to do.
    pub(crate) fn in_file(&self, path: &Path) -> Failure {
        let shown = path.display();
        let file = shell_quoted(&path.display().to_string());
        let again = || "copy the whole file again from where it came from".to_owned();
        let (what, hint) = match self {
            Self::Quoted(line) => (
                format!(
                    "line {line} of `{shown}` is quoted, as in a reply to an e-mail: marks stand before its PEM"
                ),
                format!("take them away: `sed 's/^[>| ]*//' {file} > new.pem`"),
            ),
            Self::Glued(line) => (
                format!(
                    "line {line} of `{shown}` is two lines: one PEM block ends there and the next begins"
                ),
                format!("break it: `sed 's/-----END CERTIFICATE-----/&\\n/' {file} > new.pem`"),
            ),
            Self::OneLine(line) => (
                format!(
                    "line {line} of `{shown}` goes on after `-----BEGIN …-----`: the file lost its line ends"
                ),
                again(),
            ),
            Self::Unended(line) => (
                format!(
                    "the PEM block on line {line} of `{shown}` is cut short: it has no `-----END …-----`"
                ),
                again(),
            ),
            Self::OtherEnd(line) => (
                format!("the PEM block on line {line} of `{shown}` does not end as it begins"),
                again(),
            ),
            Self::NotBase64(line) => (
                format!("line {line} of `{shown}` is damaged: it is not base64"),
                again(),
            ),
            Self::Nothing(line) => (
                format!("the PEM block on line {line} of `{shown}` is empty"),
                again(),
            ),
            Self::CutShort(line) => (
                format!(
                    "the PEM block on line {line} of `{shown}` is damaged: its base64 ends too early"
                ),
                again(),
            ),
        };
        Failure::new(what).hint(hint)
    }
}
