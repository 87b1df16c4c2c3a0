//! Texts and times, as they are shown.

/// Whether a character could move a terminal's cursor, or hide or reorder text.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text from a server, safe on a terminal: what could move the cursor, hide or reorder text is
/// replaced.
pub(crate) fn printable(text: &str) -> String {
    text.replace(is_unsafe, "\u{fffd}")
}

/// A text of several lines as one, each line end a space.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    printable(lines.join(" ").trim())
}

/// JSON with the same meaning, safe on a terminal: unsafe characters stand only in its texts, where an
/// escape means the same.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_unsafe(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text += &format!("\\u{unit:04x}");
        }
    }
    text
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
