//! A file for a new key, so that it does not pass through a terminal or a log.

use std::path::PathBuf;

use clap::Args;
use countersign_types::secret::Secret;

use super::shown_once::note_shown_once;
use crate::{
    failure::{CommandResult, Failure},
    files::write_private,
};

/// Where a new key goes: to standard output, or into a file of its own.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// Write the key to this new file, readable only by you, instead of printing it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyFile {
    /// Makes sure that the file can be written before there is a key to lose.
    pub(super) fn reserve(&self) -> CommandResult {
        let Some(path) = &self.key_file else {
            return Ok(());
        };
        // Overwriting could destroy the only copy of a key.
        if path.exists() {
            return Err(Failure::usage(format_args!(
                "`{}` already exists and may hold another key",
                path.display()
            )));
        }
        write_private(path, "")
    }

    /// Whether there is a file.
    pub(super) const fn is_given(&self) -> bool {
        self.key_file.is_some()
    }

    /// Writes the key to the file, if there is one; else gives it back to be printed.
    pub(super) fn keep(&self, key: Secret) -> CommandResult<Option<Secret>> {
        let Some(path) = &self.key_file else {
            return Ok(Some(key));
        };
        write_private(path, &format!("{}\n", key.reveal()))?;
        Ok(None)
    }

    /// Reminds the user, unless the key went to a file.
    pub(super) fn remind(&self) {
        if self.key_file.is_none() {
            note_shown_once();
        }
    }
}
