//! Compact JWS (RFC 7515) signed with Ed25519 (RFC 8037), and nothing else: with one algorithm and one
//! form of header there is nothing to choose, so nothing that a forger could choose. A general library would
//! read algorithms and keys from what it is given, and read each private key again for each signature.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// The only algorithm.
const ALGORITHM: &str = "EdDSA";

/// The bytes of a seed, and of a public key.
pub const KEY_BYTES: usize = 32;

/// A key pair cannot be made of the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key cannot be used")]
pub struct UnusableKey;

/// A private key, with the name that tokens say it by.
pub struct SigningKey {
    id: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// The key of a seed.
    ///
    /// # Errors
    /// When the seed is not 32 bytes.
    pub fn new(id: impl Into<String>, seed: &[u8]) -> Result<Self, UnusableKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| UnusableKey)?;
        Ok(Self {
            id: id.into(),
            pair,
        })
    }

    /// Its public key.
    ///
    /// # Errors
    /// Never, since the public key of every pair has 32 bytes.
    pub fn public_key(&self) -> Result<PublicKey, UnusableKey> {
        let bytes = self.pair.public_key().as_ref().try_into();
        bytes.map(PublicKey).map_err(|_| UnusableKey)
    }

    /// Signs claims; `kind` is the header's `typ`.
    ///
    /// # Errors
    /// When the claims cannot be written as JSON.
    pub fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, serde_json::Error> {
        let header = Header {
            alg: ALGORITHM.to_owned(),
            typ: kind.to_owned(),
            kid: self.id.clone(),
        };
        let part = |json: Vec<u8>| BASE64URL_NOPAD.encode(&json);
        let mut text = part(serde_json::to_vec(&header)?);
        text.push('.');
        text.push_str(&part(serde_json::to_vec(claims)?));
        let signature = self.pair.sign(text.as_bytes());
        text.push('.');
        text.push_str(&BASE64URL_NOPAD.encode(signature.as_ref()));
        Ok(text)
    }
}

/// A public key: base64url of its 32 bytes, as a JWK has it in `x`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9_-]{43}$"))]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", HEXLOWER.encode(&self.0))
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = UnusableKey;

    fn try_from(bytes: &[u8]) -> Result<Self, UnusableKey> {
        bytes.try_into().map(Self).map_err(|_| UnusableKey)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default();
        Self::try_from(bytes.as_slice())
            .map_err(|_| serde::de::Error::custom("a public key is base64url of 32 bytes"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What has the form of a JWS of ours. Nothing of it is to be believed before [`Unverified::verify`].
pub struct Unverified<'t> {
    key: String,
    signed: &'t [u8],
    signature: [u8; 64],
    claims: Vec<u8>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unverified({:?})", self.key)
    }
}

/// Whether a text may be a compact JWS: a look at its first letters, which every JSON object in base64url has.
#[must_use]
pub fn looks_like_one(text: &[u8]) -> bool {
    text.starts_with(b"eyJ")
}

impl<'t> Unverified<'t> {
    /// Reads a text of this `typ`; none when it has another form, another algorithm or anything more.
    #[must_use]
    pub fn read(text: &'t [u8], kind: &str) -> Option<Self> {
        if !looks_like_one(text) {
            return None;
        }
        let mut parts = text.split(|byte| *byte == b'.');
        let (head, body, tail) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let header: Header = serde_json::from_slice(&BASE64URL_NOPAD.decode(head).ok()?).ok()?;
        if header.alg != ALGORITHM || header.typ != kind {
            return None;
        }
        let signature = BASE64URL_NOPAD.decode(tail).ok()?;
        Some(Self {
            key: header.kid,
            signed: text.get(..head.len() + 1 + body.len())?,
            signature: signature.try_into().ok()?,
            claims: BASE64URL_NOPAD.decode(body).ok()?,
        })
    }

    /// The name of the key that it claims to be signed with.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it claims, to find out whose key to verify it with, and for nothing else.
    #[must_use]
    pub fn claims_unverified<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.claims).ok()
    }

    /// What it claims, if this key signed it.
    #[must_use]
    pub fn verify<T: DeserializeOwned>(&self, key: &PublicKey) -> Option<T> {
        let key = UnparsedPublicKey::new(&ED25519, key.as_bytes());
        key.verify(self.signed, &self.signature).ok()?;
        self.claims_unverified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn key(number: u8) -> SigningKey {
        SigningKey::new(format!("tk_{number}"), &[number; KEY_BYTES]).unwrap()
    }

    #[test]
    fn what_was_signed_is_read_back_by_its_key_alone() {
        let claims = json!({ "sub": "svc_acct_a", "exp": 3 });
        let text = key(1).sign("at+jwt", &claims).unwrap();
        let read = Unverified::read(text.as_bytes(), "at+jwt").unwrap();
        assert_eq!(read.key(), "tk_1");
        let public = key(1).public_key().unwrap();
        assert_eq!(read.verify::<Value>(&public), Some(claims));
        let other = key(2).public_key().unwrap();
        assert_eq!(read.verify::<Value>(&other), None);
        assert!(Unverified::read(text.as_bytes(), "receipt+jwt").is_none());
        let json = serde_json::to_string(&public).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), public);
    }

    /// RFC 8037, appendix A.1 to A.4: the key and the signature over `header.payload`.
    #[test]
    fn the_signature_is_that_of_rfc_8037() {
        let seed = BASE64URL_NOPAD
            .decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let key = SigningKey::new("", &seed).unwrap();
        let public = serde_json::to_string(&key.public_key().unwrap()).unwrap();
        assert_eq!(public, "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"");
        let signed = key
            .pair
            .sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(
            BASE64URL_NOPAD.encode(signed.as_ref()),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn nothing_but_our_own_form_is_read() {
        let text = key(1).sign("at+jwt", &json!({})).unwrap();
        let header = |header: Value| {
            let head = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
            let rest = text.split_once('.').unwrap().1;
            format!("{head}.{rest}")
        };
        let (head, tail) = text.rsplit_once('.').unwrap();
        for wrong in [
            String::new(),
            "sk-a".to_owned(),
            head.to_owned(),
            format!("{text}."),
            format!("{text}.a"),
            format!("{text}="),
            format!("{head}."),
            format!("{head}.{}", &tail[..80]),
            header(json!({ "alg": "none", "typ": "at+jwt", "kid": "tk_1" })),
            header(json!({ "alg": "HS256", "typ": "at+jwt", "kid": "tk_1" })),
            header(json!({ "alg": "EdDSA", "typ": "at+jwt" })),
            header(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "tk_1", "jwk": {} })),
            header(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "tk_1", "crit": [] })),
        ] {
            assert!(
                Unverified::read(wrong.as_bytes(), "at+jwt").is_none(),
                "{wrong}"
            );
        }
        // Read, and not believed.
        let other = header(json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "tk_2" }));
        let read = Unverified::read(other.as_bytes(), "at+jwt").unwrap();
        assert_eq!(read.verify::<Value>(&key(1).public_key().unwrap()), None);
    }
}
