//! What became of signature checks, so that two verdicts on one chain check each signature once.
//!
//! Whether a signature verifies depends on its algorithm, key, message and bytes alone. They are all in
//! the digest under which the outcome is kept, so none can be taken for another's.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use countersign_types::digest::Sha256;
use rustls_pki_types::InvalidSignature;

/// A signature to check: identifiers of the key's and the signature's algorithm, the key, what was signed,
/// and the signature.
pub(crate) type Signature<'s> = [&'s [u8]; 5];

/// What became of the checks so far. It lives for the verdicts on one chain, whose budgets bound it.
#[derive(Debug, Default)]
pub(crate) struct Signatures(Mutex<HashMap<Sha256, Result<(), InvalidSignature>>>);

impl Signatures {
    /// What a check said, which is made if it was not made before.
    pub(crate) fn check(
        &self,
        signature: Signature<'_>,
        check: impl FnOnce() -> Result<(), InvalidSignature>,
    ) -> Result<(), InvalidSignature> {
        let Some(digest) = digest(signature) else {
            return check();
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(digest).or_insert_with(check)
    }
}

#[cfg(test)]
impl Signatures {
    /// How many checks were made.
    pub(crate) fn made(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// With the length of each part, so that no two signatures have one digest.
fn digest(signature: Signature<'_>) -> Option<Sha256> {
    let mut context = Context::new(&SHA256);
    for part in signature {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    Sha256::try_from(context.finish().as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_check_is_made_once_and_nothing_else_is_taken_for_it() {
        let signatures = Signatures::default();
        let made = Cell::new(0);
        let check = |signature: Signature<'_>, outcome| {
            let checked = signatures.check(signature, || {
                made.set(made.get() + 1);
                if outcome {
                    Ok(())
                } else {
                    Err(InvalidSignature)
                }
            });
            checked.is_ok()
        };
        let good: Signature<'_> = [b"ec", b"sha256", b"key", b"message", b"bytes"];
        assert!(check(good, true));
        assert!(check(good, false));
        assert_eq!(made.get(), 1);
        for part in 0..good.len() {
            let mut other = good;
            other[part] = b"other";
            assert!(!check(other, false));
            assert!(!check(other, true), "{part}");
        }
        // The same bytes, cut elsewhere.
        let moved: Signature<'_> = [b"ec", b"sha256", b"keymess", b"age", b"bytes"];
        assert!(!check(moved, false));
        assert_eq!(made.get(), 7);
    }
}
