//! `countersign backup` and `restore`: a SQLite database as one file, checked, and put in place again.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use countersign_server::store::{
    DatabaseContents, Outage, StoreError, check_database, copy_database, settle_database,
};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::api::block_on;
use crate::{
    clock,
    config::Database,
    database::{DatabaseOptions, file_in},
    failure::{CommandResult, Doing as _, Failure},
    files::{private_directory, remove_if_exists, shell_quoted, with_suffix},
    output::{Cell, Output, Row, Tone, moment, note, printable, row},
};

#[derive(Args)]
pub(crate) struct Backup {
    /// Where to write it; a file that does not exist yet
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseOptions,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Put it in the place of the database that is there, which is kept beside it
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    database: DatabaseOptions,
}

/// What was backed up or restored, as it is shown.
#[skip_serializing_none]
#[derive(Serialize)]
struct Done {
    /// The file that was written.
    file: PathBuf,
    bytes: u64,
    #[serde(flatten)]
    contents: DatabaseContents,
    /// Where the database is that was there before.
    replaced: Option<PathBuf>,
}

impl Backup {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let hint = "back PostgreSQL up with its own tools, such as `pg_dump --format=custom --file=countersign.dump \"$DATABASE_URL\"`";
        let database = file_of(&self.database, hint)?;
        if !database.exists() {
            let shown = database.display();
            return Err(
                Failure::usage(format_args!("there is no database `{shown}`"))
                    .hint("say where it is with `--data-dir`"),
            );
        }
        let done = block_on(back_up(&database, self.file))?;
        output.one(&done)?;
        done.warn()
    }
}

impl Restore {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let hint = "restore PostgreSQL with its own tools, such as `pg_restore --clean --if-exists --dbname=\"$DATABASE_URL\" countersign.dump`";
        let database = file_of(&self.database, hint)?;
        let done = block_on(restore(&self.file, &database, self.replace))?;
        output.one(&done)?;
        note(
            "keys, trust anchors and what is active are as they were then: what was revoked since is valid again. Gateways follow as soon as `countersign serve` runs",
        );
        done.warn()
    }
}

/// The file of the configured database, where it is one.
fn file_of(options: &DatabaseOptions, otherwise: &str) -> CommandResult<PathBuf> {
    let configuration = options.configuration(Vec::new())?;
    match configuration.settings.database.resolve()? {
        Database::Sqlite(directory) => Ok(file_in(&directory)),
        Database::Postgres { .. } => Err(Failure::usage(
            "the database is PostgreSQL, and this is for SQLite",
        )
        .hint(otherwise)),
    }
}

async fn back_up(database: &Path, file: PathBuf) -> CommandResult<Done> {
    refuse_existing(&file)?;
    let partial = Partial::beside(&file)?;
    let from = database.display();
    copy_database(database, &partial.0)
        .await
        .map_err(|error| Failure::new(format_args!("cannot back up `{from}`: {error}")))?;
    let contents = check_database(&partial.0).await.map_err(|error| {
        Failure::new(format_args!("the copy of `{from}` is not good: {error}"))
            .hint("the database itself may be damaged: see `countersign doctor`")
    })?;
    refuse_existing(&file)?;
    let bytes = partial.take_name(&file)?;
    Ok(Done {
        file,
        bytes,
        contents,
        replaced: None,
    })
}

async fn restore(backup: &Path, database: &Path, replace: bool) -> CommandResult<Done> {
    let shown = backup.display();
    if !backup.is_file() {
        return Err(Failure::usage(format_args!("there is no file `{shown}`")));
    }
    if let Some(directory) = database.parent() {
        private_directory(directory)?;
    }
    let exists = database.exists();
    if exists && !replace {
        let there = database.display();
        return Err(
            Failure::usage(format_args!("there is a database `{there}`")).hint(
                "pass `--replace` to put the backup in its place; the database is kept beside it",
            ),
        );
    }
    let partial = Partial::beside(database)?;
    copy_database(backup, &partial.0)
        .await
        .map_err(|error| unusable(backup, &error))?;
    let contents = check_database(&partial.0)
        .await
        .map_err(|error| unusable(backup, &error))?;
    let replaced = match exists {
        true => Some(set_aside(database).await?),
        false => None,
    };
    let bytes = partial.take_name(database)?;
    Ok(Done {
        file: database.to_owned(),
        bytes,
        contents,
        replaced,
    })
}

/// Gives the database another name, once nobody uses it.
async fn set_aside(database: &Path) -> CommandResult<PathBuf> {
    let shown = database.display();
    match settle_database(database).await {
        Ok(()) => {}
        Err(StoreError::Unavailable(Outage::Busy, _)) => {
            return Err(
                Failure::new(format_args!("a process has `{shown}` open")).hint(format!(
                    "stop `countersign serve` first; `fuser -v {}` says which process it is",
                    shell_quoted(&shown.to_string())
                )),
            );
        }
        // What cannot be opened is kept as it is, with what lies beside it.
        Err(_) => {}
    }
    let aside = with_suffix(database, &format!(".replaced-{}", clock::unix_seconds()));
    let moved = || -> io::Result<()> {
        for suffix in ["-wal", "-shm"] {
            match fs::rename(with_suffix(database, suffix), with_suffix(&aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // Where it can have two names, there is a database at every moment.
        fs::hard_link(database, &aside).or_else(|_| fs::rename(database, &aside))
    };
    moved().doing(format_args!("move `{shown}` aside"))?;
    Ok(aside)
}

fn unusable(backup: &Path, error: &StoreError) -> Failure {
    let shown = backup.display();
    match error {
        StoreError::Corrupt(why) => Failure::usage(format_args!(
            "`{shown}` is not a backup of this program, or it is damaged: {why}"
        ))
        .hint("nothing was changed; take another backup"),
        StoreError::TooNew { .. } => Failure::usage(format_args!("`{shown}`: {error}"))
            .hint("restore it with the version that it was made with, or a later one"),
        _ => Failure::new(format_args!("cannot restore `{shown}`: {error}")),
    }
}

fn refuse_existing(file: &Path) -> CommandResult {
    match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(
            Failure::usage(format_args!("`{}` exists already", file.display())).hint(
                "write each backup to a file of its own, such as `countersign-$(date +%F).db`",
            ),
        ),
    }
}

/// A file that has not got its name yet, and is removed if it never gets it.
struct Partial(PathBuf);

impl Partial {
    /// Creates it empty, for its owner only.
    fn beside(path: &Path) -> CommandResult<Self> {
        let partial = with_suffix(path, &format!(".{}.partial", std::process::id()));
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|error| {
                let shown = path.display();
                let failure = Failure::new(format_args!("cannot write `{shown}`: {error}"));
                match (error.kind(), path.parent()) {
                    (io::ErrorKind::NotFound, Some(directory)) => {
                        let directory = shell_quoted(&directory.display().to_string());
                        failure.hint(format!("make the directory first: `mkdir -p {directory}`"))
                    }
                    _ => failure,
                }
            })?;
        Ok(Self(partial))
    }

    /// Makes it durable under its name; how many bytes it has.
    fn take_name(self, path: &Path) -> CommandResult<u64> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let named = || -> io::Result<u64> {
            let file = File::open(&self.0)?;
            file.sync_all()?;
            fs::rename(&self.0, path)?;
            File::open(directory)?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        named().doing(format_args!("write `{}`", path.display()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = remove_if_exists(&with_suffix(&self.0, suffix));
        }
    }
}

impl Done {
    /// Fails if the audit log is not what it should be, though the file is there.
    fn warn(&self) -> CommandResult {
        let broken: Vec<String> = self
            .contents
            .broken_audit_logs
            .iter()
            .map(|id| format!("`{id}`"))
            .collect();
        if broken.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format_args!(
            "the file was written, but in it the audit log of {} is not whole, or was changed",
            broken.join(", ")
        ))
        .hint("`countersign audit-log verify` says what is wrong with it; compare it with an older backup"))
    }
}

impl Row for Done {
    const HEAD: &'static [&'static str] = &[
        "file",
        "size",
        "last change",
        "revision",
        "organizations",
        "audit events",
        "audit log",
        "replaced",
    ];

    fn cells(&self) -> Vec<Cell> {
        let shown = |path: &Path| printable(&path.display().to_string());
        let audit = if self.contents.broken_audit_logs.is_empty() {
            Cell::State(Tone::Good, "intact".to_owned())
        } else {
            Cell::State(Tone::Bad, "not intact".to_owned())
        };
        row![
            shown(&self.file),
            format!("{} bytes", self.bytes),
            moment(self.contents.changed_at),
            self.contents.revision.to_string(),
            self.contents.organizations.to_string(),
            self.contents.audit_events.to_string(),
            audit,
            self.replaced
                .as_deref()
                .map_or_else(|| "-".to_owned(), shown),
        ]
    }
}
