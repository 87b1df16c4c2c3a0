//! The only code that writes to standard output: data in the requested format. A closed pipe ends
//! the command silently.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use countersign_client::Received;
use serde::Serialize;

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
}

/// Something that a table can show.
pub(crate) trait Row {
    /// The columns' names.
    const HEAD: &'static [&'static str];

    /// The columns' values, as many as there are names.
    fn cells(&self) -> Vec<String>;
}

impl<T: Row> Row for Received<T> {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self) -> Vec<String> {
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

    /// Writes a list.
    pub(crate) fn list<T: Serialize + Row>(self, entries: &[T]) -> CommandResult {
        match self.format {
            Format::Table => self.text(&table(entries)),
            Format::Jsonl => entries.iter().try_for_each(|entry| self.line(entry)),
            Format::Json | Format::Yaml => self.value(&entries),
        }
    }

    /// Writes one entry; a table then has a line for each column.
    pub(crate) fn one<T: Serialize + Row>(self, entry: &T) -> CommandResult {
        match self.format {
            Format::Table => self.text(&card(entry)),
            _ => self.value(entry),
        }
    }

    /// Writes one entry of an endless list.
    pub(crate) fn entry<T: Serialize + Row>(self, entry: &T) -> CommandResult {
        match self.format {
            Format::Table => {
                let cells: Vec<_> = entry.cells().iter().map(|cell| printable(cell)).collect();
                self.text(&format!("{}\n", cells.join("  ")))
            }
            // A list of one: together they are one YAML list.
            Format::Yaml => self.value(&[entry]),
            Format::Json | Format::Jsonl => self.line(entry),
        }
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

    fn line<T: Serialize>(self, entry: &T) -> CommandResult {
        let mut text = serde_json::to_string(entry).doing("write JSON")?;
        text.push('\n');
        self.text(&text)
    }

    /// Writes one document of any shape; a table shows it as JSON.
    pub(crate) fn value<T: Serialize>(self, value: &T) -> CommandResult {
        let text = match self.format {
            Format::Yaml => serde_norway::to_string(value).doing("write YAML")?,
            Format::Jsonl => return self.line(value),
            Format::Table | Format::Json => {
                serde_json::to_string_pretty(value).doing("write JSON")? + "\n"
            }
        };
        self.text(&text)
    }
}

/// Prints a message to standard error, beside the data. If that is closed, nobody is listening. What
/// it repeats of a server's answer cannot steer the terminal.
pub(crate) fn note(message: &str) {
    let lines: Vec<String> = message.split('\n').map(printable).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// Asks before something that cannot be undone, unless `yes`. Without a terminal, the command is
/// refused.
pub(crate) fn confirm(question: &str, yes: bool) -> CommandResult {
    if yes {
        return Ok(());
    }
    ask(question, "this cannot be undone")
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

fn table<T: Row>(entries: &[T]) -> String {
    let mut table = plain_table();
    table.set_header(T::HEAD.iter().map(|name| name.to_uppercase()));
    for entry in entries {
        table.add_row(entry.cells().iter().map(|cell| printable(cell)));
    }
    trimmed(&table)
}

fn card<T: Row>(entry: &T) -> String {
    let mut table = plain_table();
    for (name, cell) in T::HEAD.iter().zip(entry.cells()) {
        table.add_row([(*name).to_owned(), printable(&cell)]);
    }
    trimmed(&table)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn trimmed(table: &Table) -> String {
    table
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

/// A text from a server, safe on a terminal: what could move the cursor, hide or reorder text is
/// replaced.
pub(crate) fn printable(text: &str) -> String {
    let unsafe_to_show = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.replace(unsafe_to_show, "\u{fffd}")
}

/// A time in RFC 3339, UTC.
pub(crate) fn timestamp(unix_seconds: u64) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|at| {
            at.format(&time::format_description::well_known::Rfc3339)
                .ok()
        })
        .unwrap_or_else(|| unix_seconds.to_string())
}

/// A time in RFC 3339, or a dash for none.
pub(crate) fn timestamp_or_dash(unix_seconds: Option<u64>) -> String {
    unix_seconds.map_or_else(dash, timestamp)
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

    #[derive(Serialize)]
    struct Thing(&'static str, u64);

    impl Row for Thing {
        const HEAD: &'static [&'static str] = &["name", "at"];
        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), timestamp(self.1)]
        }
    }

    #[test]
    fn tables_line_up_and_end_without_blanks() {
        let things = [Thing("a", 0), Thing("long name", 1_700_000_000)];
        assert_eq!(
            table(&things),
            "NAME       AT\na          1970-01-01T00:00:00Z\nlong name  2023-11-14T22:13:20Z\n"
        );
        assert_eq!(card(&things[0]), "name  a\nat    1970-01-01T00:00:00Z\n");
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{202e}c\n"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}"
        );
    }
}
