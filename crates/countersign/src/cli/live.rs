//! Lines on a terminal that change where they are, while something is waited for.

use std::io::{self, IsTerminal, Write};

use unicode_width::UnicodeWidthChar;

use crate::output::printable;

/// How many lines are shown at a time.
const MOST_LINES: usize = 12;
/// The width where a terminal does not tell its own.
const USUAL_WIDTH: usize = 80;

/// The lines, on standard error.
#[derive(Default)]
pub(super) struct Live {
    shown: Vec<String>,
}

impl Live {
    /// Whether there is a terminal that can move its cursor.
    pub(super) fn is_possible() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        io::stderr().is_terminal() && !is_dumb
    }

    /// Shows these lines in the place of the last ones.
    pub(super) fn show(&mut self, lines: &[String]) {
        let width = terminal_size::terminal_size_of(io::stderr())
            .map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0));
        let mut fitting: Vec<String> = lines.iter().take(MOST_LINES).cloned().collect();
        if lines.len() > MOST_LINES {
            fitting.push(format!("and {} more", lines.len() - MOST_LINES));
        }
        // A line that wraps would be two, and the cursor would not find back.
        let fitting = fitting.iter().map(|line| cut(&printable(line), width));
        let fitting: Vec<String> = fitting.collect();
        if fitting != self.shown {
            self.replace(fitting);
        }
    }

    /// Removes the lines.
    pub(super) fn clear(&mut self) {
        self.replace(Vec::new());
    }

    fn replace(&mut self, lines: Vec<String>) {
        let mut text = String::new();
        if !self.shown.is_empty() {
            text += &format!("\u{1b}[{}A\u{1b}[J", self.shown.len());
        }
        for line in &lines {
            text += &format!("{line}\n");
        }
        // If nobody can see it, the wait goes on all the same.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        self.shown = lines;
    }
}

impl Drop for Live {
    /// Also where the wait is given up: what is said next begins where the lines were.
    fn drop(&mut self) {
        if !self.shown.is_empty() {
            self.clear();
        }
    }
}

/// As much of a line as is less than so wide.
fn cut(line: &str, width: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < width
    };
    line.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_reaches_the_edge() {
        assert_eq!(cut("edge-1", 80), "edge-1");
        assert_eq!(cut("edge-1", 4), "edg");
        assert_eq!(cut("\u{6f22}\u{5b57}", 4), "\u{6f22}");
    }
}
