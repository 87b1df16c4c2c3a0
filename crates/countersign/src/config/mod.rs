//! Configuration of the server roles and the operator's commands: one TOML file, `COUNTERSIGN_*`
//! variables and flags, in rising order of precedence. The API commands do not read it: they
//! take the variables that the official SDKs take.

mod address;
mod read;
mod schema;
mod secret;
mod settings;
mod source;

use std::path::{Path, PathBuf};

pub(crate) use address::listen_address;
pub(crate) use schema::{Kind, SETTINGS, Setting};
pub(crate) use secret::secret_file;
pub(crate) use settings::{Database, LogFlags, LogFormat, LogSettings, Settings};
pub(crate) use source::{Given, Layer};

use crate::failure::CommandResult;
pub(crate) use crate::likely::likely;

/// The files that are read if no other is named, of which the first that exists is meant: one of the directory that
/// people work in, and the one that packages install.
const DEFAULT_FILES: [&str; 2] = ["countersign.toml", "/etc/countersign/countersign.toml"];

/// The sources as plain data, so that tests can give them.
pub(crate) struct Sources<'a> {
    /// The file that a flag names.
    pub(crate) file: Option<&'a Path>,
    /// Reads an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The flags: a setting's key and its value.
    pub(crate) flags: Vec<(&'static str, String)>,
}

/// The configuration: what it comes to, and where each value came from.
pub(crate) struct Configuration {
    /// The file that was read, if there was one.
    pub(crate) file: Option<PathBuf>,
    /// Every value, checked and typed.
    pub(crate) settings: Settings,
    /// Every value as it was given.
    pub(crate) values: Layer,
}

/// Reads the environment of this process; a variable that is empty counts as unset.
pub(crate) fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Configuration {
    /// Reads all sources and checks every value.
    pub(crate) fn load(sources: Sources<'_>) -> CommandResult<Self> {
        let file = named_file(&sources);
        let mut layers = vec![source::defaults()];
        if let Some(path) = &file {
            layers.push(source::file(path)?);
        }
        layers.push(source::environment(sources.env));
        layers.push(source::flags(sources.flags));
        let mut values = Layer::new();
        for layer in layers {
            values.extend(layer);
        }
        Ok(Self {
            settings: Settings::read(&values)?,
            file,
            values,
        })
    }

    /// A setting as it was given, to be shown.
    pub(crate) fn given(&self, setting: &Setting) -> Option<&Given> {
        self.values.get(setting.key)
    }
}

fn named_file(sources: &Sources<'_>) -> Option<PathBuf> {
    let named = sources.file.map(Path::to_owned);
    named
        .or_else(|| (sources.env)("COUNTERSIGN_CONFIG").map(PathBuf::from))
        .or_else(|| {
            DEFAULT_FILES
                .map(PathBuf::from)
                .into_iter()
                .find(|path| path.exists())
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(
        file: &str,
        env: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> CommandResult<Settings> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        fs::write(&path, file).unwrap();
        let read = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let loaded = Configuration::load(Sources {
            file: Some(&path),
            env: &read,
            flags: flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
        });
        loaded.map(|loaded| loaded.settings)
    }

    fn error(file: &str) -> String {
        let message = load(file, &[], &[]).unwrap_err().to_string();
        let at = message.find("c.toml").unwrap_or(0);
        message[at..].to_owned()
    }

    #[test]
    fn flags_win_over_environment_over_file_over_default() {
        let file = "[serve]\nlisten = \"127.0.0.1:1\"";
        let env = [("COUNTERSIGN_SERVE_LISTEN", "127.0.0.1:2")];
        let flags = [("serve.listen", "127.0.0.1:3")];
        let port = |loaded: CommandResult<Settings>| loaded.unwrap().serve.listen.port();
        assert_eq!(port(load("", &[], &[])), 8085);
        assert_eq!(port(load(file, &[], &[])), 1);
        assert_eq!(port(load(file, &env, &[])), 2);
        assert_eq!(port(load(file, &env, &flags)), 3);
    }

    #[test]
    fn a_role_with_another_file_takes_the_log_from_flags_environment_and_that() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Role {
            #[command(flatten)]
            log: LogFlags,
        }
        let format = |file, env: Option<&str>, flags: &[&str]| {
            let flags = Role::parse_from([&["role"], flags].concat()).log;
            let settings = LogSettings {
                format: file,
                ..LogSettings::DEFAULT
            };
            let env = |name: &str| {
                let value = env.filter(|_| name == "COUNTERSIGN_LOG_FORMAT");
                value.map(str::to_owned)
            };
            settings.or_given(&env, &flags).map(|given| given.format)
        };
        use LogFormat::{Auto, Human, Json};
        let human: &[&str] = &["--log-format", "human"];
        assert_eq!(format(Auto, None, &[]).unwrap(), Auto);
        assert_eq!(format(Human, Some("json"), &[]).unwrap(), Json);
        assert_eq!(format(Json, Some("json"), human).unwrap(), Human);
        let error = format(Auto, Some("xml"), &[]).unwrap_err().to_string();
        assert!(error.contains("(from COUNTERSIGN_LOG_FORMAT)"), "{error}");
    }

    #[test]
    fn an_error_in_a_file_names_its_key_and_line() {
        for (file, wanted) in [
            (
                "\n[serve]\nlisten_ = 1",
                "c.toml:3: unknown setting `serve.listen_`\nhint: did you mean `serve.listen`?",
            ),
            (
                "zzz = 1",
                "c.toml:1: unknown setting `zzz`\nhint: run `countersign config print` to see every setting",
            ),
            (
                "serve = 1",
                "c.toml:1: `serve` is a section: write `[serve]` on its own line",
            ),
            (
                "data_dir = 5",
                "c.toml:1: `data_dir` is an integer; it must be a text, in quotes: `data_dir = \"5\"`",
            ),
            (
                "data_dir = true",
                "c.toml:1: `data_dir` is a boolean; it must be a text, in quotes",
            ),
        ] {
            assert_eq!(error(file), wanted);
        }
        assert!(error("a = [").starts_with("c.toml:1: "));
    }

    #[test]
    fn a_wrong_value_names_its_source_and_what_is_wanted() {
        let message = load("[serve]\nlisten = \"localhost\"", &[], &[]).unwrap_err();
        assert!(
            message
                .to_string()
                .contains("c.toml:2); it must be an IP address and a port")
        );
        let message = load("", &[("COUNTERSIGN_LOG_FORMAT", "xml")], &[]).unwrap_err();
        assert_eq!(
            message.to_string(),
            "error: `log.format` is `xml` (from COUNTERSIGN_LOG_FORMAT); it must be one of `auto`, `human`, `json`"
        );
        let message = load("[serve]\ntls_key = \"k\"", &[], &[]).unwrap_err();
        assert!(message.to_string().contains("TLS needs both"));
    }

    #[test]
    fn the_database_is_named_once_per_source_and_the_stronger_source_wins() {
        let message = load("database_url = \"mysql://u:hunter2@h/d\"", &[], &[]);
        let message = message
            .unwrap()
            .database
            .resolve()
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.contains("postgres://") && !message.contains("hunter2"),
            "{message}"
        );
        let env = [("DATABASE_URL", "postgres://env/")];
        let loaded = load("database_url_file = \"/nowhere\"", &env, &[]).unwrap();
        assert!(
            matches!(loaded.database.resolve(), Ok(Database::Postgres { main, .. }) if main.reveal() == "postgres://env/")
        );
    }

    #[test]
    fn the_page_lists_every_setting_and_its_default() {
        let page = include_str!("../../../../docs/configuration.md");
        for setting in SETTINGS {
            let row = format!("| `{}` |", setting.key);
            let row = page.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("`{}` has no row", setting.key));
            let default = setting
                .default
                .map_or_else(String::new, |default| format!(" `{default}`"));
            assert_eq!(
                row.split('|').nth(2),
                Some(format!("{default} ").as_str()),
                "{row}"
            );
            // What it must be is what its type says of a value that it does not take.
            let refused = load("", &[], &[(setting.key, "")]).unwrap_err();
            let (_, wanted) = refused.message().split_once("it must be ").unwrap();
            let column = row.split('|').nth(3).unwrap_or_default();
            assert_eq!(column.trim(), wanted, "{row}");
        }
    }

    #[test]
    fn every_setting_is_read_and_its_default_accepted() {
        load("", &[], &[]).unwrap();
        for setting in SETTINGS {
            let message = load("", &[], &[(setting.key, "")]).err();
            let message = message.unwrap_or_else(|| panic!("`{}` is not read", setting.key));
            let message = message.to_string();
            assert!(
                message.contains(&format!("`{}` is", setting.key)),
                "{message}"
            );
        }
    }
}
