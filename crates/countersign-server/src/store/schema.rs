//! Which schema this program knows, and that it leaves a newer one alone.

use super::StoreError;

/// The newest version of the schema that this program knows.
pub(super) const KNOWN: i64 = 27;

/// Refuses a schema that a newer program made, also while this one ran: what it would write there, or say of
/// what is enforced, may lack what the newer one knows.
pub(super) const fn check(found: i64) -> Result<(), StoreError> {
    if found > KNOWN {
        return Err(StoreError::TooNew {
            found,
            known: KNOWN,
        });
    }
    Ok(())
}
