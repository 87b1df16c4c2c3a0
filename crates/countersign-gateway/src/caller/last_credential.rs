//! The credential that came last on a connection.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use countersign_types::{bearer::bearer_key, compact_jws::looks_like_one};

use super::{credential::Credential, token::Token};

/// The longest header that is remembered: one of a token has about 800 bytes.
const LONGEST: usize = 2048;

/// What the last bearer header of a connection was read as. A client sends the same one with each request, and
/// hashing a token costs more than all else that is decided about it.
///
/// It says only what the bytes are: whom they admit is asked of what is enforced, for each request.
#[derive(Default)]
pub(crate) struct LastCredential(Mutex<Option<Last>>);

/// A header, and what it was read as.
type Last = (Box<[u8]>, Credential);

impl fmt::Debug for LastCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastCredential(..)")
    }
}

impl LastCredential {
    /// As [`Credential::from_bearer`], which it asks for what did not come last. How long it takes does not
    /// tell how much of a header is right: others' requests may come on the same connection.
    pub(crate) fn read<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
        token: impl FnOnce(&[u8]) -> Option<Arc<Token>>,
    ) -> Option<Credential> {
        let mut values = values.into_iter();
        let (value, second) = (values.next()?, values.next());
        if second.is_some() {
            return None;
        }
        if let Some((header, credential)) = &*self.lock()
            && verify_slices_are_equal(header, value).is_ok()
        {
            return Some(credential.clone());
        }
        // Not within the lock: a signature may be verified, and threads share a connection that another proxy has.
        let credential = Credential::from_bearer([value], token)?;
        if value.len() <= LONGEST && stays(value, &credential) {
            *self.lock() = Some((value.into(), credential.clone()));
        }
        Some(credential)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a header is read the same at any time. What looks like a token and is none may be one once the
/// key that signed it has arrived.
fn stays(value: &[u8], credential: &Credential) -> bool {
    match credential {
        Credential::KeyDigest(_) => bearer_key([value]).is_ok_and(|key| !looks_like_one(key)),
        Credential::FixedProject(_) | Credential::Token(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN_SHAPED: &[u8] = b"Bearer eyJh.eyJi.c2ln";

    fn read(last: &LastCredential, values: &[&[u8]]) -> Option<Credential> {
        last.read(values.iter().copied(), |_| None)
    }

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let last = LastCredential::default();
        let headers: [&[&[u8]]; 8] = [
            &[b"Bearer sk-a"],
            &[b"Bearer sk-a"],
            &[b"Bearer sk-b"],
            &[b"Bearer sk-b", b"Bearer sk-b"],
            &[b"Basic sk-b"],
            &[],
            &[b"bearer  sk-b"],
            &[b"Bearer sk-a"],
        ];
        for values in headers {
            let afresh = Credential::from_bearer(values.iter().copied(), |_| None);
            assert_eq!(read(&last, values), afresh, "{values:?}");
        }
    }

    #[test]
    fn what_may_be_a_token_later_is_read_again() {
        let last = LastCredential::default();
        assert!(looks_like_one(b"eyJh.eyJi.c2ln"));
        let mut asked = 0;
        for _ in 0..2 {
            last.read([TOKEN_SHAPED], |_| {
                asked += 1;
                None
            });
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn a_header_of_any_length_is_read_and_a_long_one_is_not_kept() {
        let last = LastCredential::default();
        let long = format!("Bearer {}", "a".repeat(LONGEST));
        let long = long.as_bytes();
        assert!(read(&last, &[long]).is_some());
        assert!(last.0.lock().unwrap().is_none());
        assert!(read(&last, &[b"Bearer sk-a"]).is_some());
        assert_eq!(format!("{last:?}"), "LastCredential(..)");
        assert!(last.0.lock().unwrap().is_some());
    }
}
