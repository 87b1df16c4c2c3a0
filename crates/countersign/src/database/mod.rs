//! Opens the control plane's database, for `serve` and for the operator's commands.

mod trouble;

use std::path::{Path, PathBuf};

use clap::Args;
use countersign_server::store::{
    Location, NewAdminApiKey, PostgresUrls, Sources as StoreSources, Store, StoreError,
};
use countersign_types::{api_key::AdminApiKey, audit::Actor, id::OrganizationId, secret::Secret};

use crate::{
    config::{Configuration, Database, Sources, process_env},
    failure::{CommandResult, Failure},
    files,
};

pub(crate) use self::trouble::no_space;

/// The name of the database in the data directory.
const DATABASE_FILE: &str = "countersign.db";

/// Where the database is, for the commands that work on it directly.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseOptions {
    /// The configuration file [env: COUNTERSIGN_CONFIG] [default: the first that exists of countersign.toml and /etc/countersign/countersign.toml]
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
    if let Database::Sqlite(directory) = database {
        files::private_directory(directory)?;
    }
    let opened = Store::open(&location(database), StoreSources::system()).await;
    opened.map_err(|error| why_not(database, &error))
}

/// Opens a database in memory.
pub(crate) async fn open_in_memory() -> CommandResult<Store> {
    let opened = Store::open(&Location::Memory, StoreSources::system()).await;
    opened.map_err(Failure::new)
}

/// Looks at a database as it is, and changes nothing: what can be said of it, or why it cannot be
/// opened.
pub(crate) async fn look_at(database: &Database) -> CommandResult<&'static str> {
    let found = Store::look_at(&location(database)).await;
    match found.map_err(|error| why_not(database, &error))? {
        0 => Ok("there is nothing in it yet"),
        _ => Ok("can be opened and written"),
    }
}

fn location(database: &Database) -> Location {
    match database {
        Database::Sqlite(directory) => Location::Sqlite(file_in(directory)),
        Database::Postgres {
            main,
            listen,
            replica,
        } => {
            let text = |url: &Secret| url.reveal().to_owned();
            Location::Postgres(PostgresUrls {
                main: text(main),
                listen: listen.as_ref().map(text),
                replica: replica.as_ref().map(text),
            })
        }
    }
}

/// Why a database cannot be opened, and what to do.
fn why_not(database: &Database, error: &StoreError) -> Failure {
    match database {
        Database::Sqlite(directory) => trouble::of_file(directory, DATABASE_FILE, error),
        Database::Postgres { .. } => trouble::of_server(error),
    }
}

/// The file of a database in a data directory.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join(DATABASE_FILE)
}

/// Whether there is a database in a data directory.
pub(crate) fn exists_in(directory: &Path) -> bool {
    file_in(directory).exists()
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
