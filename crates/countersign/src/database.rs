//! Opens the control plane's database, for `serve` and for the operator's commands.

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_server::store::{
    Location, NewAdminApiKey, Sources as StoreSources, Store, StoreError,
};
use countersign_types::{api_key::AdminApiKey, audit::Actor, id::OrganizationId};

use crate::{
    config::{Configuration, Database, Sources, process_env},
    failure::{CommandResult, Failure},
    files,
};

/// The name of the database in the data directory.
const DATABASE_FILE: &str = "countersign.db";

/// Where the database is, for the commands that work on it directly.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseOptions {
    /// The configuration file [env: COUNTERSIGN_CONFIG] [default: countersign.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the SQLite database [default: /var/lib/countersign]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// URL of a PostgreSQL database to use instead of SQLite; other users of this machine can see flags, so prefer the file
    #[arg(
        long,
        global = true,
        value_name = "URL",
        conflicts_with = "database_url_file"
    )]
    database_url: Option<String>,
    /// File that holds the database URL
    #[arg(long, global = true, value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

impl DatabaseOptions {
    /// The configuration, with these flags and the command's own over it.
    pub(crate) fn configuration(
        &self,
        own: Vec<(&'static str, Option<String>)>,
    ) -> CommandResult<Configuration> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let store = vec![
            ("data_dir", path(&self.data_dir)),
            ("database_url", self.database_url.clone()),
            ("database_url_file", path(&self.database_url_file)),
        ];
        let flags = store.into_iter().chain(own);
        Configuration::load(Sources {
            file: self.config.as_deref(),
            env: &process_env,
            flags: flags
                .filter_map(|(key, value)| value.map(|value| (key, value)))
                .collect(),
        })
    }
}

/// Opens the database, and creates it if it does not exist.
pub(crate) async fn open(database: &Database) -> CommandResult<Store> {
    let (location, hint) = match database {
        Database::Sqlite(directory) => {
            files::private_directory(directory)?;
            (
                Location::Sqlite(directory.join(DATABASE_FILE)),
                "the data directory must belong to this user; `--data-dir` chooses another",
            )
        }
        Database::Postgres(url) => (
            Location::Postgres(url.reveal().to_owned()),
            "check the host, password and database name in the database URL",
        ),
    };
    open_location(&location)
        .await
        .map_err(|failure| failure.hint(hint))
}

/// Opens the database at a location.
pub(crate) async fn open_location(location: &Location) -> CommandResult<Store> {
    let opened = Store::open(location, StoreSources::system()).await;
    opened.map_err(|error| match error {
        StoreError::Configuration(_) => Failure::usage(error),
        _ => Failure::new(format_args!("cannot open the database: {error}")),
    })
}

/// Whether there is a database in a data directory.
pub(crate) fn exists_in(directory: &Path) -> bool {
    directory.join(DATABASE_FILE).exists()
}

/// Creates an admin key as the operator, who needs no key for it.
pub(crate) async fn create_admin_key(
    store: &Store,
    organization: &OrganizationId,
    new: NewAdminApiKey,
) -> CommandResult<AdminApiKey> {
    let mut tx = store.write(organization, Actor::Operator).await?;
    let created = tx.create_admin_api_key(new).await?;
    tx.commit(created.events).await?;
    Ok(created.answer)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}
