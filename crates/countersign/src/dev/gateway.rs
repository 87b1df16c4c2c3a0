//! The gateway of `dev`: its server certificate, its key and its options.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use countersign_gateway::options::{
    ForwardedHeaders, GatewayOptions, IdentitySource, Limits, Paths, ReceiptPlace, Route,
    TokenExchange, Traceparent, XfccFormat, this_machine,
};
use countersign_server::store::Store;
use countersign_types::digest::KeyDigest;
use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use super::identity::params;
use crate::{
    failure::{CommandResult, Doing},
    files::write_private,
};

/// How often observations are sent to the control plane: a developer looks at them at once.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// Days that the server certificate is valid; each start makes a new one.
const SERVER_DAYS: i64 = 90;

/// The names that SDKs exchange certificates and call the API with, brought here by a proxy or by DNS.
const MTLS_AUTH_HOST: &str = "mtls.auth.openai.com";
const MTLS_API_HOST: &str = "mtls.api.openai.com";

/// The gateway's files, as absolute paths.
pub(super) struct GatewayFiles {
    /// The CA that the gateway's certificate is verified against.
    pub(super) server_ca: PathBuf,
    certificate: PathBuf,
    private_key: PathBuf,
    key_file: PathBuf,
}

/// What varies from one `dev` to another.
pub(super) struct Setup {
    pub(super) listen: SocketAddr,
    pub(super) operator: SocketAddr,
    pub(super) control_plane: String,
    pub(super) upstream: String,
    /// Where receipts go.
    pub(super) receipt: Vec<ReceiptPlace>,
    /// How long open requests may take once the end has begun.
    pub(super) drain: Duration,
}

/// Makes a server CA and a server certificate, and a gateway key if there is none.
pub(super) async fn prepare(
    directory: &Path,
    store: &Store,
    now: OffsetDateTime,
) -> CommandResult<GatewayFiles> {
    let files = GatewayFiles {
        server_ca: directory.join("server-ca.pem"),
        certificate: directory.join("server.pem"),
        private_key: directory.join("server.key"),
        key_file: directory.join("gateway.key"),
    };
    make_certificates(&files, now)?;
    gateway_key(&files.key_file, store).await?;
    Ok(files)
}

fn make_certificates(files: &GatewayFiles, now: OffsetDateTime) -> CommandResult {
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
    write_private(&files.server_ca, &ca.pem())?;
    write_private(&files.private_key, &key.serialize_pem())?;
    write_private(&files.certificate, &certificate.pem())
}

fn loopback_names() -> CommandResult<Vec<SanType>> {
    let name = |name: &str| name.try_into().doing("name the server");
    let localhost = name("localhost")?;
    Ok(vec![
        SanType::DnsName(localhost),
        SanType::DnsName(name(MTLS_AUTH_HOST)?),
        SanType::DnsName(name(MTLS_API_HOST)?),
        SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
        SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
    ])
}

/// Keeps the key in the file if the database knows it; else makes one.
async fn gateway_key(file: &Path, store: &Store) -> CommandResult {
    if let Ok(kept) = fs::read_to_string(file)
        && store.caller(KeyDigest::of(kept.trim())).await?.is_some()
    {
        return Ok(());
    }
    let created = store.create_gateway_key("dev").await?;
    write_private(file, &format!("{}\n", created.value.reveal()))
}

/// The gateway's access log.
pub(super) fn access_log(directory: &Path) -> PathBuf {
    directory.join("access.log")
}

/// The options of the gateway of `dev`.
pub(super) fn options(directory: &Path, files: &GatewayFiles, setup: Setup) -> GatewayOptions {
    let Setup {
        listen,
        operator,
        control_plane,
        upstream,
        receipt,
        drain,
    } = setup;
    GatewayOptions {
        listen,
        name: Some("dev".to_owned()),
        certificate: files.certificate.clone(),
        private_key: files.private_key.clone(),
        control_plane,
        control_plane_ca: None,
        allow_cleartext: false,
        key_file: files.key_file.clone(),
        data_dir: directory.join("gateway"),
        identity: IdentitySource::Bearer,
        routes: vec![route(upstream, receipt)],
        decisions: Vec::new(),
        proxy_protocol: false,
        proxy_protocol_senders: this_machine(),
        client_cert_header: false,
        xfcc_header: false,
        xfcc_fields: Vec::new(),
        xfcc_format: XfccFormat::default(),
        forwarded_headers: ForwardedHeaders::default(),
        traceparent: Traceparent::default(),
        paths: Paths::default(),
        access_log: Some(access_log(directory)),
        access_log_group_readable: false,
        admin_listen: Some(operator),
        token_exchange: TokenExchange {
            hosts: vec![MTLS_AUTH_HOST.to_owned()],
        },
        project_metrics: 0,
        log: countersign_gateway::options::Log::default(),
        observations: true,
        observation_interval: OBSERVE_EVERY,
        threads: None,
        limits: Limits {
            drain_timeout: drain,
            ..Limits::default()
        },
    }
}

/// Everything goes to one upstream.
fn route(upstream: String, receipt: Vec<ReceiptPlace>) -> Route {
    Route {
        receipt,
        ..Route::to(vec![upstream])
    }
}
