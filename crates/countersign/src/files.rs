//! Files that hold secrets: readable only by their owner, and complete or absent, never partial.

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::failure::{CommandResult, Doing, Failure};

/// Creates a data directory that only its owner may enter. An existing one keeps its mode.
pub(crate) fn private_directory(path: &Path) -> CommandResult<PathBuf> {
    if path.is_file() {
        let message = format!("the data directory `{}` is a file", path.display());
        return Err(Failure::new(message).hint("choose a directory of your own with `--data-dir`"));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| path.canonicalize())
        .doing(format_args!(
            "create the data directory `{}`",
            path.display()
        ))
        .map_err(|failure| failure.hint("choose a directory of your own with `--data-dir`"))
}

/// Refuses a directory in which others could replace our files.
pub(crate) fn refuse_shared(directory: &Path) -> CommandResult {
    const OTHERS_WRITE: u32 = 0o002;
    let shown = directory.display();
    let metadata = fs::metadata(directory).doing(format_args!("read the mode of `{shown}`"))?;
    if metadata.permissions().mode() & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(
        Failure::new(format_args!("`{shown}` is writable by everyone"))
            .hint("choose a directory of your own with `--data-dir`"),
    )
}

/// A directory locked for this process, until the process ends.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _lock: fs::File,
}

/// Locks a directory for this process, or fails because another process has it.
pub(crate) fn lock_directory(directory: &Path) -> CommandResult<DirectoryLock> {
    let path = directory.join("dev.lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .doing(format_args!("open `{}`", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(DirectoryLock { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(Failure::new(format_args!(
            "another `countersign dev` is using `{}`",
            directory.display()
        ))
        .hint("stop it, or choose another directory with `--data-dir`")),
        Err(TryLockError::Error(error)) => {
            Err(error).doing(format_args!("lock `{}`", path.display()))
        }
    }
}

fn partial(path: &Path) -> PathBuf {
    with_suffix(path, ".partial")
}

/// The path of a file beside another, whose name is longer by this.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether as much could be written to a file as this: tries it beside the file, and leaves nothing.
pub(crate) fn check_writable(path: &Path, content: &str) -> io::Result<()> {
    let partial = partial(path);
    let written = write_whole(&partial, content);
    remove_if_exists(&partial).and(written)
}

/// Writes a file of mode 0600. It gets its name only once it is complete.
pub(crate) fn write_private(path: &Path, content: &str) -> CommandResult {
    let partial = partial(path);
    write_whole(&partial, content)
        .and_then(|()| fs::rename(&partial, path))
        .doing(format_args!("write `{}`", path.display()))
}

fn write_whole(path: &Path, content: &str) -> io::Result<()> {
    remove_if_exists(path)?;
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    // Durable before the rename, or a crash could leave an empty file under the name.
    file.sync_all()
}

/// Removes a file, if it exists.
pub(crate) fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Shell text that exports these variables.
pub(crate) fn shell_exports(variables: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in variables {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "export {name}={}", shell_quoted(value));
    }
    text
}

/// A value as one word of a POSIX shell.
pub(crate) fn shell_quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:-".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_exactly_what_was_written() {
        for value in ["a", "", "a b", "it's", "$(reboot)", "`x`\"\\", "/tmp/ä ö"] {
            let script = shell_exports(&[("V", value.to_owned())]) + "printf %s \"$V\"";
            let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), value);
        }
    }

    #[test]
    fn a_private_file_replaces_an_open_one_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        fs::write(&path, "old").unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_everybody_may_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let made = private_directory(&directory.path().join("a/b")).unwrap();
        let mode = fs::metadata(&made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        refuse_shared(&made).unwrap();
        fs::set_permissions(&made, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refuse_shared(&made).is_err());
    }

    #[test]
    fn one_process_holds_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock_directory(directory.path()).unwrap();
        let message = lock_directory(directory.path()).unwrap_err().to_string();
        assert!(message.contains("another `countersign dev`"), "{message}");
        drop(held);
        lock_directory(directory.path()).unwrap();
    }
}
