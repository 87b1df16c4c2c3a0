//! Texts and times, as they are shown.

/// A text from a server, safe on a terminal: what could move the cursor, hide or reorder text is
/// replaced.
pub(crate) fn printable(text: &str) -> String {
    let unsafe_to_show = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
    };
    text.replace(unsafe_to_show, "\u{fffd}")
}

/// The same for a text of several lines, which stay apart.
pub(crate) fn printable_lines(text: &str) -> String {
    let line = |line: &str| printable(line.strip_suffix('\r').unwrap_or(line));
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
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
