//! The settings as types: built once from what the sources say, so that nothing below looks a
//! setting up by its name or knows a default of its own.

use std::{cmp::Ordering, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use countersign_server::{WebhookOptions, store::Quotas};
use countersign_tls::CertificateFiles;
use countersign_types::secret::Secret;
use tracing::level_filters::LevelFilter;

use super::{
    read::{NonZero, SettingValue, Words, meaning, one_of, read, read_optional},
    secret::secret_file,
    source::{self, Layer},
};
use crate::failure::{CommandResult, Failure};

/// Everything that can be configured.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) database: DatabaseSetting,
    pub(crate) log: LogSettings,
    pub(crate) serve: ServeSettings,
    /// How long a gateway that vanished is listed as missing.
    pub(crate) forget_gateways_after: Duration,
    /// How much an organization may have.
    pub(crate) quotas: Quotas,
    /// How many days observations are kept.
    pub(crate) observation_days: u32,
    pub(crate) webhooks: WebhookOptions,
}

/// How the log is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) level: LevelFilter,
}

/// Whom the log is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, else for programs.
    Auto,
    Human,
    Json,
}

impl LogSettings {
    /// What a role without such a file is logged with.
    pub(crate) const DEFAULT: Self = Self {
        format: LogFormat::Auto,
        level: LevelFilter::INFO,
    };

    /// The same where neither environment nor flags say otherwise.
    pub(crate) fn or_given(
        self,
        env: &dyn Fn(&str) -> Option<String>,
        flags: &LogFlags,
    ) -> CommandResult<Self> {
        let mut values = source::environment(env);
        let flags = flags.given().into_iter();
        let flags = flags.filter_map(|(key, value)| Some((key, value?)));
        values.extend(source::flags(flags.collect()));
        Ok(Self {
            format: read_optional(&values, LOG_FORMAT)?.unwrap_or(self.format),
            level: read_optional(&values, LOG_LEVEL)?.unwrap_or(self.level),
        })
    }
}

const LOG_FORMAT: &str = "log.format";
const LOG_LEVEL: &str = "log.level";

/// The flags of the log, the same for every role that has one.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LogFlags {
    /// Log format: auto (JSON unless standard error is a terminal), human or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Least severe events to log: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl LogFlags {
    /// The settings that they give.
    pub(crate) fn given(&self) -> [(&'static str, Option<String>); 2] {
        [
            (LOG_FORMAT, self.log_format.clone()),
            (LOG_LEVEL, self.log_level.clone()),
        ]
    }
}

const FORMATS: Words<LogFormat> = &[
    ("auto", LogFormat::Auto),
    ("human", LogFormat::Human),
    ("json", LogFormat::Json),
];

impl SettingValue for LogFormat {
    fn wanted() -> String {
        one_of(FORMATS)
    }

    fn from_text(text: &str) -> Option<Self> {
        meaning(FORMATS, text)
    }
}

/// The control plane's listeners.
#[derive(Debug)]
pub(crate) struct ServeSettings {
    pub(crate) listen: SocketAddr,
    /// Without these files the listener speaks plain HTTP.
    pub(crate) tls: Option<CertificateFiles>,
    /// Whether it may do so where others can reach it.
    pub(crate) allow_cleartext: bool,
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// How long it says that it is not ready before the listener closes.
    pub(crate) drain_delay: Duration,
    /// How long open requests may take once the listener is closed.
    pub(crate) drain: Duration,
}

/// Which database is used.
#[derive(Debug)]
pub(crate) enum DatabaseSetting {
    DataDir(PathBuf),
    Postgres(PostgresSetting),
}

/// The URLs of a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct PostgresSetting {
    main: UrlSetting,
    listen: Option<UrlSetting>,
    replica: Option<UrlSetting>,
}

/// A URL, or the file that holds it, which is read only when the database is opened.
#[derive(Debug)]
enum UrlSetting {
    Url(Secret),
    File(PathBuf),
}

/// Where the database is.
pub(crate) enum Database {
    /// In a directory of this machine.
    Sqlite(PathBuf),
    /// At URLs, which hold a password.
    Postgres {
        main: Secret,
        listen: Option<Secret>,
        replica: Option<Secret>,
    },
}

impl Settings {
    /// Reads every setting; the first value that does not fit is an error that names its source.
    pub(super) fn read(values: &Layer) -> CommandResult<Self> {
        Ok(Self {
            database: DatabaseSetting::read(values)?,
            log: LogSettings {
                format: read(values, LOG_FORMAT)?,
                level: read(values, LOG_LEVEL)?,
            },
            serve: ServeSettings {
                listen: read(values, "serve.listen")?,
                tls: tls_files(values)?,
                allow_cleartext: read(values, "serve.allow_cleartext")?,
                metrics_listen: read_optional(values, "serve.metrics_listen")?,
                drain_delay: read_optional(values, "serve.drain_delay_seconds")?
                    .map_or(Duration::ZERO, |NonZero(seconds)| {
                        Duration::from_secs(seconds.into())
                    }),
                drain: Duration::from_secs(whole(values, "serve.drain_seconds")?.into()),
            },
            forget_gateways_after: read(values, "gateways.forget_after")?,
            quotas: Quotas {
                api_keys: whole(values, "limits.api_keys")?,
                projects: whole(values, "limits.projects")?,
                service_accounts: whole(values, "limits.service_accounts")?,
                webhooks: whole(values, "limits.webhooks")?,
                assertions: whole(values, "limits.assertions")?,
                denials: whole(values, "limits.denials")?,
                workload_identity_providers: whole(values, "limits.workload_identity_providers")?,
                federation_rules: whole(values, "limits.federation_rules")?,
            },
            observation_days: whole(values, "observations.days")?,
            webhooks: WebhookOptions {
                private_addresses: read(values, "webhooks.private_addresses")?,
                ca_file: read_optional(values, "webhooks.ca_file")?,
            },
        })
    }
}

impl ServeSettings {
    /// Refuses to send keys over a network in the clear, unless that is wanted.
    pub(crate) fn check_cleartext(&self) -> CommandResult {
        let on_loopback = self.listen.ip().to_canonical().is_loopback();
        if self.tls.is_some() || self.allow_cleartext || on_loopback {
            return Ok(());
        }
        Err(Failure::usage(format_args!(
            "`serve.listen` is `{}`, which others can reach, and there is no TLS: keys would cross the network in the clear",
            self.listen
        ))
        .hint("set `serve.tls_certificate` and `serve.tls_key`; or, where something else encrypts, `serve.allow_cleartext = true` (`--allow-cleartext`)"))
    }
}

fn whole(values: &Layer, key: &'static str) -> CommandResult<u32> {
    read(values, key).map(|NonZero(number)| number)
}

fn tls_files(values: &Layer) -> CommandResult<Option<CertificateFiles>> {
    const CERTIFICATE: &str = "serve.tls_certificate";
    const KEY: &str = "serve.tls_key";
    let certificate = read_optional(values, CERTIFICATE)?;
    let key = read_optional(values, KEY)?;
    let (has, lacks) = match (certificate, key) {
        (Some(certificate), Some(key)) => return Ok(Some(CertificateFiles { certificate, key })),
        (None, None) => return Ok(None),
        (Some(_), None) => (CERTIFICATE, KEY),
        (None, Some(_)) => (KEY, CERTIFICATE),
    };
    Err(Failure::usage(format_args!(
        "`{has}` is set and `{lacks}` is not; TLS needs both"
    )))
}

impl DatabaseSetting {
    fn read(values: &Layer) -> CommandResult<Self> {
        let data_dir = read(values, "data_dir")?;
        let main = UrlSetting::read(values, "database_url", "database_url_file")?;
        let listen = UrlSetting::read(values, "database_listen_url", "database_listen_url_file")?;
        let replica =
            UrlSetting::read(values, "database_replica_url", "database_replica_url_file")?;
        match (main, &listen, &replica) {
            (Some(main), _, _) => Ok(Self::Postgres(PostgresSetting {
                main,
                listen,
                replica,
            })),
            (None, None, None) => Ok(Self::DataDir(data_dir)),
            (None, ..) => Err(Failure::usage(
                "`database_listen_url` or `database_replica_url` is set and `database_url` is not",
            )
            .hint("they go with PostgreSQL: set `database_url` too")),
        }
    }

    /// Where the database is; reads the URLs' files.
    pub(crate) fn resolve(&self) -> CommandResult<Database> {
        Ok(match self {
            Self::DataDir(directory) => Database::Sqlite(directory.clone()),
            Self::Postgres(urls) => {
                let optional =
                    |url: &Option<UrlSetting>| url.as_ref().map(UrlSetting::resolve).transpose();
                Database::Postgres {
                    main: urls.main.resolve()?,
                    listen: optional(&urls.listen)?,
                    replica: optional(&urls.replica)?,
                }
            }
        })
    }
}

impl UrlSetting {
    fn read(
        values: &Layer,
        url_key: &'static str,
        file_key: &'static str,
    ) -> CommandResult<Option<Self>> {
        let url = read_optional(values, url_key)?;
        let file = read_optional(values, file_key)?;
        let source = |key| values.get(key).map(|given| &given.source);
        // Both may be set: a flag or a variable then replaces what the file says in the other way.
        match (url, file) {
            (None, None) => Ok(None),
            (Some(url), None) => Ok(Some(Self::Url(url))),
            (None, Some(file)) => Ok(Some(Self::File(file))),
            (Some(url), Some(file)) => match source(url_key).cmp(&source(file_key)) {
                Ordering::Greater => Ok(Some(Self::Url(url))),
                Ordering::Less => Ok(Some(Self::File(file))),
                Ordering::Equal => Err(Failure::usage(format_args!(
                    "`{url_key}` and `{file_key}` are both set (by {}); keep one",
                    source(url_key).map(ToString::to_string).unwrap_or_default()
                ))),
            },
        }
    }

    fn resolve(&self) -> CommandResult<Secret> {
        let url = match self {
            Self::Url(url) => url.clone(),
            Self::File(path) => secret_file(path)?,
        };
        let text = url.reveal();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(url);
        }
        Err(
            Failure::usage("the database URL does not start with `postgres://`")
                .hint("leave it out to use SQLite in `data_dir`"),
        )
    }
}
