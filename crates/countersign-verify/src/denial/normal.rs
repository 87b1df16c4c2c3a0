//! Matches in the form that is compared.

use countersign_types::denial::{DenialMatch, IssuerAndSerial};

use super::{alternative_name, invalid_match::InvalidMatch, issuer::IssuerName, serial};

/// A match in the form that is compared and shown.
///
/// # Errors
/// When it can match no certificate.
pub fn normal(matches: &DenialMatch) -> Result<DenialMatch, InvalidMatch> {
    Ok(match matches {
        DenialMatch::LeafSha256(_) | DenialMatch::SpkiSha256(_) => matches.clone(),
        DenialMatch::IssuerAndSerial(both) => {
            IssuerName::written(&both.issuer).map_err(|message| InvalidMatch {
                property: "issuer_and_serial.issuer",
                message,
            })?;
            DenialMatch::IssuerAndSerial(IssuerAndSerial {
                issuer: both.issuer.trim().to_owned(),
                serial_number: serial::written(&both.serial_number)?,
            })
        }
        DenialMatch::SubjectAltName(name) => {
            DenialMatch::SubjectAltName(alternative_name::written(name)?)
        }
    })
}
