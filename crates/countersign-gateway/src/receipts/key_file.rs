//! The private key for receipts, in the gateway's data directory. It is made when it is first needed, and
//! never leaves.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use countersign_types::compact_jws::KEY_BYTES;
use data_encoding::HEXLOWER;

const FILE: &str = "receipt-key";
/// The key while it is being written: what is cut off must not pass for a key.
const NEW_FILE: &str = "receipt-key.new";

/// A private key.
pub(crate) type Seed = [u8; KEY_BYTES];

/// The key of a data directory; without one, `random` makes it.
pub(crate) fn load_or_make(
    directory: &Path,
    random: impl FnOnce() -> io::Result<Seed>,
) -> io::Result<Seed> {
    let path = directory.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            check_mode(&path)?;
            read(text.trim())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let seed = random()?;
            write(directory, &seed)?;
            Ok(seed)
        }
        Err(error) => Err(named(&error)),
    }
}

fn read(text: &str) -> io::Result<Seed> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    let seed = bytes.and_then(|bytes| bytes.try_into().ok());
    seed.ok_or_else(|| {
        let why = format!(
            "`{FILE}` does not hold a key: put it back from a copy, or remove it for a new key"
        );
        io::Error::new(ErrorKind::InvalidData, why)
    })
}

/// Whoever else could read it could sign receipts in this gateway's name.
fn check_mode(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let why = format!(
        "`{FILE}` can be read or written by others: remove it for a new key, or if nobody has read it, `chmod 600` it"
    );
    Err(io::Error::new(ErrorKind::PermissionDenied, why))
}

fn write(directory: &Path, seed: &Seed) -> io::Result<()> {
    let new = directory.join(NEW_FILE);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(named(&error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&new).map_err(|error| named(&error))?;
    writeln!(file, "{}", HEXLOWER.encode(seed))?;
    file.sync_all()?;
    fs::rename(&new, directory.join(FILE))?;
    File::open(directory)?.sync_all()
}

fn named(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{FILE}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let unused = || -> io::Result<Seed> { panic!("a key is there") };
        fs::write(directory.path().join(NEW_FILE), "torn").unwrap();
        let made = load_or_make(directory.path(), || Ok([7; KEY_BYTES])).unwrap();
        assert_eq!(made, [7; KEY_BYTES]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(load_or_make(directory.path(), unused).unwrap(), made);

        for bad in ["", "7", &"07".repeat(31), &"0G".repeat(32)] {
            fs::write(&path, bad).unwrap();
            let error = load_or_make(directory.path(), unused).unwrap_err();
            assert!(error.to_string().contains("does not hold a key"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_make(directory.path(), unused).unwrap_err();
        assert!(error.to_string().contains("by others"), "{error}");
        let none = directory.path().join("none");
        let error = load_or_make(&none, || Ok([7; KEY_BYTES])).unwrap_err();
        assert!(error.to_string().contains(FILE), "{error}");
    }
}
