//! Name constraints that no client certificate could ever satisfy.
//!
//! rustls-webpki checks DNS names and IP addresses. A constraint of another form fails only the
//! certificates that have such an alternative name, so a CA that carries one can still be used;
//! but a distinguished name is in every certificate, and a malformed constraint fails them all.

use x509_parser::asn1_rs::{Any, Class, FromDer as _};

use super::rejection::Rejection;

const REISSUE: &str = "Reissue the CA certificate without that.";
/// `[4]` of a GeneralName: a directory name.
const DIRECTORY_NAME: u32 = 4;
/// `[7]` of a GeneralName: an address, in a constraint with its mask.
const IP_ADDRESS: u32 = 7;

/// What makes the contents of a nameConstraints extension impossible to satisfy, if anything.
pub(super) fn impossible(extension: &[u8]) -> Option<Rejection> {
    match bases(extension) {
        None => Some(Rejection::invalid(
            "The certificate's name constraints are malformed, or set `minimum` or `maximum`, \
             which the verifier always refuses (RFC 5280 section 4.2.1.10).",
            REISSUE,
        )),
        Some(bases) => bases.contains(&DIRECTORY_NAME).then(|| {
            Rejection::invalid(
                "The certificate's name constraints are on directory names, which the \
                     verifier does not process and so always refuses (RFC 5280 section 4.2.1.10).",
                "Reissue the CA certificate without them; a CEL policy on `subject` can \
                     do what they did.",
            )
        }),
    }
}

/// The forms of name that are constrained; `None` when the extension is malformed.
fn bases(extension: &[u8]) -> Option<Vec<u32>> {
    let trees = only(extension)?;
    trees.tag().0.eq(&16).then_some(())?;
    let mut bases = Vec::new();
    let mut before = None;
    for subtrees in elements(trees.data)? {
        // Permitted, then excluded, either once.
        let order = (subtrees.class() == Class::ContextSpecific).then_some(subtrees.tag().0)?;
        if order > 1 || before.is_some_and(|before| before >= order) {
            return None;
        }
        before = Some(order);
        for tree in elements(subtrees.data)? {
            // Alone in its SEQUENCE: `minimum` and `maximum` must be absent.
            bases.push(base(&only(tree.data)?)?);
        }
    }
    Some(bases)
}

fn base(name: &Any<'_>) -> Option<u32> {
    let form = name.tag().0;
    let address = matches!(name.data.len(), 8 | 32);
    let sound = name.class() == Class::ContextSpecific && form <= 8;
    (sound && (form != IP_ADDRESS || address)).then_some(form)
}

fn only(der: &[u8]) -> Option<Any<'_>> {
    let (rest, element) = Any::from_der(der).ok()?;
    rest.is_empty().then_some(element)
}

fn elements(mut der: &[u8]) -> Option<Vec<Any<'_>>> {
    let mut all = Vec::new();
    while !der.is_empty() {
        let (rest, element) = Any::from_der(der).ok()?;
        all.push(element);
        der = rest;
    }
    Some(all)
}
