//! `countersign certificate inspect`: shows what a file is, and checks it with the server's own
//! code.

use std::path::PathBuf;

use clap::Args;
use countersign_types::{UnixSeconds, digest::Sha256, error::ErrorCode};
use countersign_verify::certificate::{Facts, Rejection, inspect};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::input::{First, read_bytes};
use crate::{
    clock,
    failure::{CommandResult, Failure},
    file_kind::{Kind, Wanted, pem},
    output::{Cell, Output, Row, row, text_or_dash},
};

#[derive(Args)]
pub(crate) struct Inspect {
    /// The file, or `-` for standard input
    file: PathBuf,
    #[command(flatten)]
    first: First,
}

/// What is reported about a file.
#[derive(Serialize)]
struct FileReport {
    acceptable: bool,
    reasons: Vec<Reason>,
    certificate: Option<CertificateReport>,
}

/// Why it would be refused.
#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

/// The fields of the certificate.
#[derive(Serialize)]
struct CertificateReport {
    subject: String,
    issuer: String,
    serial: String,
    sha256: Sha256,
    valid_at: UnixSeconds,
    expires_at: UnixSeconds,
    ca: bool,
    path_length: Option<u32>,
    key: String,
    signature: String,
    subject_key_identifier: Option<String>,
    authority_key_identifier: Option<String>,
    key_usage: Option<Vec<&'static str>>,
    extended_key_usage: Option<Vec<String>>,
    #[serde(skip)]
    validity: String,
}

impl Inspect {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        // A file that is not text is inspected too: the reason then says what it is, such as DER.
        let bytes = read_bytes(&self.file)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = self.first.of(&self.file, text)?;
        let inspection = inspect(&text, clock::unix_seconds());
        let kind = Kind::of(&bytes);
        let failure = (!kind.is(Wanted::Certificate))
            .then(|| kind.instead_of(Wanted::Certificate, &self.file));
        // PEM that is damaged is no other kind; where it is damaged, only this side knows.
        let damage = || {
            pem::blocks(&text)
                .err()
                .map(|flaw| flaw.in_file(&self.file))
        };
        let failure = failure.or_else(|| damage().filter(|_| !inspection.reasons.is_empty()));
        let report = FileReport {
            acceptable: inspection.reasons.is_empty() && failure.is_none(),
            reasons: match &failure {
                Some(failure) if !kind.is(Wanted::Certificate) && !kind.is_pem() => {
                    vec![Reason::of_kind(failure)]
                }
                _ => inspection.reasons.iter().map(Reason::from).collect(),
            },
            certificate: inspection.facts.as_ref().map(CertificateReport::from),
        };
        if output.is_table() {
            if let Some(certificate) = &report.certificate {
                output.one(certificate)?;
            }
            for reason in &report.reasons {
                output.text(&format!("refused: {} ({})\n", reason.message, reason.code))?;
            }
        } else {
            output.value(&report)?;
        }
        if report.acceptable {
            return Ok(());
        }
        let shown = self.file.display();
        let refused = Failure::new(format_args!("`{shown}` would be refused as a trust anchor"));
        Err(match failure.as_ref().and_then(Failure::advice) {
            Some(advice) => refused.hint(advice),
            None => refused,
        })
    }
}

impl Reason {
    /// A file of a kind that the server, which is sent text, cannot tell.
    fn of_kind(failure: &Failure) -> Self {
        Self {
            code: ErrorCode::MtlsCertificateInvalid.as_str(),
            message: failure.message().to_owned(),
        }
    }
}

impl From<&Rejection> for Reason {
    fn from(rejection: &Rejection) -> Self {
        Self {
            code: rejection.code.as_str(),
            message: rejection.message.clone(),
        }
    }
}

impl From<&Facts> for CertificateReport {
    fn from(facts: &Facts) -> Self {
        let (from, to) = (facts.not_before(), facts.not_after());
        Self {
            subject: facts.subject().to_owned(),
            issuer: facts.issuer().to_owned(),
            serial: facts.serial().to_owned(),
            sha256: facts.sha256(),
            valid_at: from.clamped(),
            expires_at: to.clamped(),
            ca: facts.is_ca(),
            path_length: facts.path_length(),
            key: facts.key_algorithm().to_owned(),
            signature: facts.signature_algorithm().to_owned(),
            subject_key_identifier: facts.subject_key_identifier().map(|id| HEXLOWER.encode(id)),
            authority_key_identifier: facts
                .authority_key_identifier()
                .map(|id| HEXLOWER.encode(id)),
            key_usage: facts.key_usage().map(<[_]>::to_vec),
            extended_key_usage: facts.extended_key_usage().map(<[_]>::to_vec),
            validity: format!("{} to {}", from.text, to.text),
        }
    }
}

impl Row for CertificateReport {
    const HEAD: &'static [&'static str] = &[
        "subject",
        "issuer",
        "serial",
        "sha256",
        "valid",
        "ca",
        "key",
        "signature",
        "subject key id",
        "authority key id",
        "key usage",
        "extended key usage",
    ];

    fn cells(&self) -> Vec<Cell> {
        let ca = match (self.ca, self.path_length) {
            (true, Some(most)) => format!("yes, with at most {most} intermediates below it"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        };
        let usage = self.key_usage.as_ref().map(|usage| usage.join(", "));
        let purposes = self.extended_key_usage.as_ref().map(|list| list.join(", "));
        row![
            self.subject.clone(),
            self.issuer.clone(),
            self.serial.clone(),
            self.sha256.to_string(),
            self.validity.clone(),
            ca,
            self.key.clone(),
            self.signature.clone(),
            text_or_dash(self.subject_key_identifier.as_deref()),
            text_or_dash(self.authority_key_identifier.as_deref()),
            text_or_dash(usage.as_deref()),
            text_or_dash(purposes.as_deref()),
        ]
    }
}
