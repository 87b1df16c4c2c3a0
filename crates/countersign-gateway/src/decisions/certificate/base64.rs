//! DER in base 64, without anything around it: as Caddy has a leaf, and Traefik, with commas between, a
//! chain.

use data_encoding::BASE64;
use rustls_pki_types::CertificateDer;

use super::fault::Fault;

/// Certificates with commas between.
pub(super) fn list(text: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    text.split(',').map(certificate).collect()
}

/// One certificate. What it says is for the judge to find, but not whether it is whole.
pub(super) fn certificate(text: &str) -> Result<CertificateDer<'static>, Fault> {
    let der = BASE64.decode(text.as_bytes());
    let der = der.ok().filter(|der| is_whole(der));
    der.map(CertificateDer::from).ok_or(Fault::WrongForm(
        "it is not base 64 of a certificate, or is cut off",
    ))
}

/// Whether it is one sequence, to its end: a certificate that is cut off at four digits of base 64 is
/// still base 64. A length has one byte, or says how many follow (X.690 section 8.1.3).
fn is_whole(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else {
        return false;
    };
    let Some(digits) = first.checked_sub(0x80) else {
        return rest.len() == usize::from(*first);
    };
    let Some((length, body)) = rest.split_at_checked(digits.into()) else {
        return false;
    };
    // None is so large that more are needed.
    let is_short = (1..=3).contains(&length.len());
    let length = length
        .iter()
        .fold(0, |all, byte| (all << 8) | usize::from(*byte));
    is_short && body.len() == length
}
