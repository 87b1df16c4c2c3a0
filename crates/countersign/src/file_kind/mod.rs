//! What a file is, told by what it holds: to say so to whoever gave one of another kind than is wanted.

mod advice;
mod der;
mod kind;
pub(crate) mod pem;
mod unread;

pub(crate) use self::{
    kind::{Kind, Wanted},
    unread::{compare_keys, unreadable, wrong_kind},
};

#[cfg(test)]
mod tests;
