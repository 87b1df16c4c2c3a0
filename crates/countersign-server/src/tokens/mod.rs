//! Exchanging client certificates for tokens (docs/specification.md, section 6): `compiled` is what decides in
//! an organization, kept until the organization changes; `admissions` for what a leaf gets tokens; `attributes` what a leaf says; `exchange` the order of
//! one exchange; `steps` the same with every step shown; `rotation` replaces old keys.

mod admissions;
mod attributes;
mod compiled;
mod exchange;
mod rotation;
mod steps;

pub use self::rotation::watch_token_keys;
pub(crate) use self::{
    admissions::{Admissions, Named},
    compiled::{Federations, Providers},
    exchange::exchange,
    steps::test,
};
