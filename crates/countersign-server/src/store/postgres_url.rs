//! Reading a `postgres://` URL: what `tokio_postgres` reads, and TLS that verifies.

use std::{path::Path, time::Duration};

use countersign_tls::{client_config, public_roots, roots_from_file, standard};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{StoreError, postgres_session::LIMITS};

/// How long a connection is idle before it is probed, where the URL does not say: the driver's default.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// How the connection is protected.
#[derive(Clone)]
pub(super) enum Tls {
    /// Not at all: a socket of this machine, or a network that is trusted.
    Plain,
    /// By TLS with a server certificate that verifies for the host's name.
    Verified(MakeRustlsConnect),
}

/// Reads a URL. `sslmode` is `disable` (the default), `require` or `verify-full`, which mean the
/// same here: encrypted, and verified against `sslrootcert` or else the public authorities.
/// `prefer` and `allow` are refused: whoever sits in between could turn the encryption off.
pub(super) fn read(url: &str) -> Result<(Config, Tls), StoreError> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "disable".to_owned();
    let mut root = None;
    let mut rest = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "sslmode" => mode = value.into_owned(),
            "sslrootcert" => root = Some(value.into_owned()),
            _ => {
                rest.append_pair(&name, &value);
            }
        }
    }
    // The URL reader below takes `+` as it stands, and knows only percent-encoding.
    let rest = rest.finish().replace('+', "%20");
    let mut config: Config = format!("{address}?{rest}")
        .parse()
        .map_err(|_| wrong("the database URL cannot be read: write `postgres://user@host/name`"))?;
    let tls = match mode.as_str() {
        "disable" => Tls::Plain,
        "require" | "verify-full" => Tls::Verified(verified(root.as_deref())?),
        other => {
            return Err(wrong(&format!(
                "`sslmode={other}` is not one of `disable`, `require`, `verify-full`"
            )));
        }
    };
    let encrypted = matches!(tls, Tls::Verified(_));
    config.ssl_mode(if encrypted {
        SslMode::Require
    } else {
        SslMode::Disable
    });
    warn_of_plain_text(&config, encrypted);
    set_limits(&mut config);
    Ok((config, tls))
}

fn warn_of_plain_text(config: &Config, encrypted: bool) {
    let remote = config.get_hosts().iter().any(|host| match host {
        Host::Tcp(name) => !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => false,
    });
    if remote && !encrypted {
        tracing::warn!(
            "the connection to the database is not encrypted; add `sslmode=verify-full` to its URL"
        );
    }
}

/// A server or a network that goes silent must not hold a request, or a row lock, for long.
fn set_limits(config: &mut Config) {
    if config.get_application_name().is_none() {
        config.application_name("countersign");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(10));
    }
    // A connection that nobody uses ends as soon as one that is used: it would only be in the way.
    if config.get_keepalives_idle() == TWO_HOURS {
        config.keepalives_idle(Duration::from_secs(5));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(2));
    }
    let given = config.get_options().unwrap_or_default();
    let options = format!("{LIMITS} {given}");
    config.options(options.trim());
}

fn verified(root: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let roots = match root {
        None => public_roots(),
        Some(file) => roots_from_file(Path::new(file))
            .map_err(|error| wrong(&format!("`sslrootcert` cannot be used: {error}")))?,
    };
    let config = client_config(standard(), roots, None)
        .map_err(|error| StoreError::Internal(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config))
}

fn wrong(text: &str) -> StoreError {
    StoreError::Configuration(text.to_owned())
}
