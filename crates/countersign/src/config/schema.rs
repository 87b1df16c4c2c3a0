//! The settings: one row each, with its default. A row is a key of the file, an environment variable and,
//! where the command has one, a flag.

use std::fmt;

use countersign_server::store::{FORGET_GATEWAYS_AFTER, OBSERVATION_DAYS, Quotas};

/// How a setting stands in the file. Its type is known where it is read, in `settings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In quotes.
    Text,
    /// As a bare number.
    Number,
    /// As a bare `true` or `false`.
    Truth,
}

/// The value of a setting when no source gives one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DefaultValue {
    Text(&'static str),
    Number(u32),
    /// As a duration.
    Hours(u64),
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Hours(hours) => write!(f, "{hours}h"),
        }
    }
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in the file, with its section: `serve.listen`.
    pub(crate) key: &'static str,
    /// How it stands in the file.
    pub(crate) kind: Kind,
    /// Its value when no source gives one.
    pub(crate) default: Option<DefaultValue>,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
    /// A variable of another name that is read after its own.
    pub(crate) other_env: Option<&'static str>,
    /// What it does.
    pub(crate) about: &'static str,
}

const fn setting(key: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting {
        key,
        kind,
        default: None,
        secret: false,
        other_env: None,
        about,
    }
}

impl Setting {
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(DefaultValue::Text(default));
        self
    }

    const fn or_hours(mut self, seconds: u64) -> Self {
        self.default = Some(DefaultValue::Hours(seconds / 3600));
        self
    }

    const fn or_number(mut self, default: u32) -> Self {
        self.default = Some(DefaultValue::Number(default));
        self
    }

    /// Its environment variable: `serve.listen` is `COUNTERSIGN_SERVE_LISTEN`.
    pub(crate) fn env(&self) -> String {
        format!(
            "COUNTERSIGN_{}",
            self.key.replace('.', "_").to_ascii_uppercase()
        )
    }
}

/// Every setting, in the order in which `config print` shows them.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "data_dir",
        Kind::Text,
        "directory of the SQLite database, created if missing",
    )
    .or("/var/lib/countersign"),
    Setting {
        secret: true,
        other_env: Some("DATABASE_URL"),
        ..setting(
            "database_url",
            Kind::Text,
            "PostgreSQL instead of SQLite: `postgres://...`",
        )
    },
    setting(
        "database_url_file",
        Kind::Text,
        "file that holds the database URL",
    ),
    Setting {
        secret: true,
        ..setting(
            "database_listen_url",
            Kind::Text,
            "the PostgreSQL server itself, to listen for changes at, where `database_url` leads through a pooler",
        )
    },
    setting(
        "database_listen_url_file",
        Kind::Text,
        "file that holds the URL to listen at",
    ),
    Setting {
        secret: true,
        ..setting(
            "database_replica_url",
            Kind::Text,
            "a replica of that PostgreSQL, for pages of lists",
        )
    },
    setting(
        "database_replica_url_file",
        Kind::Text,
        "file that holds the URL of the replica",
    ),
    setting(
        "log.format",
        Kind::Text,
        "log format; auto is human on a terminal, json otherwise",
    )
    .or("auto"),
    setting("log.level", Kind::Text, "least severe events to log").or("info"),
    setting(
        "serve.listen",
        Kind::Text,
        "address of the control plane's listener",
    )
    .or("127.0.0.1:8085"),
    setting(
        "serve.tls_certificate",
        Kind::Text,
        "PEM certificate chain of the listener; without it, plain HTTP",
    ),
    setting(
        "serve.tls_key",
        Kind::Text,
        "PEM private key of the certificate chain",
    ),
    setting(
        "serve.allow_cleartext",
        Kind::Truth,
        "listen without TLS on an address that others can reach",
    )
    .or("false"),
    setting(
        "serve.metrics_listen",
        Kind::Text,
        "address of the Prometheus listener; off when not set",
    ),
    setting(
        "serve.drain_delay_seconds",
        Kind::Number,
        "seconds that `/readyz` fails before the listener closes, after SIGTERM; none when not set",
    ),
    setting(
        "serve.drain_seconds",
        Kind::Number,
        "seconds that open requests may take after SIGTERM",
    )
    .or_number(30),
    setting(
        "gateways.forget_after",
        Kind::Text,
        "how long a gateway that vanished is listed as missing, such as `24h`",
    )
    .or_hours(FORGET_GATEWAYS_AFTER),
    setting(
        "limits.api_keys",
        Kind::Number,
        "API keys that an organization may have",
    )
    .or_number(Quotas::DEFAULT.api_keys),
    setting(
        "limits.projects",
        Kind::Number,
        "projects that an organization may have, archived ones included",
    )
    .or_number(Quotas::DEFAULT.projects),
    setting(
        "limits.service_accounts",
        Kind::Number,
        "service accounts that an organization may have",
    )
    .or_number(Quotas::DEFAULT.service_accounts),
    setting(
        "limits.webhooks",
        Kind::Number,
        "webhooks that an organization may have",
    )
    .or_number(Quotas::DEFAULT.webhooks),
    setting(
        "limits.assertions",
        Kind::Number,
        "assertions that an organization may have",
    )
    .or_number(Quotas::DEFAULT.assertions),
    setting(
        "limits.denials",
        Kind::Number,
        "denials that an organization may have",
    )
    .or_number(Quotas::DEFAULT.denials),
    setting(
        "limits.workload_identity_providers",
        Kind::Number,
        "workload identity providers that an organization may have",
    )
    .or_number(Quotas::DEFAULT.workload_identity_providers),
    setting(
        "limits.federation_rules",
        Kind::Number,
        "federation rules that a workload identity provider may have",
    )
    .or_number(Quotas::DEFAULT.federation_rules),
    setting(
        "observations.days",
        Kind::Number,
        "days that observations of gateways are kept, including today",
    )
    .or_number(OBSERVATION_DAYS),
    setting(
        "webhooks.private_addresses",
        Kind::Truth,
        "allow webhooks to private addresses and over plain HTTP",
    )
    .or("false"),
    setting(
        "webhooks.ca_file",
        Kind::Text,
        "PEM of root certificates that webhooks trust besides the public ones",
    ),
];
