//! Why bytes are not a certificate that can be judged.

use std::fmt;

use crate::oid::ObjectId;

/// What is wrong with a certificate's form: the field, or the extension by name and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    what: &'static str,
    extension: Option<ObjectId>,
}

impl Malformed {
    /// A field: `its validity is malformed`.
    pub(crate) const fn of(what: &'static str) -> Self {
        Self {
            what,
            extension: None,
        }
    }

    /// An extension, by the contents of its identifier: `is malformed`, `is there twice`.
    pub(super) fn extension(id: &[u8], what: &'static str) -> Self {
        Self {
            what,
            extension: Some(ObjectId::new(id)),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.extension {
            Some(id) => write!(f, "its extension {id} {}", self.what),
            None => f.write_str(self.what),
        }
    }
}
