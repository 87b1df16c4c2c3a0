//! The kinds of keys.

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the name says it")]
pub enum KeyKind {
    P256,
    P384,
    P521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    Ed25519,
    /// Below the 2,048 bits that the verifier requires. There is only one such key.
    Rsa1024,
}
