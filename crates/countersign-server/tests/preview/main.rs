//! Previews: the shortcut against judging both sides, and what is counted.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the functions that tests share are as free as tests"
)]

mod both_sides;
mod counted;
mod denied;
mod revoked;
mod scene;
