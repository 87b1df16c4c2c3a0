//! What a crash leaves of a gateway's directory.

use std::{collections::BTreeMap, fs, path::Path};

use crate::chance::Chance;

const DATABASE: &str = "state.db";
const LOG: &str = "state.db-wal";
/// What is made anew from the others by whoever opens them.
const INDEX: &str = "state.db-shm";

/// A directory's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image(BTreeMap<String, Vec<u8>>);

impl Image {
    pub(crate) fn of(directory: &Path) -> Self {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != INDEX {
                files.insert(name, fs::read(entry.path()).unwrap_or_default());
            }
        }
        Self(files)
    }

    /// Makes the directory hold this and nothing else.
    pub(crate) fn lay_down(&self, directory: &Path) {
        // It may not be there.
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).expect("the gateway's directory");
        for (name, content) in &self.0 {
            fs::write(directory.join(name), content).expect("the gateway's file");
        }
    }

    /// What may be there if power or process ended between the two.
    pub(crate) fn torn(before: &Self, after: &Self, chance: &mut Chance) -> Self {
        let has_file = after.0.contains_key(DATABASE);
        let same_file = before.0.get(DATABASE) == after.0.get(DATABASE);
        match (before.0.get(LOG), after.0.get(LOG)) {
            _ if chance.one_in(3) => before.clone(),
            _ if chance.one_in(3) => after.clone(),
            _ if !has_file => before.without_first(chance),
            // The log grows, and what is in it counts only when the last byte is there.
            (log, Some(longer)) if same_file && longer.starts_with(log.map_or(&[], |log| log)) => {
                let from = log.map_or(0, Vec::len);
                let length = from + chance.below(longer.len() - from + 1);
                let cut = longer.get(..length).unwrap_or_default();
                let mut torn = before.clone();
                torn.0.insert(LOG.to_owned(), cut.to_vec());
                torn
            }
            _ => before.clone(),
        }
    }

    /// While it was being removed: the database goes first.
    fn without_first(&self, chance: &mut Chance) -> Self {
        let mut left = self.clone();
        let gone = [DATABASE, LOG].into_iter().take(chance.below(3));
        for name in gone {
            left.0.remove(name);
        }
        left
    }

    /// The same with its database damaged; none if it has none.
    pub(crate) fn damaged(&self, chance: &mut Chance) -> Option<Self> {
        let mut damaged = self.clone();
        let database = damaged
            .0
            .get_mut(DATABASE)
            .filter(|file| !file.is_empty())?;
        if chance.one_in(2) {
            database.truncate(chance.below(database.len()));
        } else {
            let page = chance.below(database.len()) / 4096 * 4096;
            let end = database.len().min(page + 4096);
            database.get_mut(page..end)?.fill(0);
        }
        Some(damaged)
    }
}
