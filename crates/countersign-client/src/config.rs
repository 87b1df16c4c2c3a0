//! How a client is configured: in code, from the environment, or both.

use std::{path::PathBuf, time::Duration};

use countersign_tls::CertificateFiles;
use countersign_types::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;

use crate::{
    Error,
    client::{Client, Inner},
    connections::{Connections, Silence},
    retry::DEFAULT_MAX_RETRIES,
    tls::{self, Trust},
};

/// The default base URL.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
/// How long an answer may take by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Configures a [`Client`]. Later calls replace what earlier calls or the environment set.
///
/// ```no_run
/// use countersign_client::{Client, types::secret::Secret};
///
/// let client = Client::builder()
///     .base_url("https://countersign.example.com/v1")
///     .key(Secret::new("sk-admin-..."))
///     .ca_file("internal-ca.pem")
///     .client_certificate("client.pem", "client.key")
///     .build()?;
/// # Ok::<(), countersign_client::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    base_url: String,
    key: Option<Secret>,
    organization: Option<String>,
    project: Option<String>,
    trust: Trust,
    certificate: Option<CertificateFiles>,
    timeout: Duration,
    max_retries: u32,
    silence: Option<Silence>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            base_url: DEFAULT_BASE_URL.to_owned(),
            key: None,
            organization: None,
            project: None,
            trust: Trust::default(),
            certificate: None,
            timeout: DEFAULT_TIMEOUT,
            max_retries: DEFAULT_MAX_RETRIES,
            silence: None,
        }
    }
}

impl ClientBuilder {
    /// Reads the variables that OpenAI's own tools read, through `lookup`. An empty value counts
    /// as unset. No file is read before [`build`](Self::build).
    ///
    /// | variable | is |
    /// | --- | --- |
    /// | `OPENAI_BASE_URL` | the base URL, by default [`DEFAULT_BASE_URL`] |
    /// | `OPENAI_ADMIN_KEY` | the admin key |
    /// | `OPENAI_ORG_ID` | sent as `OpenAI-Organization` |
    /// | `OPENAI_PROJECT_ID` | sent as `OpenAI-Project` |
    /// | `OPENAI_MTLS_CLIENT_CERT_FILE`, `OPENAI_MTLS_CLIENT_KEY_FILE` | the client certificate and its key, PEM files: what OpenAI's CLI reads |
    /// | `OPENAI_MTLS_CERTIFICATE_CHAIN`, `OPENAI_MTLS_PRIVATE_KEY` | the same, by the names in OpenAI's Python examples: also paths; read if the pair above is unset |
    /// | `OPENAI_MTLS_CA_BUNDLE` | a PEM file of the roots to trust *instead of* the public ones, as in OpenAI's Python examples |
    /// | `COUNTERSIGN_SERVER_CA` | a PEM file of roots to trust *in addition* |
    ///
    /// # Errors
    /// [`Error::Config`] if half of a pair is set, or PEM text instead of a path.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let read = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let path = |name: &str| read(name).map(|value| file(name, value)).transpose();
        let pair = |certificate: &str, key: &str| match (path(certificate)?, path(key)?) {
            (Some(certificate), Some(key)) => Ok(Some(CertificateFiles { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(certificate, key)),
            (None, Some(_)) => Err(half(key, certificate)),
        };
        let first = pair(
            "OPENAI_MTLS_CLIENT_CERT_FILE",
            "OPENAI_MTLS_CLIENT_KEY_FILE",
        )?;
        let second = pair("OPENAI_MTLS_CERTIFICATE_CHAIN", "OPENAI_MTLS_PRIVATE_KEY")?;
        Ok(Self {
            base_url: read("OPENAI_BASE_URL").unwrap_or_else(|| DEFAULT_BASE_URL.to_owned()),
            key: read("OPENAI_ADMIN_KEY").map(Secret::new),
            organization: read("OPENAI_ORG_ID"),
            project: read("OPENAI_PROJECT_ID"),
            trust: Trust {
                replacement: path("OPENAI_MTLS_CA_BUNDLE")?,
                additional: path("COUNTERSIGN_SERVER_CA")?.into_iter().collect(),
            },
            certificate: first.or(second),
            ..Self::default()
        })
    }

    /// The base URL including the version: `https://api.openai.com/v1`. A path before the version
    /// and a slash after it are allowed.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The bearer key: an admin key, or a gateway key for bundles.
    #[must_use]
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// The organization, sent as `OpenAI-Organization`.
    #[must_use]
    pub fn organization(mut self, id: impl Into<String>) -> Self {
        self.organization = Some(id.into());
        self
    }

    /// The project, sent as `OpenAI-Project`.
    #[must_use]
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project = Some(id.into());
        self
    }

    /// Trusts the roots of this PEM file in addition.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.trust.additional.push(path.into());
        self
    }

    /// Trusts the roots of this PEM file instead of the public ones.
    #[must_use]
    pub fn ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.trust.replacement = Some(path.into());
        self
    }

    /// Presents this client certificate: a PEM file of the leaf and then its intermediates, and
    /// the PEM file of its key. Over plain HTTP there is nothing to present it to, and neither file
    /// is read.
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.certificate = Some(CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        });
        self
    }

    /// How long one attempt may take from start to end: 60 seconds by default.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often a call is retried, by default twice: after 408, 409, 429 and 5xx, after a broken
    /// connection and after a timeout. `x-should-retry` overrides the status. The wait is what
    /// `retry-after-ms` or `retry-after` says, up to a minute; otherwise it starts at half a second
    /// and doubles each time up to eight seconds, less a random part of up to a quarter.
    #[must_use]
    pub const fn max_retries(mut self, repeats: u32) -> Self {
        self.max_retries = repeats;
        self
    }

    /// Gives up connections that went silent, as behind a network that drops them without a word:
    /// an HTTP/2 connection is pinged every `ping` and must answer within as long, sent bytes may
    /// stay unacknowledged for `unacknowledged`, and a new connection may take that long. Without
    /// this, only a request's own timeout tells.
    #[must_use]
    pub const fn notice_silence(mut self, ping: Duration, unacknowledged: Duration) -> Self {
        self.silence = Some(Silence {
            ping,
            unacknowledged,
        });
        self
    }

    /// Builds the client. Its files are read here, and only if the base URL is `https`.
    ///
    /// # Errors
    /// [`Error::Config`] that says what is wrong: no key, an invalid base URL, a file that cannot be
    /// read, a private key that does not match the certificate.
    pub fn build(self) -> Result<Client, Error> {
        let base_url = parse_base_url(&self.base_url)?;
        let missing = || Error::Config("no key: set `OPENAI_ADMIN_KEY` to an admin key".to_owned());
        let key = self.key.as_ref().ok_or_else(missing)?;
        let key = Secret::new(key.reveal().trim());
        let tls = match base_url.scheme() {
            "https" => tls::config(&self.trust, self.certificate.as_ref())?,
            _ => tls::unused()?,
        };
        let connections = Connections {
            tls,
            headers: self.headers(&key)?,
            silence: self.silence,
        };
        Ok(Client {
            http: connections.open()?,
            patience: None,
            arrivals: None,
            breaks_assertions: false,
            inner: std::sync::Arc::new(Inner {
                connections,
                base_url,
                key,
                timeout: self.timeout,
                max_retries: self.max_retries,
            }),
        })
    }

    fn headers(&self, key: &Secret) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let mut bearer = header_value("key", key.reveal(), "Bearer ")?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let ids = [
            ("openai-organization", "organization", &self.organization),
            ("openai-project", "project", &self.project),
        ];
        for (name, what, id) in ids {
            if let Some(id) = id {
                let name = HeaderName::from_static(name);
                headers.insert(name, header_value(what, id.trim(), "")?);
            }
        }
        Ok(headers)
    }
}

impl Client {
    /// A client to configure, with the defaults.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client configured by the process environment: see [`ClientBuilder::from_env`].
    ///
    /// # Errors
    /// [`Error::Config`] if the environment does not configure a client.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env(|name| std::env::var(name).ok())?.build()
    }
}

/// A header of visible ASCII. The error does not include the value, which may be the key.
fn header_value(what: &str, value: &str, scheme: &str) -> Result<HeaderValue, Error> {
    if value.is_empty() {
        return Err(Error::Config(format!("the {what} is empty")));
    }
    let refused = |_| {
        Error::Config(format!(
            "the {what} holds a space, a line break or another character that no {what} has"
        ))
    };
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(()));
    }
    HeaderValue::try_from(format!("{scheme}{value}")).map_err(|_| refused(()))
}

fn parse_base_url(text: &str) -> Result<Url, Error> {
    let refused = |why: &str| {
        Error::Config(format!(
            "the base URL {why}: it must look like `{DEFAULT_BASE_URL}`"
        ))
    };
    let url = Url::parse(text.trim()).map_err(|error| refused(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused("is neither `https` nor `http`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("has a query or fragment"));
    }
    Ok(url)
}

/// A variable's value as a path. The error does not include the value, which may be a private key.
fn file(name: &str, value: String) -> Result<PathBuf, Error> {
    if value.contains("-----BEGIN") {
        return Err(Error::Config(format!(
            "`{name}` holds PEM text: give the path of a PEM file"
        )));
    }
    Ok(PathBuf::from(value))
}

fn half(given: &str, missing: &str) -> Error {
    Error::Config(format!(
        "`{given}` is set without `{missing}`: a client certificate needs both"
    ))
}
