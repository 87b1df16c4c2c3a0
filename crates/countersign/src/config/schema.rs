//! The settings there are: one row each. A row is a key of the file, an environment variable and,
//! where the command has one, a flag.

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// The path of a file or a directory, relative to the working directory.
    Path,
    /// An IP address and a port.
    Address,
    /// A whole number greater than zero.
    Number,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Yes or no.
    pub(crate) const TRUTH: Self = Self::Choice(&["true", "false"]);
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Its key in the file, with its section: `serve.listen`.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What it is when nobody says.
    pub(crate) default: Option<&'static str>,
    /// Whether its value is never shown.
    pub(crate) secret: bool,
    /// A variable of another name that is read after its own.
    pub(crate) other_env: Option<&'static str>,
    /// What it is for.
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
        self.default = Some(default);
        self
    }

    /// Its environment variable: `serve.listen` is `COUNTERSIGN_SERVE_LISTEN`.
    pub(crate) fn env(&self) -> String {
        format!(
            "COUNTERSIGN_{}",
            self.key.replace('.', "_").to_ascii_uppercase()
        )
    }

    /// Whether a value is one that this setting takes; if not, what would be.
    pub(crate) fn accepts(&self, value: &str) -> Result<(), String> {
        let (fits, wanted) = match self.kind {
            Kind::Text | Kind::Path => (!value.is_empty(), "a text that is not empty".to_owned()),
            Kind::Address => (
                value.parse::<std::net::SocketAddr>().is_ok(),
                "an IP address and a port, such as `127.0.0.1:8085`".to_owned(),
            ),
            Kind::Number => (
                value.parse::<u32>().is_ok_and(|number| number > 0),
                "a whole number greater than zero".to_owned(),
            ),
            Kind::Choice(words) => (
                words.contains(&value),
                format!("one of `{}`", words.join("`, `")),
            ),
        };
        if fits { Ok(()) } else { Err(wanted) }
    }
}

/// Every setting, in the order in which `config print` shows them.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "data_dir",
        Kind::Path,
        "directory of the SQLite database, made when missing",
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
        Kind::Path,
        "file that holds the database URL",
    ),
    setting(
        "log.format",
        Kind::Choice(&["auto", "human", "json"]),
        "lines for people or for programs; auto: people on a terminal",
    )
    .or("auto"),
    setting(
        "log.level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "the least severe events that are written",
    )
    .or("info"),
    setting(
        "serve.listen",
        Kind::Address,
        "address of the control plane's listener",
    )
    .or("127.0.0.1:8085"),
    setting(
        "serve.tls_certificate",
        Kind::Path,
        "PEM chain that the listener shows; without one it speaks plain HTTP",
    ),
    setting("serve.tls_key", Kind::Path, "PEM private key of that chain"),
    setting(
        "serve.metrics_listen",
        Kind::Address,
        "address of the Prometheus listener; without one there is none",
    ),
    setting(
        "serve.drain_seconds",
        Kind::Number,
        "how long open requests may take after SIGTERM",
    )
    .or("30"),
    setting(
        "observations.days",
        Kind::Number,
        "how many days what gateways saw is kept, today included",
    )
    .or("90"),
    setting(
        "webhooks.private_addresses",
        Kind::TRUTH,
        "whether webhooks may go to addresses that are not public, and over plain HTTP",
    )
    .or("false"),
    setting(
        "webhooks.ca_file",
        Kind::Path,
        "PEM of roots that webhooks believe besides the public ones",
    ),
];
