//! The denials of an organization, ready to be asked. Whatever their number, a leaf costs a few digests and
//! look-ups.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use countersign_types::{
    UnixSeconds,
    bundle::BundleDenial,
    certificate::Scope,
    denial::{DenialMatch, SubjectAltName, SubjectAltNameType},
    digest::Sha256,
    id::ProjectId,
};

use super::{
    alternative_name::{self, Unreadable},
    issuer::IssuerName,
    key,
    marks::{LeafMarks, Mark},
    normal::normal,
    serial,
};
use crate::{denied_by::DeniedBy, refusal::Reason, x509::Certificate};

/// The most names of a leaf that are looked at, where a name is denied: one with more is refused. Policies see a
/// tenth of that.
const MAX_NAMES: u64 = 1_000;

/// What is denied, by scope. Of two denials of the same at one scope, the one that lasts longer counts.
#[derive(Default)]
pub(crate) struct Denials {
    organization: Denied,
    projects: HashMap<ProjectId, Denied>,
}

/// What is denied at one scope.
#[derive(Default)]
struct Denied {
    by_leaf: HashMap<Sha256, DeniedBy>,
    by_key: HashMap<Sha256, DeniedBy>,
    by_serial: HashMap<String, HashMap<IssuerName, DeniedBy>>,
    by_name: HashMap<SubjectAltName, DeniedBy>,
    /// The kinds of names among them: no other name of a leaf is looked at. Of `otherName`, each with its
    /// object identifier.
    kinds: HashSet<(SubjectAltNameType, Option<String>)>,
    /// All of them by the marks that tokens have, once there is a token.
    by_mark: OnceLock<HashMap<Mark, UnixSeconds>>,
}

/// What is denied for a request: in its project, if it has one, and in its organization.
#[derive(Clone, Copy)]
pub(crate) struct Applicable<'d> {
    project: Option<&'d Denied>,
    organization: &'d Denied,
}

impl Denials {
    /// Those of a bundle that are to count.
    pub(crate) fn compile<'b>(denials: impl Iterator<Item = &'b BundleDenial>) -> Self {
        let mut all = Self::default();
        for denial in denials {
            let at = match &denial.project {
                None => &mut all.organization,
                Some(project) => all.projects.entry(project.clone()).or_default(),
            };
            at.add(denial);
        }
        all
    }

    pub(crate) fn applicable(&self, scope: &Scope) -> Applicable<'_> {
        Applicable {
            project: scope.project().and_then(|id| self.projects.get(id)),
            organization: &self.organization,
        }
    }
}

impl Denied {
    fn add(&mut self, denial: &BundleDenial) {
        let entry = DeniedBy::from(denial);
        // The control plane takes none that can match nothing.
        match normal(&denial.matches) {
            Ok(DenialMatch::LeafSha256(leaf)) => put(&mut self.by_leaf, leaf, entry),
            Ok(DenialMatch::SpkiSha256(key)) => put(&mut self.by_key, key, entry),
            Ok(DenialMatch::IssuerAndSerial(both)) => {
                if let Ok(issuer) = IssuerName::written(&both.issuer) {
                    let of_serial = self.by_serial.entry(both.serial_number).or_default();
                    put(of_serial, issuer, entry);
                }
            }
            Ok(DenialMatch::SubjectAltName(name)) => {
                self.kinds.insert((name.kind, name.oid.clone()));
                put(&mut self.by_name, name, entry);
            }
            Err(_) => {}
        }
    }
}

impl Denied {
    /// Until when what has a mark is denied.
    fn by_mark(&self) -> &HashMap<Mark, UnixSeconds> {
        self.by_mark.get_or_init(|| {
            let leaves = self.by_leaf.iter().map(|(leaf, by)| (Mark::leaf(leaf), by));
            let keys = self.by_key.iter().map(|(key, by)| (Mark::key(key), by));
            let serials = self.by_serial.iter().flat_map(|(serial, by_issuer)| {
                let mark = |issuer| Mark::serial(serial, issuer);
                by_issuer.iter().map(move |(issuer, by)| (mark(issuer), by))
            });
            let names = self
                .by_name
                .iter()
                .flat_map(|(name, by)| [Mark::name(name), Mark::ANY_NAME].map(|mark| (mark, by)));
            let mut ends = HashMap::new();
            for (mark, by) in leaves.chain(keys).chain(serials).chain(names) {
                let end: &mut UnixSeconds = ends.entry(mark).or_default();
                *end = by.until().max(*end);
            }
            ends
        })
    }

    fn is_empty(&self) -> bool {
        self.by_leaf.is_empty()
            && self.by_key.is_empty()
            && self.by_serial.is_empty()
            && self.by_name.is_empty()
    }
}

fn put<K: Eq + std::hash::Hash>(map: &mut HashMap<K, DeniedBy>, key: K, entry: DeniedBy) {
    let lasts = DeniedBy::until;
    match map.get(&key) {
        Some(known) if lasts(known) >= lasts(&entry) => {}
        _ => {
            map.insert(key, entry);
        }
    }
}

type Found<'d> = (fn(DeniedBy) -> Reason, &'d DeniedBy);

impl<'d> Applicable<'d> {
    /// Why the leaf is refused whatever path it has: by itself, or by its key. Its digest is taken if it is needed.
    pub(crate) fn refuse_at_once(
        self,
        der: &[u8],
        digest: &OnceCell<Sha256>,
        fields: &Certificate<'_>,
        now: UnixSeconds,
    ) -> Option<Reason> {
        self.at_once(der, digest, fields)
            .find_map(|found| reason(found, now))
    }

    /// Why a leaf that verified is refused: by its issuer's number, or by a name that it has.
    pub(crate) fn refuse_verified(
        self,
        fields: &Certificate<'_>,
        now: UnixSeconds,
    ) -> Option<Reason> {
        let mut by_serial = self.of_serial(fields);
        if let Some(reason) = by_serial.find_map(|found| reason(found, now)) {
            return Some(reason);
        }
        match self.of_names(fields) {
            Ok(found) => found.into_iter().find_map(|found| reason(found, now)),
            Err(Unreadable) => Some(Reason::UnreadableNames),
        }
    }

    /// Whether a leaf with one of these marks is denied.
    pub(crate) fn denies(self, marks: &LeafMarks, now: UnixSeconds) -> bool {
        let denied = |at: &Denied| {
            let by_mark = at.by_mark();
            let mut ends = marks.0.iter().filter_map(|mark| by_mark.get(mark));
            ends.any(|end| now < *end)
        };
        self.scopes().any(denied)
    }

    /// Whether nothing is denied.
    pub(crate) fn is_empty(self) -> bool {
        self.scopes().all(Denied::is_empty)
    }

    fn scopes(self) -> impl Iterator<Item = &'d Denied> + Clone {
        self.project.into_iter().chain([self.organization])
    }

    fn at_once(
        self,
        der: &[u8],
        digest: &OnceCell<Sha256>,
        fields: &Certificate<'_>,
    ) -> impl Iterator<Item = Found<'d>> {
        let leaf = self
            .scopes()
            .any(|at| !at.by_leaf.is_empty())
            .then(|| *digest.get_or_init(|| Sha256::of(der)));
        let by_leaf = leaf.into_iter().flat_map(move |leaf| {
            let entries = self.scopes().filter_map(move |at| at.by_leaf.get(&leaf));
            entries.map(|entry| (Reason::LeafDenied as fn(DeniedBy) -> Reason, entry))
        });
        let keys = if self.scopes().any(|at| !at.by_key.is_empty()) {
            key::every_sha256(fields.key)
        } else {
            Vec::new()
        };
        let by_key = keys.into_iter().flat_map(move |key| {
            let entries = self.scopes().filter_map(move |at| at.by_key.get(&key));
            entries.map(|entry| (Reason::KeyDenied as fn(DeniedBy) -> Reason, entry))
        });
        by_leaf.chain(by_key)
    }

    fn of_serial(self, fields: &Certificate<'_>) -> impl Iterator<Item = Found<'d>> {
        let any = self.scopes().any(|at| !at.by_serial.is_empty());
        let number = any.then(|| serial::presented(fields.serial));
        let of_serial: Vec<_> = number
            .iter()
            .flat_map(|number| {
                let found = self.scopes().filter_map(|at| at.by_serial.get(number));
                found.collect::<Vec<_>>()
            })
            .collect();
        // To read a name takes longer than a look-up, and seldom is there one to be read.
        let issuer = if of_serial.is_empty() {
            None
        } else {
            IssuerName::presented(fields.issuer)
        };
        let entries = of_serial
            .into_iter()
            .filter_map(move |by_issuer| by_issuer.get(&issuer?));
        entries.map(|entry| (Reason::SerialDenied as fn(DeniedBy) -> Reason, entry))
    }

    /// The denials of a leaf's names. Where a name is denied, all names of a leaf must be readable.
    fn of_names(self, fields: &Certificate<'_>) -> Result<Vec<Found<'d>>, Unreadable> {
        let mut found: Vec<Found<'d>> = Vec::new();
        if self.scopes().all(|at| at.kinds.is_empty()) {
            return Ok(found);
        }
        if fields.extensions.names().count > MAX_NAMES {
            return Err(Unreadable);
        }
        for name in alternative_name::presented(fields.extensions.alternative_names) {
            let name = name?;
            let kind = (name.kind, name.oid());
            let scopes = self.scopes().filter(|at| at.kinds.contains(&kind));
            let mut scopes = scopes.peekable();
            if scopes.peek().is_none() {
                continue;
            }
            // An `otherName` of a kind that is denied, and that is no text, might be the one.
            let Some(normal) = name.normal() else {
                if name.kind == SubjectAltNameType::Custom {
                    return Err(Unreadable);
                }
                continue;
            };
            let entries = scopes.filter_map(|at| at.by_name.get(&normal));
            found
                .extend(entries.map(|entry| (Reason::NameDenied as fn(DeniedBy) -> Reason, entry)));
        }
        Ok(found)
    }
}

fn reason((reason, entry): Found<'_>, now: UnixSeconds) -> Option<Reason> {
    entry.is_in_force(now).then(|| reason(entry.clone()))
}
