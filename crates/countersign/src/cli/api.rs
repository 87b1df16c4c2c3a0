//! How the API's commands reach a server: the variables of the official SDKs, and flags over them.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Once,
    time::Duration,
};

use clap::Args;
use countersign_client::{Client, ClientBuilder, DEFAULT_BASE_URL, Error, ItemStream, ListParams};
use countersign_types::{id::ProjectId, page::Order};
use futures_util::TryStreamExt;

use super::{
    api_failure::export,
    parse::{count, duration},
    reference::Reference,
};
use crate::{
    base_url::likely_base_url,
    config::{process_env, secret_file},
    failure::{CommandResult, Doing, Failure},
    file_kind::{Wanted, compare_keys, wrong_kind},
    output::note,
};

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
        self.build(self.builder()?)
    }

    /// The same, and `None` where no key is given.
    pub(crate) fn client_if_key(&self) -> CommandResult<Option<Client>> {
        match self.client() {
            Err(failure) if failure.message().starts_with("no key") => Ok(None),
            client => client.map(Some),
        }
    }

    /// The same with the key in this file, of another kind than an admin's.
    pub(crate) fn client_with_key(&self, file: &Path) -> CommandResult<Client> {
        self.build(self.builder()?.key(secret_file(file)?))
    }

    /// The same for another base URL, and with one more CA to trust.
    pub(crate) fn impatient_client_at(
        &self,
        base_url: &str,
        ca: Option<&Path>,
    ) -> CommandResult<Client> {
        let mut builder = self.builder()?.base_url(base_url).max_retries(0);
        if let Some(ca) = ca {
            builder = builder.ca_file(ca);
        }
        self.build(builder)
    }

    fn build(&self, builder: ClientBuilder) -> CommandResult<Client> {
        self.check_unused()?;
        builder.build().map_err(|error| match error {
            Error::Config(message) => self.misconfigured(&message),
            other => other.into(),
        })
    }

    /// Over plain HTTP nothing looks at the files for TLS: whoever names one that is none is told so all the
    /// same, and whoever names a good one, that it does nothing here. Variables may be meant for other
    /// servers.
    fn check_unused(&self) -> CommandResult {
        if !self.base_url().trim_start().starts_with("http://") {
            return Ok(());
        }
        let mut unused = Vec::new();
        for (flag, file, wanted) in [
            ("--server-ca", &self.server_ca, Wanted::Certificate),
            (
                "--client-certificate",
                &self.client_certificate,
                Wanted::Certificate,
            ),
            ("--client-key", &self.client_key, Wanted::PrivateKey),
        ] {
            let Some(file) = file else { continue };
            if let Some(failure) = wrong_kind(file, wanted) {
                return Err(failure.with_exit(2));
            }
            unused.push(format!("`{flag}`"));
        }
        if let Some(last) = unused.pop() {
            let all = match unused.as_slice() {
                [] => format!("{last} is"),
                others => format!("{} and {last} are", others.join(", ")),
            };
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                note(&format!(
                    "warning: {all} not used: the base URL is http://, without TLS"
                ));
            });
        }
        Ok(())
    }

    /// What is wrong with the options or the environment, and what to do.
    fn misconfigured(&self, message: &str) -> Failure {
        let files = [
            (self.server_ca(), Wanted::Certificate),
            (
                process_env("OPENAI_MTLS_CA_BUNDLE").map(PathBuf::from),
                Wanted::Certificate,
            ),
            (
                self.client_files().map(|files| files.0),
                Wanted::Certificate,
            ),
            (self.client_files().map(|files| files.1), Wanted::PrivateKey),
        ];
        // The one that the message names, if it is of the wrong kind altogether.
        let named = |path: &PathBuf| message.contains(&format!("`{}`", path.display()));
        let of_a_file = files
            .into_iter()
            .filter_map(|(path, wanted)| Some((path.filter(named)?, wanted)))
            .find_map(|(path, wanted)| wrong_kind(&path, wanted));
        if let Some(failure) = of_a_file {
            return failure.with_exit(2);
        }
        let failure = Failure::usage(message);
        if message.starts_with("no key") {
            return failure.hint(NO_KEY);
        }
        if message.starts_with("the base URL") {
            return failure.hint(base_url_hint(&self.base_url()));
        }
        if let (Some((certificate, key)), true) =
            (self.client_files(), message.contains("is not the key of"))
        {
            return failure.hint(compare_keys(&certificate, &key));
        }
        if message.starts_with("the key holds") {
            return failure.hint(
                "give the key alone, without quotes or `Bearer `, as it was shown when it was made",
            );
        }
        failure.hint("run `countersign doctor` to check the set-up")
    }

    /// The base URL as it was given.
    pub(crate) fn base_url(&self) -> String {
        let given = self
            .base_url
            .clone()
            .or_else(|| process_env("OPENAI_BASE_URL"));
        given.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned())
    }

    /// The file of roots to trust besides the public ones, if one is given.
    pub(crate) fn server_ca(&self) -> Option<PathBuf> {
        let given = process_env("COUNTERSIGN_SERVER_CA").map(PathBuf::from);
        self.server_ca.clone().or(given)
    }

    /// Whether a flag gives the server's URL.
    pub(crate) fn has_base_url(&self) -> bool {
        self.base_url.is_some()
    }

    /// A client that does not retry: what `doctor` reports should be the first failure.
    pub(crate) fn impatient_client(&self) -> CommandResult<Client> {
        self.build(self.builder()?.max_retries(0))
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

/// Where the key comes from.
const NO_KEY: &str = "with `countersign dev` running: `. countersign-data/dev.env`; otherwise `export OPENAI_ADMIN_KEY=sk-admin-...` or `--admin-key-file FILE`";

/// What a base URL that is none should probably be.
fn base_url_hint(given: &str) -> String {
    let bare = given.trim().trim_matches(['"', '\'']);
    let bare = bare.split(['?', '#']).next().unwrap_or_default();
    let host = bare.split_once("://").map_or(bare, |(_, host)| host);
    let host = host
        .rsplit('@')
        .next()
        .unwrap_or_default()
        .trim_matches('/');
    if host.is_empty() || host.contains(char::is_whitespace) {
        return "set it: `export OPENAI_BASE_URL=http://127.0.0.1:8085/v1`".to_owned();
    }
    let scheme = match bare.split_once("://") {
        Some((scheme @ ("http" | "https"), _)) => scheme,
        // Without TLS is what `dev` serves, on this machine.
        _ if host.starts_with("127.") || host.starts_with("localhost") => "http",
        _ => "https",
    };
    let is_bare_local = host == "localhost" || host == "127.0.0.1";
    let port = if is_bare_local { ":8085" } else { "" };
    let url = format!("{scheme}://{host}{port}");
    let likely = likely_base_url(&url).unwrap_or(url);
    format!(
        "should it be this one? `{}`",
        export("OPENAI_BASE_URL", &likely)
    )
}

/// Which entries of a list to show.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Stop after this many entries [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count)]
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
        let mut taken = take(entries, self.one_more()).await?;
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        if let Some(limit) = limit.filter(|limit| taken.len() > *limit) {
            taken.truncate(limit);
            note(&format!("{limit} shown; there are more"));
        }
        Ok(taken)
    }

    /// The limit and one more, which tells whether the list ends there.
    fn one_more(&self) -> Option<u32> {
        self.limit.map(|limit| limit.saturating_add(1))
    }

    fn page_size(&self) -> u32 {
        page_size(self.one_more())
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
) -> Result<Vec<T>, Error> {
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
