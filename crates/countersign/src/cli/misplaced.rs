//! What a command line was meant to be: a verb where a noun belongs, as in `countersign activate`, and words
//! of other tools.

use clap::{
    Arg, Command, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    Cli, complete,
    other_words::{hint_of_flag, hint_of_word},
};
use crate::output::note;

/// What is said where the content of a file was given for its name.
const PEM_GIVEN: &str = "error: an argument is the text of a PEM file, where a file's name belongs\n\
     hint: give the file's name, or `-` to read standard input";

impl Cli {
    /// Reads the command line, or says what is wrong with it and ends the process.
    pub(crate) fn read() -> Self {
        complete::if_asked(Cli::root);
        let matches = Cli::root().try_get_matches();
        let error = match matches.and_then(|matches| Self::from_arg_matches(&matches)) {
            Ok(cli) => return cli,
            Err(error) => error,
        };
        let given: Vec<String> = std::env::args().skip(1).collect();
        // What is repeated here could be a key.
        if given.iter().any(|text| text.contains("-----BEGIN")) {
            note(PEM_GIVEN);
            std::process::exit(error.exit_code());
        }
        let Some(hint) = hint_of(&error, &given) else {
            error.exit();
        };
        // What merely looks alike is no help where it is known what was meant.
        let mut error = error;
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Suggested);
        // As `clap` does, whatever becomes of what is printed.
        let _ = error.print();
        note(&format!("hint: {hint}"));
        std::process::exit(error.exit_code());
    }
}

/// What was meant by a word or a flag that is not known.
fn hint_of(error: &clap::Error, given: &[String]) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let (root, word) = (Cli::root(), text(ContextKind::InvalidSubcommand)?);
            // After a noun, its own verbs are meant.
            let words = given.iter().take_while(|each| *each != word);
            let after_noun = words
                .clone()
                .any(|each| root.find_subcommand(each).is_some());
            let misplaced = hint(&root, word, given).filter(|_| !after_noun);
            // Without a noun, it may also be what other tools call something else.
            let has_noun = given
                .iter()
                .any(|each| root.find_subcommand(each).is_some());
            let elsewhere =
                hint_of_word(&root, word, given).filter(|_| misplaced.is_none() || !has_noun);
            let hints: Vec<String> = misplaced.into_iter().chain(elsewhere).collect();
            (!hints.is_empty()).then(|| hints.join("; "))
        }
        ErrorKind::UnknownArgument => {
            let flag = text(ContextKind::InvalidArg)?;
            let positional = without_flag(&Cli::root(), flag, given);
            positional.or_else(|| hint_of_flag(flag).map(str::to_owned))
        }
        ErrorKind::InvalidValue => {
            let is_format = text(ContextKind::InvalidArg)?.starts_with("--output ");
            let is_file = text(ContextKind::InvalidValue)?.contains(['.', '/']);
            (is_format && is_file).then(|| {
                "`--output` is a format; what is printed goes to a file with `> FILE`".to_owned()
            })
        }
        _ => None,
    }
}

/// How to give what the command takes, but not by a flag.
fn without_flag(root: &Command, flag: &str, given: &[String]) -> Option<String> {
    let name = flag.trim_start_matches('-').split('=').next()?;
    let (mut command, mut path) = (root, root.get_name().to_owned());
    for word in given {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner;
            path = format!("{path} {}", inner.get_name());
        }
    }
    let is_called = |argument: &&Arg| argument.get_id().as_str().eq_ignore_ascii_case(name);
    command.get_positionals().find(is_called)?;
    let name = name.to_uppercase();
    Some(format!("`{name}` is given without a flag: `{path} {name}`"))
}

/// What was meant by a word that is no noun, if it is a verb of some.
fn hint(root: &Command, word: &str, given: &[String]) -> Option<String> {
    let has = |noun: &&Command| noun.get_subcommands().any(|verb| verb.get_name() == word);
    let nouns: Vec<&str> = root
        .get_subcommands()
        .filter(has)
        .map(Command::get_name)
        .collect();
    let said = nouns
        .iter()
        .find(|noun| given.iter().any(|word| word == *noun));
    let commands: Vec<String> = match said {
        Some(noun) => vec![format!("`countersign {noun} {word}`")],
        None => nouns
            .iter()
            .map(|noun| format!("`countersign {noun} {word}`"))
            .collect(),
    };
    (!commands.is_empty()).then(|| format!("`{word}` comes after a noun: {}", commands.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_without_a_flag_is_said_to() {
        let told = |flag, given: &[&str]| {
            let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
            without_flag(&Cli::root(), flag, &given)
        };
        assert_eq!(
            told(
                "--url",
                &["webhook", "create", "--url", "https://a.example"]
            )
            .as_deref(),
            Some("`URL` is given without a flag: `countersign webhook create URL`")
        );
        assert_eq!(told("--url", &["status", "--url=x"]), None);
    }

    #[test]
    fn a_verb_is_led_to_its_nouns() {
        let root = Cli::root();
        let told = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
            hint(&root, &given[0], &given)
        };
        assert_eq!(
            told(&["upload", "ca.pem"]).as_deref(),
            Some("`upload` comes after a noun: `countersign certificate upload`")
        );
        assert_eq!(
            told(&["list", "certificate"]).as_deref(),
            Some("`list` comes after a noun: `countersign certificate list`")
        );
        assert_eq!(told(&["frobnicate"]), None);
    }
}
