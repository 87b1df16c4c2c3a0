//! `countersign config`: checks the configuration, and prints the result of all its sources.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    config::{Configuration, Kind, SETTINGS, Setting, Sources, likely, process_env},
    failure::CommandResult,
    output::{Cell, Output, Row, note, row},
};

/// Variables that begin like a setting's but are not one.
pub(super) const OTHER_VARIABLES: [&str; 7] = [
    "COUNTERSIGN_CONFIG",
    "COUNTERSIGN_CLIENT_CA",
    "COUNTERSIGN_CONFORMANCE_DIR",
    "COUNTERSIGN_GATEWAY_ADMIN_URL",
    "COUNTERSIGN_GATEWAY_CONFIG",
    "COUNTERSIGN_GATEWAY_URL",
    "COUNTERSIGN_SERVER_CA",
];

#[derive(Args)]
pub(crate) struct Config {
    /// The configuration file [env: COUNTERSIGN_CONFIG] [default: the first that exists of countersign.toml and /etc/countersign/countersign.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check the file and the environment, and show where each value comes from
    Check,
    /// Print the resulting configuration as a file, without secrets
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
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let configuration = Configuration::load(Sources {
            file: self.config.as_deref(),
            env: &process_env,
            flags: Vec::new(),
        })?;
        configuration.settings.database.resolve()?;
        match self.verb {
            Verb::Check => {
                output.list(&shown(&configuration))?;
                unknown_variables();
                match &configuration.file {
                    Some(path) => note(&format!("ok: `{}` and the environment", path.display())),
                    None => note("ok: the environment (no configuration file)"),
                }
                Ok(())
            }
            Verb::Print => output.text(&as_toml(&configuration)),
        }
    }
}

fn shown(configuration: &Configuration) -> Vec<Shown> {
    let show = |setting: &Setting| {
        configuration.given(setting).map(|given| Shown {
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

/// The file with the same effect. Settings without a value and secrets become comments.
fn as_toml(configuration: &Configuration) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
        if of != section {
            section = of;
            text += &format!("\n[{section}]\n");
        }
        text += &format!("# {}\n", setting.about);
        text += &match configuration.given(setting) {
            Some(_) if setting.secret => format!("# {name} is set, but not shown\n"),
            Some(given) if setting.kind != Kind::Text => format!("{name} = {}\n", given.value),
            Some(given) => format!("{name} = {}\n", toml::Value::from(given.value.as_str())),
            None => format!("# {name} is not set\n"),
        };
    }
    text
}

/// Warns of variables that begin like a setting's but are not one: most likely a typo.
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
            "warning: `{name}` does not name a setting{}",
            meant.unwrap_or_default()
        ));
    }
}

impl Row for Shown {
    const HEAD: &'static [&'static str] = &["setting", "value", "from"];

    fn cells(&self) -> Vec<Cell> {
        row![self.key.to_owned(), self.value.clone(), self.source.clone()]
    }
}
