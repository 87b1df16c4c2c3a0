//! How the API's commands reach a server: the variables of the official SDKs, and flags over them.

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use countersign_client::{Client, ClientBuilder, Error, ItemStream, ListParams};
use countersign_types::{error::ErrorCode, id::ProjectId, page::Order};
use futures_util::TryStreamExt;

use super::{parse::duration, reference::Reference};
use crate::{
    config::{process_env, secret_file},
    failure::{CommandResult, Doing, Failure},
};

/// The exit code of a change that assertions forbid.
const ASSERTION_FAILED: u8 = 3;
/// What to do about one.
pub(super) const BREAK_ANYWAY: &str = "delete the assertion if it is no longer meant, or pass `--allow-broken-assertions`; the audit log then names it";

/// The server, and the key and certificate that the client presents.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ApiOptions {
    /// Base URL of the API, with its version [env: OPENAI_BASE_URL]
    #[arg(long, global = true, value_name = "URL")]
    base_url: Option<String>,
    /// File that holds the admin key [env: OPENAI_ADMIN_KEY, the key itself]
    #[arg(long, global = true, value_name = "FILE")]
    admin_key_file: Option<PathBuf>,
    /// PEM of the client certificate to present [env: OPENAI_MTLS_CLIENT_CERT_FILE]
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// PEM of the client certificate's private key [env: OPENAI_MTLS_CLIENT_KEY_FILE]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "client_certificate"
    )]
    client_key: Option<PathBuf>,
    /// PEM of root certificates to trust besides the public ones [env: COUNTERSIGN_SERVER_CA]
    #[arg(long, global = true, value_name = "FILE")]
    server_ca: Option<PathBuf>,
    /// How long one attempt may take, such as `90s` [default: 60s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
}

impl ApiOptions {
    /// The client that these options and the environment describe.
    pub(crate) fn client(&self) -> CommandResult<Client> {
        Ok(self.builder()?.build()?)
    }

    /// The same with the key in this file, of another kind than an admin's.
    pub(crate) fn client_with_key(&self, file: &Path) -> CommandResult<Client> {
        Ok(self.builder()?.key(secret_file(file)?).build()?)
    }

    /// Whether a flag gives the server's URL.
    pub(crate) fn has_base_url(&self) -> bool {
        self.base_url.is_some()
    }

    /// A client that does not retry: what `doctor` reports should be the first failure.
    pub(crate) fn impatient_client(&self) -> CommandResult<Client> {
        Ok(self.builder()?.max_retries(0).build()?)
    }

    /// The files of the client certificate and its key, if they are given.
    pub(crate) fn client_files(&self) -> Option<(PathBuf, PathBuf)> {
        let flags = self.client_certificate.clone().zip(self.client_key.clone());
        let env = |certificate, key| {
            let path = |name| process_env(name).map(PathBuf::from);
            path(certificate).zip(path(key))
        };
        flags
            .or_else(|| {
                env(
                    "OPENAI_MTLS_CLIENT_CERT_FILE",
                    "OPENAI_MTLS_CLIENT_KEY_FILE",
                )
            })
            .or_else(|| env("OPENAI_MTLS_CERTIFICATE_CHAIN", "OPENAI_MTLS_PRIVATE_KEY"))
    }

    fn builder(&self) -> CommandResult<ClientBuilder> {
        let mut builder = ClientBuilder::from_env(process_env)?;
        if let Some(url) = &self.base_url {
            builder = builder.base_url(url);
        }
        if let Some(path) = &self.admin_key_file {
            builder = builder.key(secret_file(path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.client_certificate, &self.client_key) {
            builder = builder.client_certificate(certificate, key);
        }
        if let Some(path) = &self.server_ca {
            builder = builder.ca_file(path);
        }
        if let Some(timeout) = self.timeout {
            builder = builder.timeout(timeout);
        }
        Ok(builder)
    }
}

/// Which entries of a list to show.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Stop after this many entries [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Order by creation time
    #[arg(long, value_name = "ORDER", value_parser = ["asc", "desc"], default_value = "desc")]
    order: String,
}

impl ListOptions {
    /// The parameters of the request: full pages, in this order.
    pub(crate) fn params(&self) -> ListParams {
        ListParams {
            limit: Some(self.page_size()),
            order: Some(match self.order.as_str() {
                "asc" => Order::Asc,
                _ => Order::Desc,
            }),
            ..ListParams::default()
        }
    }

    /// The entries up to the limit.
    pub(crate) async fn take<T>(&self, entries: ItemStream<T>) -> CommandResult<Vec<T>> {
        take(entries, self.limit).await
    }

    fn page_size(&self) -> u32 {
        page_size(self.limit)
    }
}

/// Every entry of a list, in as few requests as there can be.
pub(crate) fn whole() -> ListParams {
    ListParams {
        limit: Some(countersign_types::page::MAX_LIMIT),
        ..ListParams::default()
    }
}

/// The page size for a limit: no larger than needed.
pub(crate) fn page_size(limit: Option<u32>) -> u32 {
    let most = countersign_types::page::MAX_LIMIT;
    limit.map_or(most, |limit| limit.min(most))
}

/// The first entries of a list, or all.
pub(crate) async fn take<T>(
    mut entries: ItemStream<T>,
    limit: Option<u32>,
) -> CommandResult<Vec<T>> {
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let mut taken = Vec::new();
    while taken.len() < limit {
        match entries.try_next().await? {
            Some(entry) => taken.push(entry),
            None => break,
        }
    }
    Ok(taken)
}

/// Runs one command's calls on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = CommandResult<T>>) -> CommandResult<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("start")?
        .block_on(work)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Config(_) => Self::usage(&error)
                .hint("run `countersign doctor` to check the set-up"),
            Error::Connection { .. } => Self::new(&error).hint(
                "is the server running? its URL comes from `OPENAI_BASE_URL` or `--base-url`; `countersign dev` starts one here",
            ),
            _ if error.code() == Some(ErrorCode::AssertionFailed) => {
                Self::new(&error).hint(BREAK_ANYWAY).with_exit(ASSERTION_FAILED)
            }
            _ => match error.code().and_then(hint) {
                Some(hint) => Self::new(&error).hint(hint),
                None => Self::new(&error),
            },
        }
    }
}

/// What to do about an error, where the server's message cannot know the command line.
fn hint(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::InvalidApiKey => {
            "give an admin key of this server in `OPENAI_ADMIN_KEY` or with `--admin-key-file`"
        }
        ErrorCode::CertificateRequired => {
            "give one with `--client-certificate` and `--client-key`, or in `OPENAI_MTLS_CLIENT_CERT_FILE` and `OPENAI_MTLS_CLIENT_KEY_FILE`"
        }
        ErrorCode::CertificateInUse => {
            "deactivate it first: `countersign certificate deactivate ID`, with `--project` for a project"
        }
        ErrorCode::MtlsCertificateInvalid => {
            "run `countersign certificate inspect FILE` to see what the file is"
        }
        _ => return None,
    })
}

/// The project of a command that needs one: from its flag, or from the environment.
pub(crate) fn needed_project(
    flag: Option<Reference<ProjectId>>,
) -> CommandResult<Reference<ProjectId>> {
    const VARIABLE: &str = "OPENAI_PROJECT_ID";
    if let Some(project) = flag {
        return Ok(project);
    }
    match process_env(VARIABLE) {
        Some(text) => text
            .parse()
            .map_err(|error| Failure::usage(format_args!("`{VARIABLE}`: {error}"))),
        None => Err(Failure::usage("no project given")
            .hint(format!("pass `--project ID|NAME`, or set `{VARIABLE}`"))),
    }
}
