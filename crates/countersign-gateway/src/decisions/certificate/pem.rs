//! PEM in which signs are escaped as in a URL: Envoy's attribute, nginx's variable, and the header of an
//! AWS load balancer.

use percent_encoding::percent_decode_str;
use rustls_pki_types::CertificateDer;

use super::{base64, fault::Fault};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a text in which signs are escaped. There is nothing but certificates in it.
pub(super) fn escaped(text: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let pem = percent_decode_str(text).decode_utf8();
    let pem = pem.map_err(|_| Fault::WrongForm("it is not text"))?;
    let mut rest = pem.trim_ascii();
    let mut chain = Vec::new();
    while !rest.is_empty() {
        let inside = rest
            .strip_prefix(BEGIN)
            .ok_or(Fault::WrongForm("it is not PEM of certificates"))?;
        let (body, after) = inside
            .split_once(END)
            .ok_or(Fault::WrongForm("its PEM is cut off"))?;
        let body: String = body
            .chars()
            .filter(|sign| !sign.is_ascii_whitespace())
            .collect();
        chain.push(base64::certificate(&body)?);
        rest = after.trim_ascii();
    }
    if chain.is_empty() {
        return Err(Fault::WrongForm("it is blank"));
    }
    Ok(chain)
}
