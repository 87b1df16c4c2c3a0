//! Every limit on a policy and on what it may look at, each with its reason.
//!
//! Work is counted in units of about a nanosecond. The same prices are charged twice: on the worst
//! leaf when a policy is saved, and on the real one when it is evaluated.

pub use countersign_types::certificate::MAX_POLICY_BYTES;

/// How deep expressions may nest. The CEL language definition asks for 12 nested parentheses, calls
/// and indexes, and for 24 operators of one precedence in a row; this allows both and keeps every
/// recursion far from the end of a 2 MiB stack.
pub const MAX_DEPTH: u8 = 32;
/// The most terms: literals, names, operators and calls together. Allows a list of several hundred
/// allowed values, which is the longest policy that people write by hand or by template.
pub const MAX_TERMS: usize = 600;
/// The most comprehensions inside one another (docs/specification.md, section 2).
pub const MAX_NESTED_COMPREHENSIONS: usize = 2;
/// The most memory that one compiled regular expression may take, in bytes: some 500 states.
pub const MAX_REGEX_BYTES: usize = 16 * 1024;

/// The most subject alternative names that a leaf may have for a policy to look at them. Let's
/// Encrypt, whose server certificates are the most crowded, stops at 100; clients carry a few.
pub const MAX_NAMES: usize = 100;
/// The longest text of one attribute or name, in bytes: the SPIFFE-ID standard allows 2,048 and
/// every other name is shorter (RFC 1035 section 2.3.4: 253; RFC 5280 appendix A.1: 64 to 128).
pub const MAX_TEXT_BYTES: usize = 2048;
/// The longest text of all subject alternative names together, in bytes: 80 for each of the most.
pub const MAX_NAMES_BYTES: usize = 8 * 1024;

/// The most work that one evaluation may be, in units: some 10 milliseconds, reached only by a
/// policy made to reach it, on a leaf made to reach it. The usual policy is under a microsecond.
pub const MAX_COST: u64 = 10_000_000;

/// The price of visiting one term.
pub(super) const TERM: u64 = 8;
/// The price of one element put into a list or bound to a variable.
pub(super) const ELEMENT: u64 = 16;
/// The price of a byte looked for by `contains`.
pub(super) const CONTAINS_BYTE: u64 = 4;
/// The price of a new text, besides its bytes.
pub(super) const JOIN: u64 = 64;
