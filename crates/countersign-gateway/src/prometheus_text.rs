//! Prometheus's text format, for what is counted here and not by the recorder.

use std::fmt::Write as _;

/// Labels, by name.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Writes what comes before a metric's values.
pub(crate) fn begin(name: &str, help: &str, kind: &str, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Writes a value.
pub(crate) fn value(
    name: &str,
    labels: Labels<'_>,
    value: impl std::fmt::Display,
    text: &mut String,
) {
    text.push_str(name);
    let mut open = '{';
    for (label, value) in labels {
        text.push(open);
        open = ',';
        text.push_str(label);
        text.push_str("=\"");
        escape(value, text);
        text.push('"');
    }
    if !labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// A label may hold whatever the configuration does.
fn escape(value: &str, text: &mut String) {
    for each in value.chars() {
        match each {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_hold_anything() {
        let mut text = String::new();
        value("a", &[], 1, &mut text);
        value("b", &[("c", "d"), ("e", "\"\\\n")], 2, &mut text);
        assert_eq!(text, "a 1\nb{c=\"d\",e=\"\\\"\\\\\\n\"} 2\n");
    }
}
