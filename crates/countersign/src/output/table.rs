//! Tables: what a cell holds, and how the cells of a list are laid out on a terminal of any width.

use std::io::{self, IsTerminal};

use comfy_table::{Color, ContentArrangement, Table, presets};
use countersign_types::UnixSeconds;
use unicode_width::UnicodeWidthStr;

use super::text::{one_line, printable, printable_lines, timestamp};
use crate::clock;

/// How soon an expiry is shown as a warning, in seconds: 30 days.
const SOON: UnixSeconds = 30 * 24 * 60 * 60;
/// The narrowest that a table is made; a terminal that says it is narrower is not believed.
const NARROWEST: usize = 20;

/// What is good or bad about a value: its colour on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Warning,
    /// Something is refused, or broken.
    Bad,
}

/// A value in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    /// A time, shown in RFC 3339 with how far from now it is.
    Time(UnixSeconds),
    /// The time at which something stops being valid.
    Expiry(UnixSeconds),
    State(Tone, String),
    /// A text of several lines, which stay apart where there is room.
    Lines(String),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// The cells of a row, each from a text or a cell.
macro_rules! row {
    ($($cell:expr),* $(,)?) => {
        vec![$($crate::output::Cell::from($cell)),*]
    };
}
pub(crate) use row;

/// A time, or a dash for none.
pub(crate) fn moment(at: impl Into<Option<UnixSeconds>>) -> Cell {
    at.into().map_or_else(|| Cell::from("-"), Cell::Time)
}

/// An end of validity, or a dash for none.
pub(crate) fn expiry(at: impl Into<Option<UnixSeconds>>) -> Cell {
    at.into().map_or_else(|| Cell::from("-"), Cell::Expiry)
}

/// A text that may have several lines, or a dash for none.
pub(crate) fn lines_or_dash(text: Option<&str>) -> Cell {
    text.map_or_else(|| Cell::from("-"), |text| Cell::Lines(text.to_owned()))
}

/// Something that a table can show.
pub(crate) trait Row {
    /// The columns' names.
    const HEAD: &'static [&'static str];

    /// The columns' values, as many as there are names.
    fn cells(&self) -> Vec<Cell>;
}

/// How much of a time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    /// RFC 3339, and how far from now.
    Full,
    /// How far from now.
    Short,
}

/// What tables are made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paper {
    /// The columns of the terminal; none where lines may have any length.
    width: Option<usize>,
    colour: bool,
    now: UnixSeconds,
}

impl Paper {
    /// Standard output as it is: a terminal, or not.
    pub(super) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: is_terminal
                .then(columns)
                .flatten()
                .filter(|at| *at >= NARROWEST),
            colour: is_terminal && !is_dumb && !set("NO_COLOR"),
            now: clock::unix_seconds(),
        }
    }

    /// A list as a table; where that is too wide, as a block of lines for each entry.
    pub(super) fn table<T: Row>(self, entries: &[T]) -> String {
        let rows: Vec<Vec<Cell>> = entries.iter().map(Row::cells).collect();
        let full = self.columns(T::HEAD, &rows, Times::Full);
        let Some(width) = self.width.filter(|width| widest(&full) > *width) else {
            return self.text(full);
        };
        let short = self.columns(T::HEAD, &rows, Times::Short);
        if widest(&short) <= width || entries.is_empty() {
            return self.text(short);
        }
        let blocks: Vec<String> = rows
            .into_iter()
            .map(|row| self.block(T::HEAD, row))
            .collect();
        blocks.join("\n")
    }

    /// One entry, with a line for each column.
    pub(super) fn card<T: Row>(self, entry: &T) -> String {
        self.block(T::HEAD, entry.cells())
    }

    fn columns(self, head: &[&str], rows: &[Vec<Cell>], times: Times) -> Table {
        let mut table = plain();
        table.set_header(head.iter().map(|name| name.to_uppercase()));
        for row in rows {
            table.add_row(row.iter().map(|cell| self.shown(cell, times)));
        }
        table
    }

    /// Values, each with its name.
    pub(super) fn block(self, head: &[&str], row: Vec<Cell>) -> String {
        let mut table = plain();
        for (name, cell) in head.iter().zip(row) {
            let shown = match &cell {
                Cell::Lines(text) => comfy_table::Cell::new(printable_lines(text.trim_end())),
                cell => self.shown(cell, Times::Full),
            };
            table.add_row([comfy_table::Cell::new(name), shown]);
        }
        if let Some(width) = self.width.filter(|width| widest(&table) > *width) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
        self.text(table)
    }

    fn text(self, mut table: Table) -> String {
        if self.colour {
            table.enforce_styling();
        }
        lines(&table).map(|line| line + "\n").collect()
    }

    fn shown(self, cell: &Cell, times: Times) -> comfy_table::Cell {
        let (tone, text) = match cell {
            Cell::Text(text) => (None, printable(text)),
            Cell::State(tone, text) => (Some(*tone), printable(text)),
            Cell::Lines(text) => (None, one_line(text)),
            Cell::Time(at) => (None, self.time(*at, times)),
            Cell::Expiry(at) => {
                let tone = match at.checked_sub(self.now) {
                    None | Some(0) => Some(Tone::Bad),
                    Some(left) => (left <= SOON).then_some(Tone::Warning),
                };
                (tone, self.time(*at, times))
            }
        };
        let shown = comfy_table::Cell::new(text);
        match tone {
            Some(Tone::Good) => shown.fg(Color::DarkGreen),
            Some(Tone::Warning) => shown.fg(Color::DarkYellow),
            Some(Tone::Bad) => shown.fg(Color::DarkRed),
            None => shown,
        }
    }

    fn time(self, at: UnixSeconds, times: Times) -> String {
        let relative = relative(at, self.now);
        match times {
            Times::Full => format!("{} ({relative})", timestamp(at)),
            Times::Short => relative,
        }
    }
}

/// A text without what a table adds: one line of an endless list.
pub(super) fn plain_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::State(_, text) => printable(text),
        Cell::Lines(text) => one_line(text),
        Cell::Time(at) | Cell::Expiry(at) => timestamp(*at),
    }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Whether there is colour is decided by `Paper`, also for the tests.
    table.force_no_tty();
    table.style_text_only();
    table
}

/// The lines without the blank before the first column, and those that fill the last.
fn lines(table: &Table) -> impl Iterator<Item = String> {
    let without = |line: String| {
        line.strip_prefix(' ')
            .unwrap_or(&line)
            .trim_end()
            .to_owned()
    };
    table.lines().map(without)
}

fn widest(table: &Table) -> usize {
    let widths = lines(table).map(|line| line.width());
    widths.max().unwrap_or(0)
}

/// How far a time is from now, in the unit that says it best.
pub(crate) fn relative(at: UnixSeconds, now: UnixSeconds) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const MONTH: u64 = 30 * DAY;
    const YEAR: u64 = 365 * DAY;
    let apart = at.abs_diff(now);
    let (unit, name) = match apart {
        0..MINUTE => return "now".to_owned(),
        MINUTE..HOUR => (MINUTE, "min"),
        HOUR.. if apart < 2 * DAY => (HOUR, "h"),
        HOUR.. if apart < 3 * MONTH => (DAY, "d"),
        HOUR.. if apart < 2 * YEAR => (MONTH, "mo"),
        HOUR.. => (YEAR, "y"),
    };
    // The nearest: a certificate for 90 days that was just made ends in 90 days.
    let count = (apart + unit / 2) / unit;
    if at > now {
        format!("in {count} {name}")
    } else {
        format!("{count} {name} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, UnixSeconds);

    impl Row for Thing {
        const HEAD: &'static [&'static str] = &["name", "seen", "state"];
        fn cells(&self) -> Vec<Cell> {
            row![
                self.0,
                moment(self.1),
                Cell::State(Tone::Bad, "refused".to_owned())
            ]
        }
    }

    const NOW: UnixSeconds = 1_700_000_000;

    fn paper(width: Option<usize>) -> Paper {
        Paper {
            width,
            colour: false,
            now: NOW,
        }
    }

    struct Policy;

    impl Row for Policy {
        const HEAD: &'static [&'static str] = &["policy"];
        fn cells(&self) -> Vec<Cell> {
            vec![lines_or_dash(Some("a == \"b\"\n  && c\n"))]
        }
    }

    #[test]
    fn several_lines_are_one_in_a_table_and_stay_apart_where_there_is_room() {
        assert_eq!(paper(None).table(&[Policy]), "POLICY\na == \"b\" && c\n");
        assert_eq!(
            paper(None).card(&Policy),
            "policy  a == \"b\"\n          && c\n"
        );
    }

    #[test]
    fn tables_line_up_and_end_without_blanks() {
        let things = [Thing("a", NOW - 7200), Thing("long name", NOW)];
        assert_eq!(
            paper(None).table(&things),
            "NAME       SEEN                            STATE\n\
             a          2023-11-14T20:13:20Z (2 h ago)  refused\n\
             long name  2023-11-14T22:13:20Z (now)      refused\n"
        );
    }

    #[test]
    fn where_there_is_less_room_times_are_short_and_then_each_entry_is_a_block() {
        let things = [Thing("a", NOW - 7200), Thing("long name", NOW)];
        assert_eq!(
            paper(Some(40)).table(&things),
            "NAME       SEEN     STATE\n\
             a          2 h ago  refused\n\
             long name  now      refused\n"
        );
        let blocks = paper(Some(24)).table(&things);
        assert_eq!(blocks.matches("name  ").count(), 2, "{blocks}");
        assert!(blocks.lines().all(|line| line.len() <= 24), "{blocks}");
    }

    #[test]
    fn colour_is_for_terminals() {
        let thing = [Thing("a", NOW)];
        let colourful = Paper {
            colour: true,
            ..paper(None)
        };
        let table = colourful.table(&thing);
        assert!(table.contains("\u{1b}["), "{table:?}");
        assert!(!paper(None).table(&thing).contains('\u{1b}'));
    }

    #[test]
    fn a_time_is_said_in_the_unit_that_fits() {
        for (seconds, said) in [
            (0, "now"),
            (59, "now"),
            (90, "in 2 min"),
            (3 * 3600, "in 3 h"),
            (90 * 86_400 - 5, "in 90 d"),
            (365 * 86_400, "in 12 mo"),
            (3650 * 86_400, "in 10 y"),
        ] {
            assert_eq!(relative(NOW + seconds, NOW), said);
        }
        assert_eq!(relative(NOW - 86_400 * 3, NOW), "3 d ago");
    }
}
