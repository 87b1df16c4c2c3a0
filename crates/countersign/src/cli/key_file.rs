//! A file for a new key, so that it does not pass through a terminal or a log.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_types::secret::Secret;

use super::shown_once::note_shown_once;
use crate::{
    failure::{CommandResult, Failure},
    files::{check_writable, shell_quoted, write_private},
    output::note,
};

/// Longer than any key.
const PLACEHOLDER: &str = "no key was written here yet; this file is removed again.............\n";

/// Where a new key goes: to standard output, or into a file of its own.
#[derive(Debug, Args)]
pub(super) struct KeyFile {
    /// Write the key to this new file, readable only by you, instead of printing it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyFile {
    /// Makes sure that the file can be written before there is a key to lose, and leaves nothing
    /// behind: the command may yet fail, and be run again.
    pub(super) fn reserve(&self) -> CommandResult {
        let Some(path) = &self.key_file else {
            return Ok(());
        };
        // Overwriting could destroy the only copy of a key. In an empty file there is none.
        if fs::metadata(path).is_ok_and(|there| there.is_dir() || there.len() > 0) {
            let shown = shell_quoted(&path.display().to_string());
            return Err(Failure::usage(format_args!(
                "`{}` already exists and may hold another key",
                path.display()
            ))
            .hint(format!(
                "choose another name, or move it away: `mv {shown} {shown}.old`"
            )));
        }
        check_writable(path, PLACEHOLDER).map_err(|error| no_place(path, &error))
    }

    /// Whether there is a file.
    pub(super) const fn is_given(&self) -> bool {
        self.key_file.is_some()
    }

    /// Writes the key to the file, if there is one; else gives it back to be printed. So it does
    /// where the file can no longer be written: the key exists by then, and is shown only once.
    pub(super) fn keep(&self, key: Secret) -> CommandResult<Option<Secret>> {
        let Some(path) = &self.key_file else {
            return Ok(Some(key));
        };
        match write_private(path, &format!("{}\n", key.reveal())) {
            Ok(()) => Ok(None),
            Err(failure) => {
                note(&format!(
                    "warning: {}; the key is printed instead",
                    failure.message()
                ));
                Ok(Some(key))
            }
        }
    }

    /// Reminds the user, unless the key went to a file.
    pub(super) fn remind(&self) {
        if self.key_file.is_none() {
            note_shown_once();
        }
    }
}

/// Says why a key cannot be written there.
fn no_place(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format_args!("cannot write `{}`: {error}", path.display()));
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = shell_quoted(&parent.unwrap_or(Path::new(".")).display().to_string());
    match error.kind() {
        io::ErrorKind::NotFound => {
            failure.hint(format!("make its directory: `mkdir -p {directory}`"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            failure.hint(format!(
                "no key was made; see where there is space: `df -h {directory}`"
            ))
        }
        _ => failure.hint(format!(
            "no key was made; see who may write there: `ls -ld {directory}`"
        )),
    }
}
