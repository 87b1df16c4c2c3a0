//! One newtype for each kind of identifier, so that a [`ProjectId`] cannot be passed where a
//! [`CertificateId`] is expected.
//!
//! Parsing a text checks that it is an id of Countersign's own: the kind's prefix, then letters,
//! digits, `_` or `-`. Reading an *answer* checks nothing: other servers have ids of other forms,
//! and whoever reads them needs no more of an id than to send it back. What a server or a gateway
//! reads is parsed: its types say so with [`checked`].
//!
//! ```
//! use countersign_types::id::CertificateId;
//!
//! assert!("cert_abc".parse::<CertificateId>().is_ok());
//! assert!("proj_abc".parse::<CertificateId>().is_err());
//!
//! let answered: CertificateId = serde_json::from_str("\"4711/a\"")?;
//! assert_eq!(answered, CertificateId::opaque("4711/a"));
//! # Ok::<(), serde_json::Error>(())
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes that an identifier may have, prefix included.
pub const MAX_ID_BYTES: usize = 128;

/// Why a text is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not {} {kind} id: it must start with `{prefix}`, then letters, digits, `_` or `-`",
    article(kind)
)]
pub struct InvalidId {
    /// The expected kind: `certificate`, `project`, ...
    pub kind: &'static str,
    /// The prefix that such an id has.
    pub prefix: &'static str,
    /// The text, shortened and made printable.
    pub given: String,
}

/// The article that goes before a kind's name.
fn article(kind: &str) -> &'static str {
    match kind.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'A') => "an",
        _ => "a",
    }
}

/// Lower-case Crockford base 32: no `i`, `l`, `o`, `u`, so an id survives being read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The digits of 128 bits, five bits each.
const DIGITS: usize = 26;

fn encode(prefix: &str, random: u128) -> Arc<str> {
    let mut left = random;
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        let place = usize::from(left.to_le_bytes()[0] & 31);
        *digit = ALPHABET.get(place).copied().unwrap_or(b'0');
        left >>= 5;
    }
    // An id is made for each request, so its text is put together on the stack.
    let mut text = [0; MAX_ID_BYTES];
    let mut rest = &mut text[..];
    for part in [prefix.as_bytes(), &digits] {
        if let Some(place) = rest.split_off_mut(..part.len()) {
            place.copy_from_slice(part);
        }
    }
    let length = MAX_ID_BYTES - rest.len();
    let text = text.get(..length).unwrap_or_default();
    Arc::from(std::str::from_utf8(text).unwrap_or_default())
}

/// The prefixes of all kinds, by which an id of another kind is recognized.
const PREFIXES: [&str; 22] = [
    "org-",
    "proj_",
    "cert_",
    "svc_acct_",
    "user-",
    "key_",
    "audit_log-",
    "req_",
    "obs_",
    "ref_",
    "gw_",
    "rot_",
    "wh_",
    "msg_",
    "asrt_",
    "idp_",
    "idprule_",
    "tk_",
    "tok_",
    "rk_",
    "deny_",
    "crl_",
];

/// The prefix, of whatever kind of id, that a text begins with.
#[must_use]
pub fn prefix_of(text: &str) -> Option<&'static str> {
    PREFIXES.into_iter().find(|prefix| text.starts_with(prefix))
}

/// Whether a text can be an id that another server made: it can be part of a URL, and is not
/// evidently an id of another kind.
fn is_conceivable(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= MAX_ID_BYTES && !matches!(text, "." | "..");
    fits && !text.contains(|c: char| c.is_control() || c.is_whitespace())
        && prefix_of(text).is_none()
}

fn parse(kind: &'static str, prefixes: &[&'static str], text: &str) -> Result<Arc<str>, InvalidId> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let fits = text.len() <= MAX_ID_BYTES
        && prefixes.iter().any(|prefix| {
            text.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
        });
    if fits {
        return Ok(Arc::from(text));
    }
    let given: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
    let prefix = prefixes.first().copied().unwrap_or_default();
    Err(InvalidId {
        kind,
        prefix,
        given,
    })
}

/// For `deserialize_with`: reads ids that must have Countersign's own form. Where they are optional,
/// they may be absent (with `default`) but not null.
///
/// # Errors
/// When one has another form, or is missing.
pub fn checked<'de, T: Checked<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::checked(deserializer)
}

/// What [`checked`] can read: an id, a list of ids, or an id that may be absent.
pub trait Checked<'de>: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When an id has another form than Countersign's own, or is missing.
    fn checked<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl<'de, T: Checked<'de>> Checked<'de> for Option<T> {
    fn checked<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::checked(deserializer).map(Some)
    }
}

impl<'de, T: Checked<'de>> Checked<'de> for Vec<T> {
    fn checked<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Each is checked where it is read, so that an error names its place.
        struct Each<T>(T);

        impl<'de, T: Checked<'de>> Deserialize<'de> for Each<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                T::checked(deserializer).map(Self)
            }
        }

        let all = Vec::<Each<T>>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|Each(id)| id).collect())
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $first:literal $(, $other:literal)*) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String))]
        pub struct $name(Arc<str>);

        impl $name {
            /// The prefix of such an id.
            pub const PREFIX: &'static str = $first;

            /// A new id from 128 random bits.
            #[must_use]
            pub fn from_random(random: u128) -> Self {
                Self(encode($first, random))
            }

            /// The id with any text, such as another server's. Its form is not checked.
            #[must_use]
            pub fn opaque(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The id that a person gives: Countersign's own, or one that another server may have
            /// made.
            ///
            /// # Errors
            /// When it is evidently something else, such as an id of another kind.
            pub fn given(text: &str) -> Result<Self, InvalidId> {
                let own = text.parse();
                own.or_else(|wrong| is_conceivable(text).then(|| Self::opaque(text)).ok_or(wrong))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($kind, &[$first $(, $other)*], text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Reads any text: see the module.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|text| Self(Arc::from(text)))
            }
        }

        impl<'de> Checked<'de> for $name {
            fn checked<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                // The kind in fixed words, which a reader that must not repeat the text can show.
                text.parse().map_err(|_| {
                    let given = serde::de::Unexpected::Str(&text);
                    serde::de::Error::invalid_value(given, &concat!("a valid ", $kind, " id"))
                })
            }
        }
    };
}

id!(
    /// An organization, `org-…`.
    OrganizationId, "organization", "org-"
);
id!(
    /// A project of an organization, `proj_…`.
    ProjectId, "project", "proj_"
);
id!(
    /// An uploaded trust anchor, `cert_…`.
    CertificateId, "certificate", "cert_"
);
id!(
    /// A service account of a project, `svc_acct_…` (other servers also write `user-…`).
    ServiceAccountId, "service account", "svc_acct_", "user-"
);
id!(
    /// An admin, project or gateway key, `key_…`. It identifies the key and is not the secret.
    ApiKeyId, "api key", "key_"
);
id!(
    /// An audit event, `audit_log-…`.
    AuditLogId, "audit log", "audit_log-"
);
id!(
    /// A request, `req_…`.
    RequestId, "request", "req_"
);
id!(
    /// An observation of gateways, `obs_…`.
    ObservationId, "observation", "obs_"
);
id!(
    /// Refused requests of one caller with one leaf, `ref_…`.
    RefusalId, "refusal", "ref_"
);
id!(
    /// A gateway, `gw_…`.
    GatewayId, "gateway", "gw_"
);
id!(
    /// A rotation of trust anchors, `rot_…`.
    RotationId, "rotation", "rot_"
);
id!(
    /// A webhook of an organization, `wh_…`.
    WebhookId, "webhook", "wh_"
);
id!(
    /// The delivery of one event to one webhook, `msg_…`.
    WebhookDeliveryId, "webhook delivery", "msg_"
);
id!(
    /// An assertion of an organization, `asrt_…`.
    AssertionId, "assertion", "asrt_"
);
id!(
    /// A denial of an organization, `deny_…`.
    DenialId, "denial", "deny_"
);
id!(
    /// A revocation list of a trust anchor, `crl_…`.
    CrlId, "revocation list", "crl_"
);
id!(
    /// A workload identity provider of an organization, `idp_…`.
    WorkloadIdentityProviderId, "workload identity provider", "idp_"
);
id!(
    /// A federation rule of a workload identity provider, `idprule_…`.
    FederationRuleId, "federation rule", "idprule_"
);
id!(
    /// A key that tokens are signed with, `tk_…`.
    TokenKeyId, "token key", "tk_"
);
id!(
    /// A token of a workload, `tok_…`.
    TokenId, "token", "tok_"
);
id!(
    /// A key that a gateway signs receipts with, `rk_…`.
    ReceiptKeyId, "receipt key", "rk_"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_kind_or_shape_is_refused_with_what_is_wanted() {
        for wrong in [
            "", "cert_", "proj_a", "cert-abc", "cert_a b", "cert_é", "CERT_a", " cert_a",
        ] {
            let error = wrong.parse::<CertificateId>().unwrap_err();
            assert!(
                error.to_string().contains("must start with `cert_`"),
                "{wrong}: {error}"
            );
        }
        assert!(
            format!("cert_{}", "a".repeat(MAX_ID_BYTES))
                .parse::<CertificateId>()
                .is_err()
        );
        assert!("user-abc".parse::<ServiceAccountId>().is_ok());
    }

    #[derive(Debug, Deserialize)]
    struct Request {
        #[serde(default, deserialize_with = "checked")]
        project: Option<ProjectId>,
        #[serde(deserialize_with = "checked")]
        certificates: Vec<CertificateId>,
    }

    #[test]
    fn an_answer_may_have_any_id_and_a_request_may_not() {
        for other in ["", "4711", "cert_a b", "proj_a", "é", ".."] {
            let text = serde_json::to_string(other).unwrap();
            let answered: CertificateId = serde_json::from_str(&text).unwrap();
            assert_eq!(answered, CertificateId::opaque(other));
            assert_eq!(serde_json::to_string(&answered).unwrap(), text);
            let request = format!("{{\"certificates\": [\"cert_a\", {text}]}}");
            let refused = serde_json::from_str::<Request>(&request).unwrap_err();
            let why = refused.to_string();
            assert!(why.contains("a valid certificate id"), "{other}: {why}");
        }
        let read: Request = serde_json::from_str("{\"certificates\": [\"cert_a\"]}").unwrap();
        assert_eq!(read.certificates, [CertificateId::opaque("cert_a")]);
        assert_eq!(read.project, None);
        let null = "{\"certificates\": [], \"project\": null}";
        assert!(serde_json::from_str::<Request>(null).is_err());
    }

    #[test]
    fn an_id_that_is_given_is_any_but_evident_mistakes() {
        for right in ["cert_a", "4711", "01J9-abc", "a/b", "é"] {
            assert_eq!(
                CertificateId::given(right),
                Ok(CertificateId::opaque(right))
            );
        }
        for wrong in ["", ".", "..", "proj_a", "key_a", "cert_", "a b", "a\n"] {
            assert!(CertificateId::given(wrong).is_err(), "{wrong}");
        }
        for prefix in [
            CertificateId::PREFIX,
            ServiceAccountId::PREFIX,
            WebhookDeliveryId::PREFIX,
            AssertionId::PREFIX,
        ] {
            assert!(PREFIXES.contains(&prefix), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn a_new_id_reads_back(random: u128) {
            let id = CertificateId::from_random(random);
            prop_assert_eq!(id.as_str().parse::<CertificateId>().unwrap(), id);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Ok(id) = text.parse::<CertificateId>() {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
