//! `X-Forwarded-Client-Cert`, as Envoy writes it (HTTP connection manager, "x-forwarded-client-cert"),
//! and with the same keys as JSON. It must be of one proxy, and carry the certificates themselves.

use std::borrow::Cow;

use countersign_types::digest::Sha256;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::{
    fault::{Fault, one},
    pem,
};

/// What is read of it. Other keys say nothing that the certificates do not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Element<'a> {
    #[serde(borrow)]
    hash: Option<Cow<'a, str>>,
    #[serde(borrow)]
    cert: Option<Cow<'a, str>>,
    #[serde(borrow)]
    chain: Option<Cow<'a, str>>,
}

/// Of a header as Envoy writes it.
pub(super) fn text(header: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let mut element = Element::default();
    let mut rest = header;
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or(Fault::WrongForm("it has a key without a value"))?;
        let (value, after) = value(after)?;
        let known = [
            ("hash", &mut element.hash),
            ("cert", &mut element.cert),
            ("chain", &mut element.chain),
        ];
        let mut known = known.into_iter();
        let field = known.find(|(name, _)| key.eq_ignore_ascii_case(name));
        if field.is_some_and(|(_, field)| field.replace(value).is_some()) {
            return Err(Fault::Repeated);
        }
        rest = after;
    }
    element.certificates()
}

/// Of a header in JSON: an array of one object.
pub(super) fn json(header: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let elements: Vec<Element<'_>> =
        serde_json::from_str(header).map_err(|_| Fault::WrongForm("it is not the JSON of one"))?;
    let mut elements = elements.into_iter();
    match (elements.next(), elements.next()) {
        (Some(element), None) => element.certificates(),
        (Some(_), Some(_)) => Err(Fault::Repeated),
        (None, _) => Err(Fault::WrongForm("it is an empty list")),
    }
}

/// The value that a text begins with, and what follows it.
fn value(text: &str) -> Result<(Cow<'_, str>, &str), Fault> {
    let (value, after) = match text.strip_prefix('"') {
        None => {
            let end = text.find([';', ',']).unwrap_or(text.len());
            let (value, after) = text.split_at_checked(end).unwrap_or((text, ""));
            (Cow::Borrowed(value), after)
        }
        Some(quoted) => {
            let end = closing_quote(quoted).ok_or(Fault::WrongForm("a quote is not closed"))?;
            let (value, after) = quoted.split_at_checked(end).unwrap_or((quoted, ""));
            (Cow::Borrowed(value), after.get(1..).unwrap_or_default())
        }
    };
    match after.chars().next() {
        None => Ok((value, "")),
        Some(';') => Ok((value, after.get(1..).unwrap_or_default())),
        // Each proxy on the way adds one: which of them is believed would be a guess.
        Some(',') => Err(Fault::Repeated),
        Some(_) => Err(Fault::WrongForm("something follows a quoted value")),
    }
}

/// Where the quote ends that a text began with: at one that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

impl Element<'_> {
    /// The chain, or else the leaf. What it says twice must be the same.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Fault> {
        let read = |pem: &Option<Cow<'_, str>>| pem.as_deref().map(pem::escaped).transpose();
        let (leaf, chain) = (read(&self.cert)?, read(&self.chain)?);
        let chain = match (leaf, chain) {
            (None, None) => {
                return Err(Fault::WrongForm("it has neither `Chain` nor `Cert`"));
            }
            (Some(leaf), None) => one(leaf)?,
            (None, Some(chain)) => chain,
            (Some(leaf), Some(chain)) => {
                if one(leaf)?.first() != chain.first() {
                    return Err(Fault::WrongForm("`Cert` is not the first of `Chain`"));
                }
                chain
            }
        };
        let hash = |leaf: &CertificateDer<'_>| Sha256::of(leaf).to_string();
        let is_it = |said: &str| chain.first().is_some_and(|leaf| hash(leaf) == said);
        if self.hash.as_deref().is_some_and(|said| !is_it(said)) {
            return Err(Fault::WrongForm("`Hash` is not that of the certificate"));
        }
        Ok(chain)
    }
}
