//! `Client-Cert` and `Client-Cert-Chain` (RFC 9440): the leaf, and the rest of the chain.

use rustls_pki_types::CertificateDer;

use super::{base64, fault::Fault};

/// The leaf, and a list of what comes after it, which may be empty.
pub(super) fn chain(leaf: &str, rest: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    if leaf.is_empty() {
        return Err(Fault::WrongForm(
            "`client-cert-chain` comes without `client-cert`",
        ));
    }
    let mut chain = vec![item(leaf)?];
    if !rest.is_empty() {
        for each in rest.split(',') {
            chain.push(item(each)?);
        }
    }
    Ok(chain)
}

/// A byte sequence (RFC 9651 section 3.3.5), without parameters.
fn item(text: &str) -> Result<CertificateDer<'static>, Fault> {
    let inside = text.trim_matches(' ').strip_prefix(':');
    let inside = inside.and_then(|rest| rest.strip_suffix(':'));
    base64::certificate(inside.ok_or(Fault::WrongForm("it is not a byte sequence"))?)
}
