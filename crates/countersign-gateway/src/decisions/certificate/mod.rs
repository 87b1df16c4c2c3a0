//! Reading the certificate that another proxy sends of its client. One form is read, the one that the
//! listener is set to: what else could be a certificate is a reason to refuse.

mod base64;
mod fault;
mod pem;
mod rfc9440;
mod xfcc;

use rustls_pki_types::CertificateDer;

use self::fault::one;
use crate::{identity_headers::folds_to, options::CertificateForm};

pub(super) use self::fault::Fault;

/// The most bytes of the headers that carry a chain.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Headers in which proxies send a client's certificate, or its chain.
const KNOWN: [&str; 14] = [
    "x-forwarded-client-cert",
    "client-cert",
    "client-cert-chain",
    "x-forwarded-tls-client-cert",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-leaf",
    "ssl-client-cert",
    "x-client-cert-der",
    "x-client-cert",
    "x-client-cert-chain",
    "x-ssl-client-cert",
    "x-ssl-cert",
    "x-client-certificate",
    "x-ssl-client-der",
];

/// What was sent of a client's certificate, as it was sent. Empty where it presented none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent<'a> {
    leaf: &'a [u8],
    /// Where the rest of the chain has a header of its own.
    rest: &'a [u8],
}

impl<'a> Sent<'a> {
    /// What Envoy says of its client's connection.
    pub(super) fn attribute(certificate: &'a str) -> Result<Self, Fault> {
        Self {
            leaf: certificate.as_bytes(),
            rest: &[],
        }
        .within_bounds()
    }

    /// Finds it among a request's headers.
    pub(super) fn among(
        form: CertificateForm,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, Fault> {
        let [leaf, rest] = names(form);
        let (mut found_leaf, mut found_rest) = (None, None);
        for (name, value) in headers {
            let Some(known) = known(name) else {
                continue;
            };
            // Another spelling of the right name is another header: the proxy sets the one.
            let found = if leaf == Some(name) {
                &mut found_leaf
            } else if rest == Some(name) {
                &mut found_rest
            } else {
                return Err(Fault::OtherHeader(known));
            };
            if found.replace(value).is_some() {
                return Err(Fault::Repeated);
            }
        }
        Self {
            leaf: found_leaf.unwrap_or_default(),
            rest: found_rest.unwrap_or_default(),
        }
        .within_bounds()
    }

    const fn within_bounds(self) -> Result<Self, Fault> {
        if self.leaf.len() + self.rest.len() > MAX_BYTES {
            return Err(Fault::TooLarge);
        }
        Ok(self)
    }

    /// Whether the client presented none.
    pub(super) const fn is_none(self) -> bool {
        self.leaf.is_empty() && self.rest.is_empty()
    }

    /// What tells it from any other that is sent in the same form.
    pub(super) fn key(self) -> std::borrow::Cow<'a, [u8]> {
        if self.rest.is_empty() {
            return self.leaf.into();
        }
        // No form has this byte, so that what is before it is the leaf.
        let parts = [self.leaf, b"\0", self.rest];
        parts.concat().into()
    }

    /// The chain, leaf first.
    pub(super) fn read(self, form: CertificateForm) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let text = |bytes: &'a [u8]| {
            let is_plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
            let text = is_plain.then(|| std::str::from_utf8(bytes).ok()).flatten();
            text.ok_or(Fault::WrongForm("it has bytes that are not ASCII"))
        };
        let (leaf, rest) = (text(self.leaf)?, text(self.rest)?);
        match form {
            CertificateForm::EnvoyAttributes | CertificateForm::NginxEscapedPem => {
                one(pem::escaped(leaf)?)
            }
            CertificateForm::Alb => pem::escaped(leaf),
            CertificateForm::XfccText => xfcc::text(leaf),
            CertificateForm::XfccJson => xfcc::json(leaf),
            CertificateForm::Traefik => base64::list(leaf),
            CertificateForm::CaddyDer => one(base64::list(leaf)?),
            CertificateForm::Rfc9440 => rfc9440::chain(leaf, rest),
        }
    }
}

/// The headers of a form: the one with the leaf, and the one with the rest.
const fn names(form: CertificateForm) -> [Option<&'static str>; 2] {
    match form {
        CertificateForm::EnvoyAttributes => [None, None],
        CertificateForm::XfccText | CertificateForm::XfccJson => {
            [Some("x-forwarded-client-cert"), None]
        }
        CertificateForm::NginxEscapedPem => [Some("ssl-client-cert"), None],
        CertificateForm::Traefik => [Some("x-forwarded-tls-client-cert"), None],
        CertificateForm::CaddyDer => [Some("x-client-cert-der"), None],
        CertificateForm::Rfc9440 => [Some("client-cert"), Some("client-cert-chain")],
        CertificateForm::Alb => [Some("x-amzn-mtls-clientcert"), None],
    }
}

/// The known header that a name, as a server that folds such names would read it, is.
fn known(name: &str) -> Option<&'static str> {
    // Most names end here.
    if !name.starts_with(['x', 'X', 'c', 'C', 's', 'S']) {
        return None;
    }
    let mut known = KNOWN.iter();
    known.find(|known| folds_to(known, name)).copied()
}

#[cfg(test)]
mod tests;
