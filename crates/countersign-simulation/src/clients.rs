//! Who calls: keys and client certificates; and how a request of theirs should end under an organization
//! as it was at a time.

use std::sync::OnceLock;

use countersign_testca::{NOT_AFTER, NOT_BEFORE, root};
use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::OrganizationBundle,
    digest::{KeyDigest, Sha256},
    id::{CertificateId, OrganizationId},
};
use rustls_pki_types::CertificateDer;

/// How many authorities there are.
pub(crate) const AUTHORITIES: usize = 3;

/// A certificate authority, and a client that it certified.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) fingerprint: Sha256,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

/// When certificates begin and end to be valid: all of a run lies between.
pub(crate) const VALID: (i64, i64) = (NOT_BEFORE, NOT_AFTER);

/// The authorities. They are minted once in a process: nothing depends on their keys.
pub(crate) fn authorities() -> &'static [Authority] {
    static MINTED: OnceLock<Vec<Authority>> = OnceLock::new();
    MINTED.get_or_init(|| {
        let mint = |number| {
            let root = root(&format!("Authority {number}")).mint();
            let leaf = root.leaf("client").mint();
            Authority {
                pem: root.pem(),
                fingerprint: Sha256::of(root.der()),
                chain: vec![CertificateDer::from(leaf.der().to_vec())],
            }
        };
        (0..AUTHORITIES).map(mint).collect()
    })
}

/// A client certificate of an authority that nobody uploads.
pub(crate) fn stranger() -> &'static CertificateDer<'static> {
    static MINTED: OnceLock<CertificateDer<'static>> = OnceLock::new();
    MINTED.get_or_init(|| {
        let leaf = root("Another authority").mint().leaf("stranger").mint();
        CertificateDer::from(leaf.der().to_vec())
    })
}

/// A key that was handed out, whether or not it is valid still.
#[derive(Debug, Clone)]
pub(crate) struct KnownKey {
    pub(crate) organization: OrganizationId,
    pub(crate) value: String,
}

/// A caller: a key, and the authority whose client it is, if it has a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: KnownKey,
    pub(crate) authority: Option<usize>,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Passes,
    /// Its key is nobody's.
    NoKey,
    /// Its certificate is missing or verifies under no active anchor.
    NoCertificate,
}

/// How a caller's request should end under an organization at a time. It is told in the plainest way,
/// and not by the code that it is held against.
pub(crate) fn expected(
    bundle: Option<&OrganizationBundle>,
    caller: &Caller,
    now: UnixSeconds,
) -> Ending {
    let digest = KeyDigest::of(&caller.key.value);
    let Some(bundle) = bundle else {
        return Ending::NoKey;
    };
    let Some(key) = bundle.keys.iter().find(|key| key.sha256 == digest) else {
        return Ending::NoKey;
    };
    if key.expires_at.is_some_and(|end| now >= end) {
        return Ending::NoKey;
    }
    let mut anchors: Vec<&CertificateId> = bundle.active.iter().collect();
    if key.kind == KeyKind::Project {
        let project = bundle
            .projects
            .iter()
            .find(|each| Some(&each.id) == key.project.as_ref());
        match project {
            Some(project) if !project.archived => anchors.extend(&project.active),
            _ => return Ending::NoKey,
        }
    }
    let root = caller
        .authority
        .and_then(|number| authorities().get(number));
    let verifies = root.is_some_and(|root| {
        let uploaded = bundle
            .certificates
            .iter()
            .filter(|each| each.pem == root.pem);
        uploaded.into_iter().any(|each| anchors.contains(&&each.id))
    });
    if anchors.is_empty() || verifies {
        Ending::Passes
    } else {
        Ending::NoCertificate
    }
}
