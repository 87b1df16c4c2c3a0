//! Prometheus's text format, read back: the metrics of this program are all shown in it, whatever counts
//! them.

/// A metric, and the values that it has.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Family<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    /// `counter`, `gauge` or `histogram`.
    pub(crate) kind: &'a str,
    pub(crate) values: Vec<Sample<'a>>,
}

/// One value.
#[derive(Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    /// What follows the metric's name: `_bucket`, `_sum` or `_count` of a histogram.
    pub(crate) end: &'a str,
    pub(crate) labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

/// The metrics of a text. What cannot be read is left out.
pub(crate) fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if let Some(family) = family(&mut families, name) {
                family.help = help;
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let Some((name, kind)) = rest.split_once(' ')
                && let Some(family) = family(&mut families, name)
            {
                family.kind = kind;
            }
        } else if let (Some(last), Some((name, rest))) = (families.last_mut(), name_of(line))
            && let Some(end) = name.strip_prefix(last.name)
            && let Some((labels, value)) = labels_of(rest)
            && let Ok(value) = value.trim().parse()
        {
            last.values.push(Sample { end, labels, value });
        }
    }
    families.retain(|family| !family.values.is_empty());
    families
}

/// The metric that the lines are of from here on.
fn family<'f, 'a>(families: &'f mut Vec<Family<'a>>, name: &'a str) -> Option<&'f mut Family<'a>> {
    if families.last().is_none_or(|last| last.name != name) {
        families.push(Family {
            name,
            ..Family::default()
        });
    }
    families.last_mut()
}

fn name_of(line: &str) -> Option<(&str, &str)> {
    let end = line.find(['{', ' '])?;
    line.split_at_checked(end)
}

/// The labels before a value, if any, and the value.
fn labels_of(text: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((labels, text));
    };
    loop {
        if let Some(value) = rest.strip_prefix('}') {
            return Some((labels, value));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((name, value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        let text = "# HELP a_total so many\n# TYPE a_total counter\na_total{b=\"c\",d=\"\\\"\\\\\\n\"} 3\n\
            a_total 4\n\n# TYPE e histogram\ne_bucket{le=\"+Inf\"} 1\ne_sum 0.5\ne_count 1\nnonsense\n\
            # TYPE f gauge\n";
        let families = families(text);
        let [counter, histogram] = families.as_slice() else {
            panic!("{families:?}");
        };
        assert_eq!(
            (counter.name, counter.help, counter.kind),
            ("a_total", "so many", "counter")
        );
        let labels = vec![("b", "c".to_owned()), ("d", "\"\\\n".to_owned())];
        let first = Sample {
            end: "",
            labels,
            value: 3.0,
        };
        assert_eq!(counter.values[0], first);
        assert_eq!(counter.values[1].value, 4.0);
        let ends: Vec<&str> = histogram.values.iter().map(|value| value.end).collect();
        assert_eq!(ends, ["_bucket", "_sum", "_count"]);
    }
}
