//! The API key that is added to requests, if one is.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_tls::{Error, Reloading};
use countersign_types::secret::Secret;
use http::HeaderValue;

/// An API key, as the header that carries it.
#[derive(Debug, Clone)]
pub enum ApiKey {
    /// One that stays.
    Fixed(HeaderValue),
    /// One that is read again when its file changes.
    File(Arc<Reloading<HeaderValue>>),
}

impl ApiKey {
    /// A key that stays; none if it cannot stand in a header.
    #[must_use]
    pub fn fixed(key: &Secret) -> Option<Self> {
        header(key.reveal()).map(Self::Fixed)
    }

    /// A key in a file of one line.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is no key.
    pub fn from_file(file: PathBuf) -> Result<Self, Error> {
        let files = vec![file.clone()];
        let key = Reloading::load(files, move || read(&file))?;
        Ok(Self::File(Arc::new(key)))
    }

    /// The value of `authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        match self {
            Self::Fixed(header) => header.clone(),
            Self::File(key) => HeaderValue::clone(&key.current()),
        }
    }

    pub(crate) fn reload_if_changed(&self) -> Result<bool, Error> {
        match self {
            Self::Fixed(_) => Ok(false),
            Self::File(key) => key.reload_if_changed(),
        }
    }
}

fn read(file: &Path) -> Result<HeaderValue, Error> {
    let failed = |source| Error::Read {
        file: file.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let line = text.trim_start_matches('\u{feff}').trim_start();
    let line = line.lines().next().unwrap_or_default().trim();
    let none = || failed(io::Error::other("there is no key in its first line"));
    header(line).ok_or_else(none)
}

fn header(key: &str) -> Option<HeaderValue> {
    let is_one = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let mut header = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    header.set_sensitive(true);
    is_one.then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_in_a_file_is_followed_and_what_is_none_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        fs::write(&file, "sk-a\n").unwrap();
        let key = ApiKey::from_file(file.clone()).unwrap();
        assert_eq!(key.header(), "Bearer sk-a");
        fs::write(&file, "not a key\n").unwrap();
        assert!(key.reload_if_changed().is_err());
        assert_eq!(key.header(), "Bearer sk-a");
        fs::write(&file, "sk-another\n").unwrap();
        assert!(key.reload_if_changed().unwrap());
        assert_eq!(key.header(), "Bearer sk-another");
        assert!(!format!("{:?}", key.header()).contains("another"));
    }
}
