//! Runs a command and writes down what a user sees, without what differs from run to run.

use std::process::{Command, Output};

use regex_lite::Regex;

/// Exit code, standard output and standard error, as one text for a snapshot.
pub(crate) fn seen(mut command: Command) -> String {
    transcript(&command.output().unwrap())
}

pub(crate) fn transcript(ran: &Output) -> String {
    let part = |name: &str, bytes: &[u8]| match String::from_utf8_lossy(bytes).into_owned() {
        text if text.is_empty() => String::new(),
        text => format!("--- {name}\n{text}"),
    };
    steady(&format!(
        "exit {}\n{}{}",
        ran.status.code().unwrap(),
        part("stdout", &ran.stdout),
        part("stderr", &ran.stderr)
    ))
}

/// Replaces ids, keys, times, ports and temporary directories.
pub(crate) fn steady(text: &str) -> String {
    let rules = [
        // Whether a gateway has reported its streams by then is a matter of milliseconds.
        (r#",\n *"streams": \{[^}]*\}"#, ""),
        (r"\b(sk-[a-z]+-)[0-9A-Za-z_-]{8,}", "${1}[key]"),
        (r"\b(sk-[a-z]+-)\*\*\*\w{4}", "${1}***[4]"),
        (
            r"\b(cert|proj|key|req|rot|svc_acct|asrt)_[0-9a-z]{26}\b",
            "${1}_[id]",
        ),
        (r"\b(org|audit_log)-[0-9a-z]{26}\b", "${1}-[id]"),
        (
            r"reported within the last \d+ s",
            "reported within the last [some] s",
        ),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
        (r#"((?:_at|as_of)"?: ?)\d+"#, "${1}[time]"),
        (r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:[port]"),
        (r"sport = :\d+", "sport = :[port]"),
        (r"clocks are \d s apart", "clocks are 0 s apart"),
        (r"/\S*/\.tmp\w+", "[dir]"),
        (r"\b[0-9a-f]{64}\b", "[sha256]"),
        (r"\b[0-9a-f]{40}\b", "[key identifier]"),
        (r"(?m) +$", ""),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *with)
            .into_owned()
    })
}
