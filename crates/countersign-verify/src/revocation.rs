//! What revocation lists say of a path that verified.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleRevocation, BundleRevocationList, CrlMissing},
    digest::Sha256,
    id::CertificateId,
    revoked_set::RevokedSet,
};

use crate::{crl::IssuerDigest, revoked_by::Revoked, x509::Certificate};

/// The lists of one anchor, and what it means that one is missing.
#[derive(Default)]
pub(crate) struct Lists {
    missing: Option<CrlMissing>,
    by_issuer: HashMap<IssuerDigest, List>,
}

/// What one list says.
pub(crate) struct List {
    anchor: CertificateId,
    issuer: Sha256,
    issuer_name: String,
    number: Option<String>,
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    only_user_certificates: bool,
    /// Nothing where it did not come: then the list refuses whatever it may speak of.
    revoked: Option<Arc<RevokedSet>>,
}

impl Lists {
    pub(crate) fn compile(anchor: &CertificateId, revocation: Option<&BundleRevocation>) -> Self {
        let Some(revocation) = revocation else {
            return Self::default();
        };
        let lists = revocation.lists.iter();
        Self {
            missing: Some(revocation.missing),
            by_issuer: lists
                .map(|list| (IssuerDigest::new(list.issuer), List::new(anchor, list)))
                .collect(),
        }
    }

    /// What the anchor says of a missing list, if it has anything to do with lists.
    pub(crate) const fn missing(&self) -> Option<CrlMissing> {
        self.missing
    }

    pub(crate) fn of(&self, issuer: IssuerDigest) -> Option<&List> {
        self.by_issuer.get(&issuer)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_issuer.is_empty()
    }

    /// When each of its lists ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = UnixSeconds> {
        self.by_issuer.values().map(|list| list.next_update)
    }
}

impl List {
    fn new(anchor: &CertificateId, list: &BundleRevocationList) -> Self {
        Self {
            anchor: anchor.clone(),
            issuer: list.issuer,
            issuer_name: list.issuer_name.clone(),
            number: list.number.clone(),
            this_update: list.this_update,
            next_update: list.next_update,
            only_user_certificates: list.only_user_certificates,
            revoked: list.set.clone(),
        }
    }

    /// When the list was made, in Unix seconds.
    pub(crate) const fn this_update(&self) -> UnixSeconds {
        self.this_update
    }

    /// The last second at which the list is current.
    pub(crate) const fn next_update(&self) -> UnixSeconds {
        self.next_update
    }

    /// Whether the list would name a certificate of its issuer if that were revoked.
    pub(crate) const fn speaks_of(&self, certificate: &Certificate<'_>) -> bool {
        !(self.only_user_certificates && certificate.extensions.is_ca)
    }

    /// Why a certificate of its issuer is refused, if it is. What was revoked stays so when the list is out of
    /// date: the next one may say more, and seldom less.
    pub(crate) fn refuses(&self, certificate: &Certificate<'_>) -> Option<Revoked> {
        let revocation = match &self.revoked {
            Some(revoked) => Some(revoked.find(certificate.serial)?),
            None => None,
        };
        Some(Revoked {
            anchor: self.anchor.clone(),
            issuer: self.issuer,
            issuer_name: self.issuer_name.clone(),
            number: self.number.clone(),
            revocation,
        })
    }
}
