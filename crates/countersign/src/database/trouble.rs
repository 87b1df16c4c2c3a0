//! Why a database cannot be opened, in the words of whoever runs it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use countersign_server::store::{Outage, StoreError};

use crate::{failure::Failure, files::shell_quoted};

/// Enough for the files that SQLite keeps beside its database.
const PROBE_BYTES: usize = 128 * 1024;

/// Why the SQLite database in a directory cannot be opened.
pub(super) fn of_file(directory: &Path, name: &str, error: &StoreError) -> Failure {
    let path = directory.join(name);
    let shown = path.display();
    let file = shell_quoted(&shown.to_string());
    if path.is_dir() {
        return Failure::usage(format_args!("`{shown}` is a directory, not a database"))
            .hint(format!("move it away: `mv {file} {file}.old`"));
    }
    if !matches!(error, StoreError::TooNew { .. } | StoreError::Corrupt(_))
        && let Some(failure) = no_space(directory)
    {
        return failure;
    }
    match error {
        StoreError::Corrupt(_) => Failure::new(format_args!(
            "`{shown}` is not a SQLite database, or it is damaged"
        ))
        .hint(format!(
            "restore it from a backup; or begin with a new one: `mv {file} {file}.damaged`"
        )),
        StoreError::TooNew { .. } => of_newer(error),
        StoreError::Unavailable(Outage::Busy, _) => {
            Failure::new(format_args!("another process holds `{shown}`"))
                .hint(format!("see which: `fuser -v {file}`"))
        }
        StoreError::Configuration(_) | StoreError::Unavailable(..) => {
            Failure::usage(format_args!("cannot open the database `{shown}`: {error}"))
                .hint(owner(directory))
        }
        _ => Failure::new(format_args!("cannot open the database: {error}")),
    }
}

/// Why a PostgreSQL database cannot be opened.
pub(super) fn of_server(error: &StoreError) -> Failure {
    match error {
        StoreError::TooNew { .. } => of_newer(error),
        StoreError::Configuration(_) => Failure::usage(error),
        _ => Failure::new(format_args!("cannot open the database: {error}"))
            .hint("check the host, password and database name in the database URL"),
    }
}

fn of_newer(error: &StoreError) -> Failure {
    Failure::new(error).hint(
        "this program is `countersign --version`; install the newer one, or restore the backup from before the upgrade",
    )
}

fn owner(directory: &Path) -> String {
    format!(
        "run this as the user that owns the data directory (`ls -ld {}`), or choose another with `--data-dir`",
        shell_quoted(&directory.display().to_string())
    )
}

/// Says that a directory's disk is full, if it is. Only writing tells: a quota or a limit on files
/// is no property of the disk.
pub(crate) fn no_space(directory: &Path) -> Option<Failure> {
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    let written = write_probe(&probe);
    let _ = fs::remove_file(&probe);
    let error = written.err()?;
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    full.then(|| {
        Failure::new(format_args!(
            "the disk that holds `{}` is full: {error}",
            directory.display()
        ))
        .hint(format!(
            "free some space (`df -h {}`), or choose another directory with `--data-dir`",
            shell_quoted(&directory.display().to_string())
        ))
    })
}

fn write_probe(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(&vec![0; PROBE_BYTES])?;
    file.sync_all()
}
