//! `X-Forwarded-Client-Cert`: the verified certificate as Envoy tells an upstream of it. The keys,
//! their order and their quoting are Envoy's (HTTP connection manager, "x-forwarded-client-cert").

use std::fmt::Write as _;

use countersign_types::digest::Sha256;
use countersign_verify::{certificate::PlainNames, permit::Permit, presented::Presented};
use data_encoding::BASE64;
use http::HeaderValue;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::{
    identity_headers::MAX_CERTIFICATE_HEADER,
    options::{GatewayOptions, XfccField, XfccFormat},
};

/// Which of the fields the header has, and how it is written.
#[derive(Debug)]
pub(super) struct Xfcc {
    fields: Vec<XfccField>,
    format: XfccFormat,
    /// The URIs in the server's certificate.
    by: Vec<String>,
}

/// What one header says. A field that is not chosen, or for which there is no room, is left out.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Element {
    by: Option<Vec<String>>,
    hash: Option<Sha256>,
    cert: Option<String>,
    chain: Option<String>,
    subject: Option<String>,
    #[serde(rename = "URI")]
    uris: Option<Vec<String>>,
    #[serde(rename = "DNS")]
    dns: Option<Vec<String>>,
}

impl Xfcc {
    /// Nothing if the header is not wanted.
    pub(super) fn new(options: &GatewayOptions) -> Option<Self> {
        let fields = options.xfcc_fields.clone();
        let by = if fields.contains(&XfccField::By) {
            // A certificate that cannot be read is refused where TLS is set up.
            let certificate = CertificateDer::from_pem_file(&options.certificate);
            certificate.map_or_else(|_| Vec::new(), |der| PlainNames::of(&der).uris)
        } else {
            Vec::new()
        };
        options.xfcc_header.then_some(Self {
            fields,
            format: options.xfcc_format,
            by,
        })
    }

    /// The header of a client whose certificate verified: the leaf, and the path of the permit. What
    /// else the client sent proves nothing.
    pub(super) fn header(&self, presented: &Presented, permit: &Permit) -> Option<HeaderValue> {
        let leaf = presented.leaf()?;
        let has = |field| self.fields.contains(&field);
        let mut element = Element {
            by: (!self.by.is_empty()).then(|| self.by.clone()),
            hash: has(XfccField::Hash).then(|| permit.leaf_sha256()),
            cert: has(XfccField::Cert).then(|| url_encoded([leaf].into_iter())),
            chain: has(XfccField::Chain)
                .then(|| url_encoded([leaf].into_iter().chain(permit.intermediates(presented)))),
            ..Element::default()
        };
        if has(XfccField::Subject) || has(XfccField::Uri) || has(XfccField::Dns) {
            let names = PlainNames::of(leaf);
            element.subject = has(XfccField::Subject).then_some(names.subject);
            element.uris = has(XfccField::Uri).then_some(names.uris);
            element.dns = has(XfccField::Dns).then_some(names.dns);
        }
        let text = element.within(MAX_CERTIFICATE_HEADER, self.format)?;
        HeaderValue::from_str(&text).ok()
    }
}

impl Element {
    /// The text. Whole fields are left out until it is short enough, the longest kinds first: half
    /// a list of names would say something else.
    fn within(mut self, limit: usize, format: XfccFormat) -> Option<String> {
        let leave_out: [fn(&mut Self); 5] = [
            |element| element.chain = None,
            |element| element.cert = None,
            |element| element.dns = None,
            |element| element.uris = None,
            |element| element.subject = None,
        ];
        let mut leave_out = leave_out.into_iter();
        loop {
            let text = match format {
                XfccFormat::Text => self.text(),
                XfccFormat::Json => serde_json::to_string(&[&self]).ok()?,
            };
            if text.len() <= limit {
                return Some(text).filter(|text| !text.is_empty());
            }
            leave_out.next()?(&mut self);
        }
    }

    fn text(&self) -> String {
        let mut pairs = Pairs::default();
        for uri in self.by.iter().flatten() {
            pairs.add("By", uri);
        }
        if let Some(hash) = &self.hash {
            pairs.add("Hash", &hash.to_string());
        }
        for (key, value) in [
            ("Cert", &self.cert),
            ("Chain", &self.chain),
            ("Subject", &self.subject),
        ] {
            if let Some(value) = value {
                pairs.add_quoted(key, value);
            }
        }
        if let Some(uris) = &self.uris {
            // Envoy writes the key also where there is no URI.
            let none = uris.is_empty().then_some("");
            for uri in uris.iter().map(String::as_str).chain(none) {
                pairs.add("URI", uri);
            }
        }
        for name in self.dns.iter().flatten() {
            pairs.add("DNS", name);
        }
        pairs.0
    }
}

/// Keys and values, as text.
#[derive(Default)]
struct Pairs(String);

impl Pairs {
    /// Quotes a value that has a sign of the format itself. No value here has a quote.
    fn add(&mut self, key: &str, value: &str) {
        if value.contains([',', ';', '=']) {
            self.add_quoted(key, value);
        } else {
            self.put(format_args!("{key}={value}"));
        }
    }

    /// Quotes a value in which quotes are escaped already.
    fn add_quoted(&mut self, key: &str, value: &str) {
        self.put(format_args!("{key}=\"{value}\""));
    }

    fn put(&mut self, pair: std::fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(pair);
    }
}

/// Certificates in PEM, percent-encoded.
fn url_encoded<'a>(certificates: impl Iterator<Item = &'a CertificateDer<'static>>) -> String {
    let mut text = String::new();
    for der in certificates {
        text.push_str("-----BEGIN%20CERTIFICATE-----");
        for (at, sign) in BASE64.encode(der).char_indices() {
            if at % 64 == 0 {
                text.push_str("%0A");
            }
            match sign {
                '+' => text.push_str("%2B"),
                '/' => text.push_str("%2F"),
                '=' => text.push_str("%3D"),
                sign => text.push(sign),
            }
        }
        text.push_str("%0A-----END%20CERTIFICATE-----%0A");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element() -> Element {
        Element {
            by: Some(vec!["spiffe://a/gateway".to_owned()]),
            hash: Some(Sha256::of(b"leaf")),
            cert: Some("C".repeat(20)),
            chain: Some("D".repeat(40)),
            subject: Some("CN=a\\, \\\"b\\\"".to_owned()),
            uris: Some(vec!["spiffe://a/b?c=d".to_owned()]),
            dns: Some(vec!["a.example".to_owned(), "b.example".to_owned()]),
        }
    }

    #[test]
    fn the_text_is_envoys() {
        let hash = Sha256::of(b"leaf");
        let (cert, chain) = ("C".repeat(20), "D".repeat(40));
        let expected = format!(
            "By=spiffe://a/gateway;Hash={hash};Cert=\"{cert}\";Chain=\"{chain}\";\
             Subject=\"CN=a\\, \\\"b\\\"\";URI=\"spiffe://a/b?c=d\";DNS=a.example;DNS=b.example"
        );
        assert_eq!(element().text(), expected);
        let nameless = Element {
            subject: Some(String::new()),
            uris: Some(Vec::new()),
            dns: Some(Vec::new()),
            ..Element::default()
        };
        assert_eq!(nameless.text(), "Subject=\"\";URI=");
    }

    #[test]
    fn the_same_in_json() {
        let text = element().within(8192, XfccFormat::Json).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json[0]["Subject"], "CN=a\\, \\\"b\\\"");
        assert_eq!(json[0]["URI"], serde_json::json!(["spiffe://a/b?c=d"]));
        assert_eq!(json[0]["Hash"], Sha256::of(b"leaf").to_string());
    }

    #[test]
    fn what_is_too_long_loses_whole_fields_the_longest_kinds_first() {
        let keys = |limit: usize| {
            let text = element().within(limit, XfccFormat::Text)?;
            let key = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
            Some(text.split(';').map(key).collect::<Vec<_>>().join(" "))
        };
        let whole = element().text().len();
        for (limit, expected) in [
            (whole, Some("By Hash Cert Chain Subject URI DNS DNS")),
            (whole - 1, Some("By Hash Cert Subject URI DNS DNS")),
            (whole - 60, Some("By Hash Subject URI DNS DNS")),
            (120, Some("By Hash Subject")),
            (100, Some("By Hash")),
            (10, None),
        ] {
            assert_eq!(keys(limit).as_deref(), expected, "{limit}");
        }
    }
}
