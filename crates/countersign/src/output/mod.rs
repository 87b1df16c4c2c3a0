//! The only code that writes to standard output: data in the requested format. A closed pipe ends
//! the command silently.

mod table;
mod text;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use countersign_client::Received;
use serde::Serialize;

pub(crate) use self::table::{Cell, Row, Tone, expiry, lines_or_dash, moment, relative, row};
pub(crate) use self::text::{is_unsafe, one_line, printable, printable_lines, timestamp};
use self::{
    table::{Paper, plain_text},
    text::escaped,
};

use crate::failure::{CommandResult, Doing, Failure};

/// The format of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people; times in RFC 3339
    Table,
    /// One JSON document; a list is an array, times are Unix seconds
    Json,
    /// One JSON document per line and entry
    Jsonl,
    /// One YAML document
    Yaml,
    /// The ids alone: what `--quiet` asks for
    #[value(skip)]
    Ids,
}

impl<T: Row> Row for Received<T> {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self) -> Vec<Cell> {
        T::cells(self)
    }
}

/// Standard output in the chosen format.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// The requested format; else a table on a terminal and JSON in a pipe.
    pub(crate) fn new(asked: Option<Format>) -> Self {
        let usual = if io::stdout().is_terminal() {
            Format::Table
        } else {
            Format::Json
        };
        Self {
            format: asked.unwrap_or(usual),
        }
    }

    /// Whether the output is for people.
    pub(crate) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// Whether ids alone are wanted.
    pub(crate) fn is_quiet(self) -> bool {
        self.format == Format::Ids
    }

    /// Writes a list of such things. Where people would see nothing, it says that there are none.
    pub(crate) fn list_of<T: Serialize + Row>(self, what: &str, entries: &[T]) -> CommandResult {
        if entries.is_empty() && self.is_table() {
            note(&format!("no {what}"));
            return Ok(());
        }
        self.list(entries)
    }

    /// Writes a list.
    pub(crate) fn list<T: Serialize + Row>(self, entries: &[T]) -> CommandResult {
        match self.format {
            Format::Table => self.text(&Paper::of_stdout().table(entries)),
            Format::Jsonl => entries.iter().try_for_each(|entry| self.line(entry)),
            Format::Ids => self.ids(entries),
            Format::Json | Format::Yaml => self.value(&entries),
        }
    }

    /// Writes one entry; a table then has a line for each column.
    pub(crate) fn one<T: Serialize + Row>(self, entry: &T) -> CommandResult {
        match self.format {
            Format::Table => self.text(&Paper::of_stdout().card(entry)),
            _ => self.value(entry),
        }
    }

    /// Writes values for people, a line or more for each with its name.
    pub(crate) fn card(self, rows: Vec<(&str, Cell)>) -> CommandResult {
        let (head, cells): (Vec<&str>, Vec<Cell>) = rows.into_iter().unzip();
        self.text(&Paper::of_stdout().block(&head, cells))
    }

    /// Writes one entry of an endless list.
    pub(crate) fn entry<T: Serialize + Row>(self, entry: &T) -> CommandResult {
        match self.format {
            Format::Table => {
                let cells: Vec<_> = entry.cells().iter().map(plain_text).collect();
                self.text(&format!("{}\n", cells.join("  ")))
            }
            // A list of one: together they are one YAML list.
            Format::Yaml => self.value(&[entry]),
            Format::Json | Format::Jsonl => self.line(entry),
            Format::Ids => self.ids(&[entry]),
        }
    }

    /// Writes what somebody else wrote: as it is for a program, and without what would move a terminal's
    /// cursor on one.
    pub(crate) fn foreign(self, text: &str) -> CommandResult {
        if io::stdout().is_terminal() {
            return self.text(&printable_lines(text));
        }
        self.text(text)
    }

    /// Writes a text as it is, whatever the format.
    pub(crate) fn text(self, text: &str) -> CommandResult {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are, whatever the format.
    pub(crate) fn bytes(self, bytes: &[u8]) -> CommandResult {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent()),
            other => other.doing("write to standard output"),
        }
    }

    /// Writes the ids of entries. That those which were found have none is said, for nothing was asked
    /// for but them.
    fn ids<T: Serialize>(self, entries: &[T]) -> CommandResult {
        let mut found = 0;
        for entry in entries {
            let entry = serde_json::to_value(entry).doing("write JSON")?;
            if let Some(id) = entry.get("id").and_then(serde_json::Value::as_str) {
                self.text(&format!("{}\n", printable(id)))?;
                found += 1;
            }
        }
        if found == 0 && !entries.is_empty() {
            note("`--quiet` prints ids, and nothing here has one; `-o json` prints all of it");
        }
        Ok(())
    }

    fn line<T: Serialize>(self, entry: &T) -> CommandResult {
        let mut text = serde_json::to_string(entry).doing("write JSON")?;
        text.push('\n');
        self.json(&text)
    }

    /// Writes JSON; on a terminal, with what could reorder its text written as escapes.
    fn json(self, text: &str) -> CommandResult {
        if io::stdout().is_terminal() {
            return self.text(&escaped(text));
        }
        self.text(text)
    }

    /// Writes one document of any shape; a table shows it as JSON.
    pub(crate) fn value<T: Serialize>(self, value: &T) -> CommandResult {
        let text = match self.format {
            // In YAML not every text can have escapes.
            Format::Yaml => {
                return self.foreign(&serde_norway::to_string(value).doing("write YAML")?);
            }
            Format::Jsonl => return self.line(value),
            Format::Ids => return self.ids(&[value]),
            Format::Table | Format::Json => {
                serde_json::to_string_pretty(value).doing("write JSON")? + "\n"
            }
        };
        self.json(&text)
    }
}

/// Prints a message to standard error, beside the data. If that is closed, nobody is listening. What
/// it repeats of a server's answer cannot steer the terminal.
pub(crate) fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", printable_lines(message));
}

/// Asks before something that cannot be undone, unless `yes`. Without a terminal, the command is
/// refused.
pub(crate) fn confirm(question: &str, yes: bool) -> CommandResult {
    if yes {
        return Ok(());
    }
    ask(question, "this cannot be undone")
}

/// Whether a person sees what is written: elsewhere it may be kept.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks, and returns only if the answer is yes. Without a terminal, the command is refused, with
/// the reason for asking.
pub(crate) fn ask(question: &str, reason: &str) -> CommandResult {
    if !can_ask() {
        let what = format!("{reason}, and there is no terminal to ask for confirmation");
        return Err(Failure::usage(what).hint("pass `--yes` to confirm"));
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")
        .and_then(|()| stderr.flush())
        .doing("ask")?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .doing("read the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new("not confirmed; nothing was changed"))
}

/// A text, or a dash for none.
pub(crate) fn text_or_dash(text: Option<&str>) -> String {
    text.map_or_else(dash, str::to_owned)
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{202e}c\n"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"
        );
        for hidden in [
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{2066}',
            '\u{fff9}',
            '\u{e0041}',
        ] {
            assert_eq!(
                printable(&format!("a{hidden}b")),
                "a\u{fffd}b",
                "{hidden:?}"
            );
        }
    }

    #[test]
    fn json_on_a_terminal_means_the_same_and_reorders_nothing() {
        let value = serde_json::json!({ "name": "a\u{202e}b\u{e0041}\n", "other": ["\u{200b}"] });
        let shown = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(
            !shown.contains(['\u{202e}', '\u{e0041}', '\u{200b}']),
            "{shown}"
        );
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn printable_lines_stay_lines() {
        assert_eq!(
            printable_lines("Subject: \u{1b}[31mCA\r\n-----BEGIN\n"),
            "Subject: \u{fffd}[31mCA\n-----BEGIN\n"
        );
    }
}
