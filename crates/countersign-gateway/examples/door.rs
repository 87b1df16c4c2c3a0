//! A gateway with one organization, one project, one key and one active anchor, started from a
//! kept bundle as after a restart without its control plane: what `cargo xtask bench gateway`
//! measures.

#![expect(clippy::unwrap_used, reason = "a benchmark that goes wrong stops")]

use std::{
    collections::BTreeMap, env, fs, net::SocketAddr, path::Path, sync::Arc, time::SystemTime,
};

use aws_lc_rs::digest::{SHA256, digest};
use countersign_gateway::{
    Gateway,
    options::{Authorization, GatewayOptions, IdentitySource, Limits, Route},
};
use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleKey, BundleProject, OrganizationBundle},
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[expect(clippy::disallowed_methods, reason = "the clock that is injected")]
fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// One key of one project, with one anchor active.
fn organization(pem: String, key: &str) -> OrganizationBundle {
    let (certificate, project) = (CertificateId::from_random(1), ProjectId::from_random(1));
    OrganizationBundle {
        id: OrganizationId::from_random(1),
        revision: 1,
        certificates: vec![BundleCertificate {
            id: certificate.clone(),
            pem,
            cel_policy: None,
        }],
        active: Vec::new(),
        projects: vec![BundleProject {
            id: project.clone(),
            archived: false,
            active: vec![certificate],
        }],
        keys: vec![BundleKey {
            id: ApiKeyId::from_random(1),
            kind: KeyKind::Project,
            sha256: data_encoding::HEXLOWER.encode(digest(&SHA256, key.as_bytes()).as_ref()),
            project: Some(project),
            expires_at: None,
        }],
    }
}

fn options(directory: &Path, listen: SocketAddr, upstream: &str) -> GatewayOptions {
    GatewayOptions {
        listen,
        name: None,
        certificate: directory.join("server.pem"),
        private_key: directory.join("server.key"),
        // Nobody listens there.
        control_plane: "http://127.0.0.1:9/v1".to_owned(),
        control_plane_ca: None,
        key_file: directory.join("gateway.key"),
        data_dir: directory.join("gateway"),
        identity: IdentitySource::Bearer,
        routes: vec![Route {
            host: None,
            path: "/".to_owned(),
            upstream: format!("http://{upstream}"),
            http2: false,
            ca: None,
            authorization: Authorization::Pass,
            preserve_host: false,
            headers: BTreeMap::new(),
        }],
        proxy_protocol: false,
        client_cert_header: false,
        xfcc_header: false,
        access_log: None,
        admin_listen: None,
        threads: None,
        limits: Limits::default(),
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [directory, listen, upstream, key] = arguments.try_into().unwrap();
    let directory = Path::new(&directory);
    let options = options(directory, listen.parse().unwrap(), &upstream);
    let pem = fs::read_to_string(directory.join("ca.pem")).unwrap();
    let kept = json!({
        "revision": 1,
        "heard_at": now(),
        "organizations": [organization(pem, &key)],
    });
    fs::create_dir_all(&options.data_dir).unwrap();
    fs::write(options.data_dir.join("bundle.json"), kept.to_string()).unwrap();
    fs::write(&options.key_file, "none").unwrap();
    let gateway = Gateway::start(options, Arc::new(now), [7; 24], Arc::new(String::new));
    let _running = gateway.unwrap();
    loop {
        std::thread::park();
    }
}
