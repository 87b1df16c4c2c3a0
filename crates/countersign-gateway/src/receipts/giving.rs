//! Making receipts. A signature takes longer than all else that is done for a request, so only routes that
//! ask for receipts get any.

use std::{
    fmt, io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use countersign_tls::aes128_first;
use countersign_types::{
    UnixSeconds,
    compact_jws::{KEY_BYTES, SigningKey},
    digest::Sha256,
    id::{CertificateId, GatewayId, OrganizationId, ReceiptKeyId},
    receipt::{PERMIT, RECEIPT_TYPE, ReceiptClaims, ReceiptKeyProof, receipt_key},
};
use http::HeaderValue;
use metrics::{Counter, counter};
use tokio::sync::mpsc;

use super::key_file::{self, Seed};
use crate::{
    access_log::record::Record,
    caller::organization::Organization,
    connection::Connection,
    options::{GatewayOptions, ReceiptPlace},
    refusal::refused::Refusal,
    verdict::authorization::Authorization,
};

/// The most organizations that wait to be told of this gateway's key. More ask again with their next request.
const MOST_WAITING: usize = 1_024;

/// Gives receipts.
pub(crate) struct Receipts {
    key: SigningKey,
    pub(super) id: ReceiptKeyId,
    gateway: GatewayId,
    /// What the control plane is shown of the key.
    pub(super) proof: String,
    /// Organizations that do not believe the key yet, as requests find them.
    unregistered: mpsc::Sender<OrganizationId>,
    found: Mutex<Option<mpsc::Receiver<OrganizationId>>>,
    given: Counter,
    withheld: Counter,
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipts({})", self.id)
    }
}

/// What was decided.
#[derive(Debug)]
struct Decided<'a> {
    code: &'static str,
    anchor: Option<&'a CertificateId>,
    leaf_sha256: Option<Sha256>,
}

/// Whether a configuration asks for receipts.
pub(crate) fn are_wanted(options: &GatewayOptions) -> bool {
    places(options).next().is_some()
}

/// Whether it asks for receipts in an access log that there is not.
pub(crate) fn lack_a_log(options: &GatewayOptions) -> bool {
    options.access_log.is_none() && places(options).any(|place| *place == ReceiptPlace::Log)
}

fn places(options: &GatewayOptions) -> impl Iterator<Item = &ReceiptPlace> {
    let routes = options.routes.iter().flat_map(|route| &route.receipt);
    let doors = options.decisions.iter().flat_map(|door| &door.receipt);
    routes.chain(doors)
}

impl Receipts {
    /// Those of a gateway, with the key of its data directory.
    pub(crate) fn open(directory: &Path, gateway: GatewayId) -> io::Result<Self> {
        let seed = key_file::load_or_make(directory, random)?;
        let unusable = |error: &dyn fmt::Display| io::Error::other(error.to_string());
        let (key, public_key, id) = receipt_key(&seed).map_err(|error| unusable(&error))?;
        let proof = ReceiptKeyProof {
            gateway: gateway.clone(),
            public_key,
        };
        let proof = proof.sign(&key).map_err(|error| unusable(&error))?;
        let (unregistered, found) = mpsc::channel(MOST_WAITING);
        let count = |result| counter!("countersign_gateway_receipts_total", "result" => result);
        Ok(Self {
            key,
            id,
            gateway,
            proof,
            unregistered,
            found: Mutex::new(Some(found)),
            given: count("given"),
            withheld: count("withheld"),
        })
    }

    /// The organizations that are to be told of the key, as requests find them; for whoever asks first.
    pub(super) fn found(&self) -> Option<mpsc::Receiver<OrganizationId>> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The receipt of a request that passes.
    pub(crate) fn of_passed(
        &self,
        record: &Record,
        organization: &Organization,
        authorization: &Authorization,
        now: UnixSeconds,
    ) -> Option<HeaderValue> {
        let permit = authorization.permit();
        let decided = Decided {
            code: PERMIT,
            anchor: permit.map(|permit| permit.anchor()),
            leaf_sha256: permit.map(|permit| permit.leaf_sha256()),
        };
        self.give(record, organization, &decided, now)
    }

    /// The receipt of a request whose chain was judged and refused. No other refusal is a verdict.
    pub(crate) fn of_refused(
        &self,
        record: &Record,
        organization: &Organization,
        (refusal, connection): (&Refusal, &Connection),
        now: UnixSeconds,
    ) -> Option<HeaderValue> {
        let judged = &refusal.refused_chain.as_ref()?.refusal;
        let decided = Decided {
            code: refusal.code.as_str(),
            anchor: judged.verified_under().map(|(anchor, _)| anchor),
            leaf_sha256: connection.presented().leaf().map(Sha256::of),
        };
        self.give(record, organization, &decided, now)
    }

    fn give(
        &self,
        record: &Record,
        organization: &Organization,
        decided: &Decided<'_>,
        now: UnixSeconds,
    ) -> Option<HeaderValue> {
        let claims = self.claims(record, organization, decided, now);
        let signed = claims.and_then(|claims| self.key.sign(RECEIPT_TYPE, &claims).ok());
        // Base 64 and points are always valid in a header.
        let value = signed.and_then(|text| HeaderValue::from_str(&text).ok());
        // It is unique: it is kept out of the HTTP/2 header table, as a request's id is.
        let value = value.map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let counted = if value.is_some() {
            &self.given
        } else {
            &self.withheld
        };
        counted.increment(1);
        value
    }

    /// What it is to say; none where nobody could verify it.
    fn claims(
        &self,
        record: &Record,
        organization: &Organization,
        decided: &Decided<'_>,
        now: UnixSeconds,
    ) -> Option<ReceiptClaims> {
        let bundle = organization.bundle();
        if !bundle.receipt_keys.contains(&self.id) {
            // Where many wait already, a later request asks again.
            let _ = self.unregistered.try_send(bundle.id.clone());
            return None;
        }
        let (audit, identity) = (bundle.audit?, record.identity()?);
        let token = identity.token.as_ref();
        Some(ReceiptClaims {
            gateway: self.gateway.clone(),
            time: now,
            request_id: record.request_id()?.clone(),
            organization: bundle.id.clone(),
            project: identity.project()?.clone(),
            key: identity.key.clone(),
            token: token.map(|token| token.id.clone()),
            service_account: token.map(|token| token.service_account.clone()),
            leaf_sha256: decided.leaf_sha256,
            anchor: decided.anchor.cloned(),
            code: decided.code.to_owned(),
            revision: bundle.revision,
            revision_token: audit.token,
            bundle_sha256: bundle.digest,
            audit_number: audit.number,
            audit_sha256: audit.sha256,
        })
    }
}

fn random() -> io::Result<Seed> {
    let mut seed = [0; KEY_BYTES];
    let provider = aes128_first();
    let filled = provider.secure_random.fill(&mut seed);
    filled.map_err(|_| io::Error::other("no random numbers for a key"))?;
    Ok(seed)
}
