//! The whole command line as clap knows it: with examples in every help, and other names for the
//! verbs that have some everywhere.

use clap::{Command, CommandFactory};

use super::{Cli, complete::with_values, examples::EXAMPLES};

/// Verbs that people know by another name.
const OTHER_NAMES: [(&str, &[&str]); 3] = [
    ("list", &["ls"]),
    ("retrieve", &["get", "show"]),
    ("delete", &["rm"]),
];

/// What people come for, below the list of all commands.
const TASKS: &str = "Tasks:
  see what is enforced where       countersign status
  see who still uses a CA          countersign certificate usage OLD
  replace a CA without an outage   countersign certificate upload new.pem --name NEW
                                   countersign rotation start OLD NEW
                                   countersign rotation status     # who has not moved
                                   countersign rotation finish
  see why a request was refused    countersign explain
  take a client's access away      countersign api-key delete KEY --project PROJECT
                                   countersign certificate deactivate CA --project PROJECT
  use a tool that cannot send      countersign connect URL --exec -- PROGRAM
  a client certificate
  keep the set-up in a file        countersign export trust.toml
                                   countersign plan trust.toml
                                   countersign apply trust.toml
  see what somebody changed        countersign audit-log list --since 1d
  find what is wrong here          countersign doctor";

impl Cli {
    /// The root of the command line.
    pub(crate) fn root() -> Command {
        complete(Self::command(), &mut Vec::new())
    }
}

fn complete(mut command: Command, path: &mut Vec<String>) -> Command {
    if let Some((_, examples)) = EXAMPLES.iter().find(|(of, _)| *of == path.join(" ")) {
        let lines: String = examples
            .iter()
            .map(|line| format!("\n  countersign {line}"))
            .collect();
        command = command.after_help(format!("Examples:{lines}"));
    }
    if path.is_empty() {
        command = command.after_help(TASKS);
    } else {
        // `countersign help NOUN VERB` serves them all.
        command = command.disable_help_subcommand(true);
    }
    let own = OTHER_NAMES
        .iter()
        .find(|(name, _)| path.len() > 1 && *name == command.get_name());
    if let Some((_, others)) = own {
        command = command.visible_aliases(others.iter().copied());
    }
    let noun = path.first().cloned();
    command = command.mut_args(|argument| with_values(argument, noun.as_deref()));
    let names: Vec<String> = command
        .get_subcommands()
        .map(|each| each.get_name().to_owned())
        .collect();
    for name in names {
        path.push(name.clone());
        command = command.mut_subcommand(name, |each| complete(each, path));
        path.pop();
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line as a shell splits it, without what follows `#`, a pipe or `>`.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec!["countersign".to_owned()];
        let (mut word, mut quoted, mut begun) = (String::new(), false, false);
        for c in line.chars() {
            match c {
                '\'' => (quoted, begun) = (!quoted, true),
                '#' | '|' | '>' if !quoted && !begun => return words,
                ' ' if !quoted => {
                    if begun {
                        words.push(std::mem::take(&mut word));
                    }
                    begun = false;
                }
                c => {
                    word.push(c);
                    begun = true;
                }
            }
        }
        if begun {
            words.push(word);
        }
        words
    }

    /// The paths of all commands that do something by themselves.
    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for each in command.get_subcommands() {
            let name = format!("{path} {}", each.get_name());
            let name = name.trim().to_owned();
            if each.has_subcommands() {
                leaves(each, &name, found);
            }
            if !each.is_subcommand_required_set() {
                found.push(name);
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_they_can_be_run() {
        let mut found = Vec::new();
        leaves(&Cli::root(), "", &mut found);
        assert!(found.len() > 60, "{found:?}");
        for path in &found {
            let examples = EXAMPLES.iter().find(|(of, _)| of == path);
            let (_, examples) = examples.unwrap_or_else(|| panic!("`{path}` has no examples"));
            assert!(!examples.is_empty(), "{path}");
            for line in *examples {
                assert!(line.starts_with(path.as_str()), "{path}: {line}");
                let read = Cli::root().try_get_matches_from(words(line));
                assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            }
        }
        for (path, _) in EXAMPLES {
            assert!(
                found.iter().any(|each| each == path),
                "`{path}` is no command"
            );
        }
    }

    #[test]
    fn verbs_have_the_names_that_people_know() {
        for line in [
            "certificate ls",
            "certificate get cert_a",
            "certificate show cert_a",
            "certificate rm cert_a --yes",
            "webhook ls",
            "audit-log ls",
        ] {
            let read = Cli::root().try_get_matches_from(words(line));
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
        }
    }
}
