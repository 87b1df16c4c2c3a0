//! The checks, one after another.

use countersign_types::{
    compact_jws::{PublicKey, Unverified},
    error::ErrorCode,
    id::ReceiptKeyId,
    receipt::{PERMIT, RECEIPT_TYPE, ReceiptClaims},
};

use super::{
    export::AuditExport,
    finding::{Check, Finding, FindingResult, ReceiptReport},
    history::{Change, State, Thing},
};

/// The codes that the judge refuses with.
const REFUSALS: [ErrorCode; 5] = [
    ErrorCode::CertificateRequired,
    ErrorCode::InvalidCertificate,
    ErrorCode::CertificateVerificationFailed,
    ErrorCode::CertificateAttributeVerificationFailed,
    ErrorCode::AuthenticationTemporarilyUnavailable,
];

/// Looks at a receipt beside an export of the audit log. Within `lag` seconds, a gateway need not have seen a
/// change yet, and its clock may differ.
#[must_use]
pub fn verify(export: &AuditExport, receipt: &str, lag: u64) -> ReceiptReport {
    let mut findings = Vec::new();
    let Some((unverified, claims)) = read(receipt) else {
        let why = "this is not a receipt: a compact JWS of type `countersign-receipt+jwt`, signed with EdDSA";
        findings.push(Finding::fails(Check::Form, why));
        return ReceiptReport::of(None, findings);
    };
    findings.push(Finding::holds(Check::Form, "it has the form of a receipt"));
    findings.push(audit_log(export));
    let looking = Looking {
        export,
        claims: &claims,
        key: unverified.key(),
        lag,
    };
    let (finding, key) = looking.signing_key();
    findings.push(finding);
    let signed = key.map(|key| unverified.verify::<ReceiptClaims>(&key).is_some());
    match signed {
        Some(true) => findings.push(Finding::holds(Check::Signature, "the key signed it")),
        Some(false) => findings.push(Finding::fails(
            Check::Signature,
            "the key did not sign it: it is forged, or was altered",
        )),
        None => {}
    }
    // What nobody signed says nothing.
    if signed == Some(true) {
        findings.extend(looking.claims());
    }
    ReceiptReport::of(Some(claims), findings)
}

fn read(receipt: &str) -> Option<(Unverified<'_>, ReceiptClaims)> {
    let unverified = Unverified::read(receipt.as_bytes(), RECEIPT_TYPE)?;
    let claims = unverified.claims_unverified()?;
    Some((unverified, claims))
}

fn audit_log(export: &AuditExport) -> Finding {
    let check = Check::AuditLog;
    if let Some(fault) = export.faults.first() {
        let count = export.faults.len();
        return Finding::fails(
            check,
            format!("{fault} ({count} in all: `countersign audit-log verify`)"),
        );
    }
    let (first, last) = (export.first(), export.last());
    if first > last {
        return Finding::unproven(check, "the export has no events");
    }
    Finding::holds(check, format!("events {first} to {last} are intact"))
}

/// One receipt beside an export.
pub(super) struct Looking<'a> {
    pub(super) export: &'a AuditExport,
    pub(super) claims: &'a ReceiptClaims,
    /// The id of the key that it names.
    pub(super) key: &'a str,
    pub(super) lag: u64,
}

impl Looking<'_> {
    /// Whose key it is, and the key to verify the signature with.
    fn signing_key(&self) -> (Finding, Option<PublicKey>) {
        let (check, id) = (Check::SigningKey, self.key);
        let thing = Thing::ReceiptKey(id.to_owned());
        let Some(change) = self.at(&thing) else {
            let mut later = self
                .export
                .histories
                .after(&thing, self.claims.audit_number);
            let finding = match later.next() {
                Some(later) => Finding::fails(
                    check,
                    format!(
                        "key `{id}` was not registered before event {}",
                        later.number
                    ),
                ),
                None => self.unknown(check, &format!("no event registers key `{id}`")),
            };
            return (finding, None);
        };
        let number = change.number;
        let State::Registered {
            public_key,
            gateway,
            organization,
        } = &change.state
        else {
            let why = format!("key `{id}` was withdrawn by event {number}");
            return (Finding::fails(check, why), None);
        };
        let claims = self.claims;
        let finding = if *organization != claims.organization.as_str() {
            Finding::fails(
                check,
                format!("it is of another organization than the log, which is of `{organization}`"),
            )
        } else if *gateway != claims.gateway.as_str() {
            Finding::fails(check, format!("key `{id}` is that of gateway `{gateway}`"))
        } else if ReceiptKeyId::of(public_key).as_str() != id {
            Finding::fails(check, format!("event {number} gives `{id}` another key"))
        } else {
            Finding::holds(
                check,
                format!("event {number} registered key `{id}` of gateway `{gateway}`"),
            )
        };
        (finding, Some(*public_key))
    }

    /// Whether what it says was so.
    fn claims(&self) -> Vec<Finding> {
        let head = self.head();
        let mut findings = vec![head];
        findings.extend(self.revision());
        findings.extend(self.time());
        findings.extend([self.project(), self.caller(), self.code(), self.anchor()]);
        findings.extend(self.superseded());
        findings.push(Finding::new(
            FindingResult::NotChecked,
            Check::Bundle,
            match &self.claims.bundle_sha256 {
                Some(digest) => {
                    format!("the gateway enforced the bundle {digest}; the log has no digests")
                }
                None => "it names no digest".to_owned(),
            },
        ));
        findings
    }

    fn head(&self) -> Finding {
        let (check, number) = (Check::Head, self.claims.audit_number);
        let wanted = self.claims.audit_sha256.to_string();
        match self.export.events.get(&number) {
            Some(event) if event.sha256 == wanted => Finding::holds(
                check,
                format!("event {number} is the one that the gateway had seen"),
            ),
            Some(_) => Finding::fails(
                check,
                format!(
                    "event {number} is not the one that the gateway had seen: the log was rewritten, or it is another organization's"
                ),
            ),
            None if number > self.export.last() => Finding::unproven(
                check,
                format!("the export ends before event {number}, which the gateway had seen"),
            ),
            None => Finding::unproven(
                check,
                format!("the export has no event {number}, which the gateway had seen"),
            ),
        }
    }

    fn revision(&self) -> Option<Finding> {
        let (check, claims) = (Check::Revision, self.claims);
        let number = claims.audit_number;
        let event = self.export.events.get(&number)?;
        let Some(commit) = event.commit else {
            let why = format!("event {number} is of a version that did not name its change");
            return Some(Finding::unproven(check, why));
        };
        if commit.token != claims.revision_token {
            let why = format!("event {number} belongs to another change than the receipt names");
            return Some(Finding::fails(check, why));
        }
        let revision = claims.revision;
        let next = self.export.events.get(&number.saturating_add(1));
        let next = next.and_then(|next| next.commit);
        Some(match next {
            Some(next) if next.token == commit.token => Finding::fails(
                check,
                format!("event {number} is not the last of its change"),
            ),
            Some(next) if next.after != revision => Finding::fails(
                check,
                format!(
                    "that change has revision {}, and not {revision}",
                    next.after
                ),
            ),
            _ if revision <= commit.after => Finding::fails(
                check,
                format!("the change before it has revision {} already", commit.after),
            ),
            Some(_) => Finding::holds(
                check,
                format!("event {number} is the last of the change with revision {revision}"),
            ),
            None => Finding::holds(
                check,
                format!(
                    "event {number} is of the change with that token; no later event names its revision, {revision}"
                ),
            ),
        })
    }

    fn time(&self) -> Option<Finding> {
        let (check, claims) = (Check::Time, self.claims);
        let event = self.export.events.get(&claims.audit_number)?;
        Some(if event.at > claims.time.saturating_add(self.lag) {
            let early = event.at - claims.time;
            let why = format!("it was made {early} s before the event that the gateway had seen");
            Finding::fails(check, why)
        } else {
            Finding::holds(
                check,
                "it was made after the event that the gateway had seen",
            )
        })
    }

    fn project(&self) -> Finding {
        let (check, id) = (Check::Project, self.claims.project.as_str());
        match self.at(&Thing::Project(id.to_owned())) {
            Some(Change {
                state: State::Created(_),
                number,
                ..
            }) => Finding::holds(
                check,
                format!("project `{id}` was created by event {number}"),
            ),
            Some(change) => Finding::fails(
                check,
                format!("project `{id}` was archived by event {}", change.number),
            ),
            None => self.unknown(check, &format!("no event creates project `{id}`")),
        }
    }

    fn caller(&self) -> Finding {
        let (check, claims) = (Check::Caller, self.claims);
        let (what, id, thing) = match (&claims.key, &claims.service_account) {
            (Some(key), _) => ("key", key.as_str(), Thing::ApiKey(key.to_string())),
            (None, Some(account)) => (
                "service account",
                account.as_str(),
                Thing::ServiceAccount(account.to_string()),
            ),
            (None, None) if claims.token.is_none() => {
                let why = "the gateway takes all requests for this project's, by its configuration";
                return Finding::holds(check, why);
            }
            (None, None) => {
                return Finding::fails(check, "it names a token, and not whose it is");
            }
        };
        match self.at(&thing) {
            Some(Change {
                state: State::Created(project),
                number,
                ..
            }) if project.as_deref() == Some(claims.project.as_str()) => Finding::holds(
                check,
                format!(
                    "{what} `{id}` was created by event {number}; when it expires, the log does not say"
                ),
            ),
            Some(Change {
                state: State::Created(_),
                ..
            }) => Finding::fails(check, format!("{what} `{id}` is not of that project")),
            Some(change) => Finding::fails(
                check,
                format!("{what} `{id}` was deleted by event {}", change.number),
            ),
            None => self.unknown(check, &format!("no event creates {what} `{id}`")),
        }
    }

    fn code(&self) -> Finding {
        let (check, claims) = (Check::Code, self.claims);
        let code = claims.code.as_str();
        let permitted = code == PERMIT;
        if !permitted && !REFUSALS.iter().any(|known| known.as_str() == code) {
            return Finding::fails(check, "it is the code of no verdict");
        }
        let has_leaf = claims.leaf_sha256.is_some();
        if claims.anchor.is_some() && !has_leaf {
            return Finding::fails(check, "it names an anchor and no certificate that verified");
        }
        if code == ErrorCode::CertificateRequired.as_str() && has_leaf {
            return Finding::fails(check, "it names a certificate, and that none was presented");
        }
        let words = if permitted {
            "the request passed"
        } else {
            "the request was refused"
        };
        Finding::holds(check, format!("{words}: `{code}`"))
    }

    fn anchor(&self) -> Finding {
        let (check, claims) = (Check::Anchor, self.claims);
        if let Some(anchor) = &claims.anchor {
            return self.named_anchor(anchor.as_str());
        }
        let enforced = self.scopes().into_iter().flat_map(|scope| {
            let anchors = self.export.histories.anchors(scope);
            anchors.filter(|(thing, _)| self.is_enforced(thing))
        });
        let enforced = enforced.map(|(_, id)| id).min();
        match (claims.code == PERMIT, enforced) {
            (true, Some(id)) => Finding::fails(
                check,
                format!("it passed without a certificate, and `{id}` was enforced"),
            ),
            (true, None) if self.export.first() > 1 => Finding::unproven(
                check,
                "whether an anchor was enforced before the export begins is not known",
            ),
            (true, None) => Finding::holds(check, "no anchor was enforced"),
            (false, Some(id)) => Finding::holds(check, format!("`{id}` was enforced")),
            (false, None) => self.unknown(check, "no anchor was enforced that could refuse"),
        }
    }

    fn named_anchor(&self, id: &str) -> Finding {
        let check = Check::Anchor;
        let states = self.scopes().map(|scope| {
            let thing = anchor(scope, id);
            let place = scope.map_or_else(
                || "the organization".to_owned(),
                |project| format!("project `{project}`"),
            );
            self.at(&thing).map(|change| (place, change))
        });
        let known = || states.iter().flatten();
        let enforced = known().find(|(_, change)| change.state == State::Enforced);
        if let Some((place, change)) = enforced {
            let why = format!("event {} enforced `{id}` for {place}", change.number);
            return Finding::holds(check, why);
        }
        let latest = known().max_by_key(|(_, change)| change.number);
        let is_known = states.iter().all(Option::is_some) || self.export.first() == 1;
        match latest {
            Some((place, change)) if is_known => {
                let state = if change.state == State::Reported {
                    "only reported"
                } else {
                    "not active"
                };
                let number = change.number;
                Finding::fails(
                    check,
                    format!("`{id}` was {state} for {place}, by event {number}"),
                )
            }
            _ => self.unknown(check, &format!("no event activates `{id}` there")),
        }
    }

    /// The latest change of a thing that the gateway had seen.
    fn at(&self, thing: &Thing) -> Option<&Change> {
        self.export.histories.at(thing, self.claims.audit_number)
    }

    fn is_enforced(&self, thing: &Thing) -> bool {
        let change = self.at(thing);
        change.is_some_and(|change| change.state == State::Enforced)
    }

    /// Where anchors that can decide are active.
    pub(super) fn scopes(&self) -> [Option<&str>; 2] {
        [Some(self.claims.project.as_str()), None]
    }

    /// What no event tells is not so in a whole log, and not known of a part of one.
    fn unknown(&self, check: Check, why: &str) -> Finding {
        let (first, last) = (self.export.first(), self.export.last());
        if self.claims.audit_number > last {
            let why = format!("{why} in the export, which ends with event {last}");
            return Finding::unproven(check, why);
        }
        if first == 1 {
            return Finding::fails(check, why);
        }
        let why = format!("{why} in the export, which begins with event {first}");
        Finding::unproven(check, why)
    }
}

pub(super) fn anchor(project: Option<&str>, certificate: &str) -> Thing {
    Thing::Anchor {
        project: project.map(str::to_owned),
        certificate: certificate.to_owned(),
    }
}
