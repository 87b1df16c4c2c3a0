//! The file that records are appended to.

use std::{
    io,
    path::{Path, PathBuf},
};

use countersign_log::{LineLog, Progress, open};

use super::record::{Ended, Record};

/// The access log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    path: PathBuf,
    /// Of a file that is created: for its owner to read, or also for its group.
    mode: u32,
    lines: LineLog,
}

impl AccessLog {
    /// Opens the file, or creates it for its owner and, if wanted, for its group to read.
    pub(crate) fn open(path: &Path, group_readable: bool) -> io::Result<Self> {
        let mode = if group_readable { 0o640 } else { 0o600 };
        Ok(Self {
            lines: LineLog::to_file(open(path, mode)?)?,
            path: path.to_owned(),
            mode,
        })
    }

    /// Opens the file again by its name, for whoever moved it away. If that fails, the old one stays
    /// in use.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        self.lines.change_to(open(&self.path, self.mode)?);
        Ok(())
    }

    /// Adds the line of a request.
    pub(crate) fn write(&self, record: &Record, time: u64, ended: &Ended) {
        self.lines.add(&record.line(time, ended));
    }

    /// How the log fares.
    pub(crate) fn progress(&self) -> Progress {
        self.lines.progress()
    }

    /// Writes what waits, for as long as a stop may take.
    pub(crate) fn finish(&self) -> Progress {
        self.lines.finish()
    }
}
