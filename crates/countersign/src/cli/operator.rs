//! What the operator's commands share: they work on the store itself, so they need no key, and
//! they are the way back in after a lock-out.

use std::path::PathBuf;

use clap::Args;
use countersign_server::store::{Store, StoreError};
use countersign_types::{certificate::MAX_NAME_CHARACTERS, secret::Secret};

use super::{api::block_on, service_account::KEEP_IT};
use crate::{
    config::Database,
    failure::{Failure, Outcome},
    files::write_private,
    output::note,
    serve::{self, StoreOptions},
};

/// Where a new key goes: to standard output with the rest, or into a file of its own.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// Write the key to this new file, for its owner only, and do not print it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyFile {
    /// Sees that the file can be written before there is a key to lose.
    pub(super) fn reserve(&self) -> Outcome {
        let Some(path) = &self.key_file else {
            return Ok(());
        };
        if path.exists() {
            return Err(Failure::usage(format_args!(
                "`{}` exists, and may hold another key",
                path.display()
            )));
        }
        write_private(path, "")
    }

    /// Writes the key to the file, if there is one; what is left to print.
    pub(super) fn keep(&self, key: Secret) -> Outcome<Option<Secret>> {
        let Some(path) = &self.key_file else {
            return Ok(Some(key));
        };
        write_private(path, &format!("{}\n", key.reveal()))?;
        Ok(None)
    }

    /// Reminds whoever sees the key that it is seen this once.
    pub(super) fn remind(&self) {
        if self.key_file.is_none() {
            note(KEEP_IT);
        }
    }
}

/// What a command does when there is no database yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make it.
    Make,
    /// Fail: an empty database would answer what is not so.
    Fail,
}

/// Opens the store and works on it.
pub(super) fn on_store(
    options: &StoreOptions,
    missing: Missing,
    work: impl AsyncFnOnce(Store) -> Outcome,
) -> Outcome {
    let database = options.effective(Vec::new())?.database()?;
    if let (Database::Sqlite(directory), Missing::Fail) = (&database, missing)
        && !serve::has_database(directory)
    {
        return Err(Failure::new(format_args!(
            "there is no database in `{}`",
            directory.display()
        ))
        .hint(
            "`--data-dir` names the server's data directory, `--database-url-file` its PostgreSQL",
        ));
    }
    block_on(async { work(serve::open(&database).await?).await })
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}

/// A name as the API takes it. The store does not look at names: whoever calls it has.
pub(super) fn name(text: &str) -> Result<String, String> {
    let characters = text.chars().count();
    if (1..=MAX_NAME_CHARACTERS).contains(&characters) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name has 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
    ))
}
