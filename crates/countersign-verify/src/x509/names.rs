//! How much there is to compare when name constraints are applied. The comparing itself is
//! webpki's.

use crate::der::{self, Reader};

/// A number of names and the bytes of all of them: alternative names, or constraints on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NameLoad {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// `[0]` and `[1]` of name constraints.
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

impl NameLoad {
    /// What is in a subject alternative name extension (RFC 5280 section 4.2.1.6).
    pub(crate) fn of_alternative_names(value: &[u8]) -> Self {
        der::only(value, der::SEQUENCE).map_or_else(|| Self::unreadable(value), Self::of_list)
    }

    /// What is in a name constraints extension (RFC 5280 section 4.2.1.10).
    pub(crate) fn of_constraints(value: &[u8]) -> Self {
        der::only(value, der::SEQUENCE).map_or_else(|| Self::unreadable(value), Self::of_subtrees)
    }

    /// What is in the contents of a name constraints extension, without its header.
    pub(crate) fn of_subtrees(contents: &[u8]) -> Self {
        let mut lists = Reader::new(contents);
        let mut load = Self::default();
        for tag in [PERMITTED, EXCLUDED] {
            if let Some(Some(list)) = lists.take_optional(tag) {
                load = load.plus(Self::of_list(list));
            }
        }
        load
    }

    fn of_list(contents: &[u8]) -> Self {
        let mut names = Reader::new(contents);
        let mut load = Self::default();
        while let Some((_, name)) = names.any() {
            load = load.plus(Self::of_one(name));
        }
        load
    }

    fn of_one(name: &[u8]) -> Self {
        Self {
            count: 1,
            bytes: u64::try_from(name.len()).unwrap_or(u64::MAX),
        }
    }

    /// A value that is no list: webpki stops at once, but if it did not, no name has fewer than
    /// two bytes.
    fn unreadable(value: &[u8]) -> Self {
        let bytes = u64::try_from(value.len()).unwrap_or(u64::MAX);
        Self {
            count: bytes / 2,
            bytes,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}
