//! The note that follows a new key.

use crate::output::note;

/// Reminds the user that the key cannot be shown again.
pub(super) fn note_shown_once() {
    note("note: it is shown only once; keep it in a safe place");
}
