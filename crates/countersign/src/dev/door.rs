//! The gateway of `dev`: its server certificate, its key, and what it stands in front of.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use countersign_gateway::options::{Authorization, GatewayOptions, IdentitySource, Limits, Route};
use countersign_server::store::Store;
use countersign_types::digest::KeyDigest;
use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use super::identity::params;
use crate::{
    failure::{Doing, Outcome},
    files::write_private,
};

/// How often what the gateway saw is told to the control plane: soon enough to be looked at.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// How long the server certificate holds; it is new at each start.
const SERVER_DAYS: i64 = 90;

/// Where the parts lie, as absolute paths.
pub(super) struct Parts {
    /// The CA that the gateway's certificate is verified against.
    pub(super) server_ca: PathBuf,
    certificate: PathBuf,
    private_key: PathBuf,
    key_file: PathBuf,
}

/// Makes a server CA with a server certificate, and sees that there is a gateway key.
pub(super) async fn prepare(
    directory: &Path,
    store: &Store,
    now: OffsetDateTime,
) -> Outcome<Parts> {
    let parts = Parts {
        server_ca: directory.join("server-ca.pem"),
        certificate: directory.join("server.pem"),
        private_key: directory.join("server.key"),
        key_file: directory.join("gateway.key"),
    };
    make_certificates(&parts, now)?;
    gateway_key(&parts.key_file, store).await?;
    Ok(parts)
}

fn make_certificates(parts: &Parts, now: OffsetDateTime) -> Outcome {
    let ca_key = KeyPair::generate().doing("make the server CA's key")?;
    let mut ca_params = params("Countersign dev server CA", now, SERVER_DAYS);
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca = ca_params.self_signed(&ca_key).doing("sign the server CA")?;
    let issuer = Issuer::new(ca_params, ca_key);

    let key = KeyPair::generate().doing("make the server's key")?;
    let mut server = params("localhost", now, SERVER_DAYS);
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.subject_alt_names = loopback_names()?;
    let certificate = server
        .signed_by(&key, &issuer)
        .doing("sign the server certificate")?;
    write_private(&parts.server_ca, &ca.pem())?;
    write_private(&parts.private_key, &key.serialize_pem())?;
    write_private(&parts.certificate, &certificate.pem())
}

fn loopback_names() -> Outcome<Vec<SanType>> {
    let localhost = "localhost".try_into().doing("name the server")?;
    Ok(vec![
        SanType::DnsName(localhost),
        SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
        SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
    ])
}

/// Keeps the key that the file holds, if the store knows it; else makes one.
async fn gateway_key(file: &Path, store: &Store) -> Outcome {
    if let Ok(kept) = fs::read_to_string(file)
        && store.caller(KeyDigest::of(kept.trim())).await?.is_some()
    {
        return Ok(());
    }
    let created = store.create_gateway_key("dev").await?;
    write_private(file, &format!("{}\n", created.value.reveal()))
}

/// What the gateway of `dev` is told.
pub(super) fn options(
    directory: &Path,
    parts: &Parts,
    control_plane: String,
    (listen, upstream): (SocketAddr, String),
) -> GatewayOptions {
    let route = Route {
        host: None,
        path: "/".to_owned(),
        upstream,
        http2: false,
        ca: None,
        authorization: Authorization::Pass,
        preserve_host: false,
        headers: std::collections::BTreeMap::new(),
    };
    GatewayOptions {
        listen,
        name: Some("dev".to_owned()),
        certificate: parts.certificate.clone(),
        private_key: parts.private_key.clone(),
        control_plane,
        control_plane_ca: None,
        key_file: parts.key_file.clone(),
        data_dir: directory.join("gateway"),
        identity: IdentitySource::Bearer,
        routes: vec![route],
        proxy_protocol: false,
        client_cert_header: false,
        xfcc_header: false,
        access_log: Some(directory.join("access.log")),
        admin_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        observations: true,
        observation_interval: OBSERVE_EVERY,
        threads: None,
        limits: Limits {
            drain_timeout: super::GRACE,
            ..Limits::default()
        },
    }
}
