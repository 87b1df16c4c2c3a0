//! One verdict at every door: random changes of trust, random chains, and no door that says otherwise.

use std::time::Duration;

use countersign_client::Client;
use countersign_gateway::options::{CertificateForm, DecisionProtocol};
use countersign_testca::{Minted, oid, root};
use countersign_types::{
    bundle::OrganizationBundle, certificate::Scope, history::HistoryPoint, id::CertificateId,
    secret::Secret,
};
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    trust::TrustSet,
};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;

use super::{
    asking::{Asking, Envoy, certificate},
    by_secret,
};
use crate::{
    model::Dice,
    world::{NOW, World},
};

const CHANGES: usize = 100;

/// The doors, after the gateway's own.
const DOORS: [(DecisionProtocol, CertificateForm); 4] = [
    (DecisionProtocol::EnvoyGrpc, CertificateForm::XfccText),
    (DecisionProtocol::EnvoyHttp, CertificateForm::XfccJson),
    (DecisionProtocol::AuthRequest, CertificateForm::Rfc9440),
    (DecisionProtocol::ForwardAuth, CertificateForm::Traefik),
];

/// What is uploaded, and what is presented.
struct Cast {
    anchors: Vec<CertificateId>,
    chains: Vec<Vec<Minted>>,
}

const POLICY: &str = r#"subject.organizational_unit == "Production""#;

async fn cast(world: &World) -> Cast {
    let first = root("First").mint();
    let second = root("Second").mint();
    let below = first.intermediate("Below").mint();
    let third = root("Third").mint();
    let mut anchors = Vec::new();
    for (anchor, policy) in [
        (&first, None),
        (&second, Some(POLICY)),
        (&below, None),
        (&third, None),
    ] {
        anchors.push(world.upload(anchor, policy).await);
    }
    let unit = oid::ORGANIZATIONAL_UNIT;
    let leaf_below = || below.leaf("a").mint();
    let chains = vec![
        vec![],
        vec![first.leaf("a").mint()],
        vec![second.leaf("a").attribute(unit, "Production").mint()],
        vec![second.leaf("a").attribute(unit, "Test").mint()],
        vec![leaf_below()],
        vec![leaf_below(), below],
        vec![third.leaf("a").mint()],
        vec![first.leaf("a").valid(1, 2).mint()],
        vec![first.leaf("a").no_aki().mint()],
        vec![first.leaf("a").eku(&[oid::SERVER_AUTH]).mint()],
        vec![second.leaf("a").break_signature().mint()],
        vec![root("First").mint().leaf("a").mint()],
    ];
    Cast { anchors, chains }
}

/// What the control plane tells gateways now.
async fn bundle(world: &World) -> OrganizationBundle {
    let base = world.options.control_plane.clone();
    let key = std::fs::read_to_string(&world.options.key_file).unwrap();
    let client = Client::builder()
        .base_url(base)
        .key(Secret::new(key))
        .build()
        .unwrap();
    let plane = client.countersign();
    let bundle = plane
        .bundle(None, HistoryPoint::default(), Duration::ZERO)
        .await
        .unwrap();
    bundle.organizations.first().cloned().unwrap()
}

/// The verdict as `countersign verify` finds it; empty if it passes.
fn judged(trust: &TrustSet, scope: &Scope, chain: &[Minted]) -> String {
    let der = chain
        .iter()
        .map(|each| CertificateDer::from(each.der().to_vec()));
    match judge(trust, scope, &Presented::new(der.collect()), NOW) {
        Verdict::Refusal(refusal) => refusal.code().as_str().to_owned(),
        Verdict::Permit(_) | Verdict::NoAnchorApplies(_) => String::new(),
    }
}

/// A connection to each of the doors.
struct Doors {
    envoy: Envoy,
    http: Vec<(CertificateForm, Asking<TcpStream>)>,
}

impl Doors {
    async fn connect(world: &World) -> Self {
        let mut http = Vec::new();
        for (number, (_, form)) in DOORS.into_iter().enumerate().skip(1) {
            http.push((form, Asking::connect(world.door(number)).await));
        }
        Self {
            envoy: Envoy::connect(world.door(0)).await,
            http,
        }
    }

    async fn codes(&mut self, key: &str, chain: &[&Minted]) -> Vec<String> {
        let xfcc = certificate(CertificateForm::XfccText, chain);
        let mut codes = vec![self.envoy.code(key, xfcc, "").await];
        for (form, asking) in &mut self.http {
            let answer = asking.ask(key, certificate(*form, chain)).await;
            codes.push(answer.code());
        }
        codes
    }
}

#[tokio::test]
async fn no_door_disagrees_over_a_hundred_random_changes_of_trust() {
    let world = World::with(|options| {
        let doors = DOORS.map(|(protocol, form)| by_secret(options, protocol, form));
        options.decisions = doors.to_vec();
    });
    let world = world.await;
    let cast = cast(&world).await;
    let mut doors = Doors::connect(&world).await;
    let mut active = [[false; 4]; 2];
    let (mut dice, mut seen) = (Dice(20_261_126), std::collections::BTreeSet::new());
    for change in 0..CHANGES {
        let (at, anchor) = (dice.roll(2), dice.roll(4));
        let scope = if at == 0 {
            world.scope()
        } else {
            Scope::Organization
        };
        let id = &cast.anchors[anchor];
        if active[at][anchor] {
            world.deactivate(&scope, id).await;
        } else {
            world.activate(&scope, id).await;
        }
        active[at][anchor] ^= true;
        let trust = TrustSet::compile(&bundle(&world).await);
        for (number, chain) in cast.chains.iter().enumerate() {
            let borrowed: Vec<&Minted> = chain.iter().collect();
            let expected = judged(&trust, &world.scope(), chain);
            let mut codes = doors.codes(&world.key, &borrowed).await;
            // A full handshake for each is slow: the gateway's own listener is asked about some.
            if (number + change) % 4 == 0 {
                codes.push(world.code(&borrowed, &world.key).await);
            }
            for (door, code) in codes.iter().enumerate() {
                assert_eq!(
                    *code, expected,
                    "change {change}, chain {number}, door {door}"
                );
            }
            seen.insert(expected);
        }
    }
    // As random as it is, it must have met every kind of verdict.
    assert!(seen.len() >= 5, "{seen:?}");
}
