//! `countersign config`: is the configuration right, and what is it in the end.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    config::{Effective, Kind, SETTINGS, Setting, Sources, likely, process_env},
    failure::Outcome,
    output::{Output, Row, note},
};

/// Variables that start like a setting's and are none.
const OTHER_VARIABLES: [&str; 4] = [
    "COUNTERSIGN_CONFIG",
    "COUNTERSIGN_CLIENT_CA",
    "COUNTERSIGN_SERVER_CA",
    "COUNTERSIGN_CONFORMANCE_DIR",
];

#[derive(Args)]
pub(crate) struct Config {
    /// The configuration file [env: COUNTERSIGN_CONFIG] [default: countersign.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check file and environment, and say where each value comes from
    Check,
    /// Print every setting that has a value; secrets are not shown
    Print,
}

/// A setting with its value, as it is shown.
#[derive(Serialize)]
struct Shown {
    key: &'static str,
    value: String,
    source: String,
    about: &'static str,
}

impl Config {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let effective = Effective::load(Sources {
            file: self.config.as_deref(),
            env: &process_env,
            flags: Vec::new(),
        })?;
        effective.database()?;
        match self.verb {
            Verb::Check => {
                output.list(&shown(&effective))?;
                unknown_variables();
                match &effective.file {
                    Some(path) => note(&format!("ok: `{}` and the environment", path.display())),
                    None => note("ok: the environment; there is no configuration file"),
                }
                Ok(())
            }
            Verb::Print => output.text(&as_toml(&effective)),
        }
    }
}

fn shown(effective: &Effective) -> Vec<Shown> {
    let show = |setting: &Setting| {
        effective.get(setting.key).map(|given| Shown {
            key: setting.key,
            value: value(setting, &given.value).to_owned(),
            source: given.source.to_string(),
            about: setting.about,
        })
    };
    SETTINGS.iter().filter_map(show).collect()
}

fn value<'a>(setting: &Setting, value: &'a str) -> &'a str {
    if setting.secret { "(secret)" } else { value }
}

/// The file that would say the same; what has no value or is secret stands as a comment.
fn as_toml(effective: &Effective) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            text += &format!("\n[{section}]\n");
        }
        text += &format!("# {}\n", setting.about);
        text += &match effective.get(setting.key) {
            Some(_) if setting.secret => format!("# {name} is set and not shown\n"),
            Some(given) if setting.kind == Kind::Number => format!("{name} = {}\n", given.value),
            Some(given) => format!("{name} = {}\n", toml::Value::from(given.value.as_str())),
            None => format!("# {name} is not set\n"),
        };
    }
    text
}

/// A variable that starts like a setting's and is not one is most likely mistyped.
fn unknown_variables() {
    let settings: Vec<String> = SETTINGS.iter().map(Setting::env).collect();
    let known = || settings.iter().map(String::as_str).chain(OTHER_VARIABLES);
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in names.filter(|name| name.starts_with("COUNTERSIGN_")) {
        if known().any(|each| each == name) {
            continue;
        }
        let meant = likely(&name, known()).map(|known| format!("; did you mean `{known}`?"));
        note(&format!(
            "warning: the variable `{name}` is not a setting{}",
            meant.unwrap_or_default()
        ));
    }
}

impl Row for Shown {
    const HEAD: &'static [&'static str] = &["setting", "value", "from"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.to_owned(), self.value.clone(), self.source.clone()]
    }
}
