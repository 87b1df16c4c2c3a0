//! Who calls: keys and client certificates; and how a request of theirs should end under an organization
//! as it was at a time.

use std::sync::OnceLock;

use countersign_testca::{General, NOT_AFTER, NOT_BEFORE, root};
use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleKey, OrganizationBundle},
    certificate::Enforcement,
    denial::{DenialMatch, SubjectAltName, SubjectAltNameType},
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
    /// What its client can be denied by: the leaf, and the name that is its own and the one that all have.
    pub(crate) denials: [DenialMatch; 3],
}

/// A host name that every client's certificate has.
const EVERYBODY: &str = "everybody.example.com";

/// When certificates begin and end to be valid: all of a run lies between.
pub(crate) const VALID: (i64, i64) = (NOT_BEFORE, NOT_AFTER);

/// The authorities. They are minted once in a process: nothing depends on their keys.
pub(crate) fn authorities() -> &'static [Authority] {
    static MINTED: OnceLock<Vec<Authority>> = OnceLock::new();
    MINTED.get_or_init(|| {
        let mint = |number| {
            let root = root(&format!("Authority {number}")).mint();
            let own = format!("client-{number}.example.com");
            let leaf = root.leaf("client").san(General::dns(&own));
            let leaf = leaf.san(General::dns(EVERYBODY)).mint();
            Authority {
                pem: root.pem(),
                fingerprint: Sha256::of(root.der()),
                chain: vec![CertificateDer::from(leaf.der().to_vec())],
                denials: [
                    DenialMatch::LeafSha256(Sha256::of(leaf.der())),
                    named(&own),
                    named(EVERYBODY),
                ],
            }
        };
        (0..AUTHORITIES).map(mint).collect()
    })
}

/// A denial of a host name.
fn named(host: &str) -> DenialMatch {
    DenialMatch::SubjectAltName(SubjectAltName {
        kind: SubjectAltNameType::Dns,
        value: host.to_owned(),
        oid: None,
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
        let mut active = uploaded.filter(|each| anchors.contains(&&each.id));
        active.any(old_enough) && !is_denied(bundle, key, root, now)
    });
    if anchors.is_empty() || verifies {
        Ending::Passes
    } else {
        Ending::NoCertificate
    }
}

/// Whether an anchor's floor lets its client pass, which was issued when its validity begins.
fn old_enough(anchor: &BundleCertificate) -> bool {
    let issued = u64::try_from(VALID.0).unwrap_or(0);
    let floor = anchor.floor.as_ref();
    floor.is_none_or(|floor| issued >= floor.refuse_issued_before)
}

/// Whether a denial refuses the client of an authority.
fn is_denied(
    bundle: &OrganizationBundle,
    key: &BundleKey,
    authority: &Authority,
    now: UnixSeconds,
) -> bool {
    bundle.denials.iter().any(|denial| {
        denial.enforcement == Enforcement::Enforce
            && (denial.project.is_none() || denial.project == key.project)
            && denial.expires_at.is_none_or(|end| now < end)
            && authority.denials.contains(&denial.matches)
    })
}
