//! The headers that tell an upstream who is calling. Clients may not send them.

use countersign_types::id::RequestId;
use countersign_verify::{permit::Permit, presented::Presented};
use data_encoding::BASE64;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{caller::identity::Identity, verdict::authorization::Authorization};

/// Only the gateway sets headers whose names begin so.
const OWN_PREFIX: &str = "x-countersign-";

/// Other names that upstreams may read a client certificate from: those of RFC 9440, and Envoy's.
const CLIENT_CERTIFICATE_NAMES: [&str; 3] = [
    "client-cert",
    "client-cert-chain",
    "x-forwarded-client-cert",
];

/// Headers that tell of the client's connection begin so, or are one of these.
const FORWARDED_PREFIX: &str = "x-forwarded-";
const FORWARDED_NAMES: [&str; 2] = ["forwarded", "x-real-ip"];

/// Headers that say how a body is framed. A name without `-`, such as `host`, has no other spelling.
const FRAMING_NAMES: [&str; 2] = ["content-length", "transfer-encoding"];

pub(crate) const ORGANIZATION: HeaderName = HeaderName::from_static("x-countersign-organization");
pub(crate) const PROJECT: HeaderName = HeaderName::from_static("x-countersign-project");
pub(crate) const KEY: HeaderName = HeaderName::from_static("x-countersign-key");
pub(crate) const SERVICE_ACCOUNT: HeaderName =
    HeaderName::from_static("x-countersign-service-account");
pub(crate) const SCOPE: HeaderName = HeaderName::from_static("x-countersign-scope");
pub(crate) const CERTIFICATE: HeaderName = HeaderName::from_static("x-countersign-certificate");
pub(crate) const LEAF_SHA256: HeaderName = HeaderName::from_static("x-countersign-leaf-sha256");
pub(crate) const RECEIPT: HeaderName = HeaderName::from_static("x-countersign-receipt");
pub(crate) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
pub(crate) const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
pub(crate) const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The headers that say who is calling and with which certificate, and prove it.
pub(crate) const NAMED: [HeaderName; 8] = [
    ORGANIZATION,
    PROJECT,
    KEY,
    SERVICE_ACCOUNT,
    SCOPE,
    CERTIFICATE,
    LEAF_SHA256,
    RECEIPT,
];

/// How many headers tell an upstream who is calling and from where, the optional ones apart.
pub(crate) const ADDED_HEADERS: usize = 11;

/// The headers that say who is calling, and with which certificate, without receipt and request id. Only a
/// verified certificate is named: one that was merely presented proves nothing.
pub(crate) fn named<'a>(
    identity: &'a Identity,
    authorization: &'a Authorization,
) -> impl Iterator<Item = (HeaderName, &'a HeaderValue)> {
    let (identity, verified) = (
        identity.headers(),
        authorization.certificate_headers.as_ref(),
    );
    let values = [
        Some(&identity.organization),
        identity.project.as_ref(),
        identity.key.as_ref(),
        identity.service_account.as_ref(),
        identity.scope.as_ref(),
        verified.map(|each| &each.certificate),
        verified.map(|each| &each.leaf_sha256),
    ];
    let each = NAMED.into_iter().zip(values);
    each.filter_map(|(name, value)| Some((name, value?)))
}

/// Whether a name, as a server that folds such names would read it, is one that only the gateway sets.
pub(crate) fn is_own(name: &str) -> bool {
    name.get(..OWN_PREFIX.len())
        .is_some_and(|head| folds_to(OWN_PREFIX, head))
}

/// A request's id as a header. It is unique, so it must not go into the HTTP/2 header table of its
/// connection, where it would push out headers that are repeated: "sensitive" keeps it out.
pub(crate) fn request_id(id: &RequestId) -> HeaderValue {
    let mut value = HeaderValue::from_str(id.as_str()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Whether two names are one for a server that, as CGI does, keeps only letters and digits apart:
/// `_`, `.` and others are as `-` is.
pub(crate) fn folds_to(wanted: &str, given: &str) -> bool {
    let folded = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            b'-'
        }
    };
    wanted.len() == given.len() && wanted.bytes().map(folded).eq(given.bytes().map(folded))
}

/// Whether a name, as a server that folds such names would read it, claims an identity.
pub(crate) fn claims_identity(name: &str) -> bool {
    // Most names end here: all that are meant begin so, and few others do.
    if !matches!(name.as_bytes(), [b'x' | b'X' | b'c' | b'C', ..]) {
        return false;
    }
    is_own(name)
        || CLIENT_CERTIFICATE_NAMES
            .iter()
            .any(|known| folds_to(known, name))
        || folds_to(REQUEST_ID.as_str(), name)
}

/// Whether a name, as a server that folds such names would read it, tells of the client's
/// connection. What a client says about that is trusted only if the configuration says so.
pub(crate) fn tells_of_connection(name: &str) -> bool {
    if !matches!(name.as_bytes(), [b'x' | b'f', ..]) {
        return false;
    }
    name.get(..FORWARDED_PREFIX.len())
        .is_some_and(|head| folds_to(FORWARDED_PREFIX, head))
        || FORWARDED_NAMES.iter().any(|known| folds_to(known, name))
}

/// Whether a name is none that says how a body is framed, and becomes one for a server that folds
/// such names.
pub(crate) fn passes_for_framing(name: &str) -> bool {
    if !matches!(name.as_bytes(), [b'c' | b't', ..]) {
        return false;
    }
    let passes = |known: &&str| **known != *name && folds_to(known, name);
    FRAMING_NAMES.iter().any(passes)
}

/// The longest value of a header with certificates: nginx takes 8 KiB as one header line, the name
/// and the line break included.
pub(crate) const MAX_CERTIFICATE_HEADER: usize = 8 * 1024 - "x-forwarded-client-cert: \r\n".len();

/// Adds the client's certificates as RFC 9440 writes them (sections 2.2 and 2.3): the leaf, and the
/// intermediates of the path that was verified. What else the client sent proves nothing.
pub(crate) fn add_client_cert(presented: &Presented, permit: &Permit, headers: &mut HeaderMap) {
    let item = |der: &[u8]| format!(":{}:", BASE64.encode(der));
    let mut add = |name, text: String| {
        if text.is_empty() || text.len() > MAX_CERTIFICATE_HEADER {
            return;
        }
        // Base 64, colons, commas and spaces are always valid in a header.
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    };
    if let Some(leaf) = presented.leaf() {
        add(CLIENT_CERT, item(leaf));
    }
    let path: Vec<String> = permit
        .intermediates(presented)
        .map(|der| item(der))
        .collect();
    add(CLIENT_CERT_CHAIN, path.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_an_identity_header_gets_through() {
        for name in [
            "x-countersign-project",
            "X-Countersign-Project",
            "x_countersign_project",
            "X-Countersign_Anything",
            "client-cert",
            "Client_Cert_Chain",
            "x-forwarded_client-cert",
            "x.countersign.project",
            "x-countersign.key",
            "client.cert",
            "x-request-id",
            "x_request_id",
        ] {
            assert!(claims_identity(name), "{name}");
        }
        for name in [
            "x-forwarded-for",
            "x_forwarded-port",
            "forwarded",
            "x_real_ip",
        ] {
            assert!(tells_of_connection(name), "{name}");
        }
        for name in ["content_length", "content.length", "transfer_encoding"] {
            assert!(passes_for_framing(name), "{name}");
        }
        for name in ["content-length", "transfer-encoding", "content_type", "te"] {
            assert!(!passes_for_framing(name), "{name}");
        }
        for name in ["accept", "x-countersig", "client-certificate"] {
            assert!(
                !claims_identity(name) && !tells_of_connection(name),
                "{name}"
            );
        }
    }
}
