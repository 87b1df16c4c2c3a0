//! Configuration of the server roles and the operator's commands: one TOML file, `COUNTERSIGN_*`
//! variables and flags, in rising order of precedence. The API commands do not read it: they
//! take the variables that the official SDKs take.

mod schema;
mod source;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use countersign_types::secret::Secret;

pub(crate) use schema::{Kind, SETTINGS, Setting};
pub(crate) use source::{Given, Layer, Source, likely};

use crate::failure::{Failure, Outcome};

/// The file that is read from the working directory when none is named.
const DEFAULT_FILE: &str = "countersign.toml";

/// Where to look, and what the flags say: plain data, so that a test can give it.
pub(crate) struct Sources<'a> {
    /// The file that a flag names.
    pub(crate) file: Option<&'a Path>,
    /// Reads an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The flags: a setting's key and its value.
    pub(crate) flags: Vec<(&'static str, String)>,
}

/// Every value that was given or is a default, checked, with where it came from.
#[derive(Debug)]
pub(crate) struct Effective {
    /// The file that was read, if there was one.
    pub(crate) file: Option<PathBuf>,
    values: Layer,
}

/// Reads the environment of this process; a variable that is empty counts as unset.
pub(crate) fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Effective {
    /// Reads all sources and checks every value.
    pub(crate) fn load(sources: Sources<'_>) -> Outcome<Self> {
        let file = named_file(&sources);
        let mut layers = vec![source::defaults()];
        if let Some(path) = &file {
            layers.push(source::file(path)?);
        }
        layers.push(source::environment(sources.env));
        layers.push(flags(sources.flags));
        let mut values = Layer::new();
        for layer in layers {
            values.extend(layer);
        }
        let effective = Self { file, values };
        effective.check()?;
        Ok(effective)
    }

    /// A setting's value and source, if it has one.
    pub(crate) fn get(&self, key: &str) -> Option<&Given> {
        self.values.get(key)
    }

    fn check(&self) -> Outcome {
        for setting in SETTINGS {
            let Some(given) = self.get(setting.key) else {
                continue;
            };
            setting.accepts(&given.value).map_err(|wanted| {
                let shown = if setting.secret { "..." } else { &given.value };
                Failure::usage(format_args!(
                    "`{}` is `{shown}` (from {}); it must be {wanted}",
                    setting.key, given.source
                ))
            })?;
        }
        self.both_or_none("serve.tls_certificate", "serve.tls_key")
    }

    fn both_or_none(&self, one: &str, other: &str) -> Outcome {
        let (has, lacks) = match (self.get(one), self.get(other)) {
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            _ => return Ok(()),
        };
        Err(Failure::usage(format_args!(
            "`{has}` is set and `{lacks}` is not; TLS needs both"
        )))
    }

    /// A checked value as its type. `None` when it is not set.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(|given| given.value.parse().ok())
    }

    /// A path, if it is set.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        self.parsed(key)
    }

    /// Where the store is.
    pub(crate) fn database(&self) -> Outcome<Database> {
        let url = self.get("database_url");
        let file = self.get("database_url_file");
        let url = match (url, file) {
            (None, None) => return Ok(Database::Sqlite(self.data_dir())),
            (Some(url), Some(file)) if url.source == file.source => {
                return Err(Failure::usage(format_args!(
                    "`database_url` and `database_url_file` are both set (by {}); keep one",
                    url.source
                )));
            }
            (Some(url), Some(file)) if url.source > file.source => url.value.clone(),
            (Some(url), None) => url.value.clone(),
            (_, Some(file)) => secret_file(Path::new(&file.value))?.reveal().to_owned(),
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Database::Postgres(Secret::new(url)));
        }
        Err(
            Failure::usage("the database URL does not start with `postgres://`")
                .hint("leave it out to use SQLite in `data_dir`"),
        )
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data_dir").unwrap_or_default()
    }

    /// The control plane's address.
    pub(crate) fn listen(&self) -> Outcome<SocketAddr> {
        self.parsed("serve.listen")
            .ok_or_else(|| Failure::usage("`serve.listen` is not set"))
    }
}

/// Where the store is.
pub(crate) enum Database {
    /// In a directory of this machine.
    Sqlite(PathBuf),
    /// At a URL, which holds a password.
    Postgres(Secret),
}

/// Reads a secret from a file: its first line, without the line's end.
pub(crate) fn secret_file(path: &Path) -> Outcome<Secret> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::usage(format_args!("cannot read the secret in `{shown}`: {error}"))
    })?;
    match text.lines().next().map(str::trim) {
        None | Some("") => Err(Failure::usage(format_args!("`{shown}` is empty"))),
        Some(secret) => Ok(Secret::new(secret)),
    }
}

fn named_file(sources: &Sources<'_>) -> Option<PathBuf> {
    let named = sources.file.map(Path::to_owned);
    named
        .or_else(|| (sources.env)("COUNTERSIGN_CONFIG").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

fn flags(flags: Vec<(&'static str, String)>) -> Layer {
    let given = |value| Given {
        value,
        source: Source::Flag,
    };
    flags
        .into_iter()
        .map(|(key, value)| (key, given(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: &str,
        env: &[(&str, &str)],
        flags: &[(&'static str, &str)],
    ) -> Outcome<Effective> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        fs::write(&path, file).unwrap();
        let read = |name: &str| {
            let found = env.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Effective::load(Sources {
            file: Some(&path),
            env: &read,
            flags: flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
        })
    }

    fn error(file: &str) -> String {
        let told = load(file, &[], &[]).unwrap_err().to_string();
        let at = told.find("c.toml").unwrap_or(0);
        told[at..].to_owned()
    }

    #[test]
    fn flags_win_over_environment_over_file_over_default() {
        let file = "[serve]\nlisten = \"127.0.0.1:1\"";
        let env = [("COUNTERSIGN_SERVE_LISTEN", "127.0.0.1:2")];
        let flags = [("serve.listen", "127.0.0.1:3")];
        let port = |effective: Outcome<Effective>| effective.unwrap().listen().unwrap().port();
        assert_eq!(port(load("", &[], &[])), 8085);
        assert_eq!(port(load(file, &[], &[])), 1);
        assert_eq!(port(load(file, &env, &[])), 2);
        assert_eq!(port(load(file, &env, &flags)), 3);
    }

    #[test]
    fn a_wrong_file_is_told_by_key_and_line() {
        for (file, wanted) in [
            (
                "\n[serve]\nlisten_ = 1",
                "c.toml:3: unknown setting `serve.listen_`\nhint: did you mean `serve.listen`?",
            ),
            (
                "zzz = 1",
                "c.toml:1: unknown setting `zzz`\nhint: `countersign config print` shows every setting",
            ),
            (
                "serve = 1",
                "c.toml:1: `serve` is a section: write `[serve]` on its own line",
            ),
            (
                "data_dir = true",
                "c.toml:1: `data_dir` is a boolean; it must be a string or a number",
            ),
        ] {
            assert_eq!(error(file), wanted);
        }
        assert!(error("a = [").starts_with("c.toml:1: "));
    }

    #[test]
    fn a_wrong_value_names_its_source_and_what_is_wanted() {
        let told = load("[serve]\nlisten = \"localhost\"", &[], &[]).unwrap_err();
        assert!(
            told.to_string()
                .contains("c.toml:2); it must be an IP address and a port")
        );
        let told = load("", &[("COUNTERSIGN_LOG_FORMAT", "xml")], &[]).unwrap_err();
        assert_eq!(
            told.to_string(),
            "error: `log.format` is `xml` (from COUNTERSIGN_LOG_FORMAT); it must be one of `auto`, `human`, `json`"
        );
        let told = load("[serve]\ntls_key = \"k\"", &[], &[]).unwrap_err();
        assert!(told.to_string().contains("TLS needs both"));
    }

    #[test]
    fn the_database_is_named_once_per_source_and_the_stronger_source_wins() {
        let told = load("database_url = \"mysql://u:hunter2@h/d\"", &[], &[]);
        let told = told.unwrap().database().err().unwrap().to_string();
        assert!(
            told.contains("postgres://") && !told.contains("hunter2"),
            "{told}"
        );
        let env = [("DATABASE_URL", "postgres://env/")];
        let loaded = load("database_url_file = \"/nowhere\"", &env, &[]).unwrap();
        assert!(
            matches!(loaded.database(), Ok(Database::Postgres(url)) if url.reveal() == "postgres://env/")
        );
    }

    #[test]
    fn the_page_tells_every_setting_and_its_default() {
        let page = include_str!("../../../../docs/configuration.md");
        for setting in SETTINGS {
            let row = format!("| `{}` |", setting.key);
            let row = page.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("`{}` has no row", setting.key));
            let default = setting
                .default
                .map_or_else(String::new, |text| format!(" `{text}`"));
            assert_eq!(
                row.split('|').nth(2),
                Some(format!("{default} ").as_str()),
                "{row}"
            );
        }
    }

    #[test]
    fn every_default_is_one_that_its_setting_accepts() {
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                assert_eq!(setting.accepts(default), Ok(()), "{}", setting.key);
            }
        }
    }
}
