//! The real proxies, each with the configuration of `docs/decision-service.md`.

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use countersign_gateway::options::{CertificateForm, DecisionProtocol, Decisions, GatewayOptions};
use countersign_testca::{General, Minted, root};
use countersign_types::digest::Sha256;
use serde_json::Value;

use super::{
    SECRET, asking, by_certificate, by_secret, by_user,
    documented::{block, filled, indented},
    file,
};
use crate::{
    client::{Connection, plain_get},
    process::free_address,
    upstream,
    world::{LIMIT, World},
};

/// What clients are not believed, in all spellings that a server could take for it.
const CLAIMS: [&str; 7] = [
    "x-countersign-project: proj_other",
    "X-Countersign-Certificate: cert_other",
    "x-countersign-leaf-sha256: 00",
    "x-countersign-service-account: svc_acct_other",
    "x-countersign-receipt: other",
    "x_countersign_project: proj_other",
    "x-request-id: req_other",
];

/// A proxy that runs until it is dropped.
struct Proxy {
    child: Child,
    address: SocketAddr,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts it, and waits until it accepts connections. What it says goes to a file beside.
    async fn start(mut command: Command, address: SocketAddr, log: &Path) -> Self {
        let output = || File::options().create(true).append(true).open(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        let child = command.spawn().unwrap();
        let mut proxy = Self { child, address };
        let end = Instant::now() + LIMIT;
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let said = || std::fs::read_to_string(log).unwrap();
            assert!(proxy.child.try_wait().unwrap().is_none(), "{}", said());
            assert!(Instant::now() < end, "{}", said());
            tokio::task::yield_now().await;
        }
        proxy
    }
}

/// Where `cargo xtask test` has installed proxies; without them these tests are left out.
fn installed() -> Option<PathBuf> {
    let directory = std::env::var_os("COUNTERSIGN_TEST_PROXIES");
    if directory.is_none() {
        eprintln!("skipped: `COUNTERSIGN_TEST_PROXIES` is not set; `cargo xtask test` sets it");
    }
    directory.map(PathBuf::from)
}

/// One of these proxies.
fn program(name: &str) -> Option<PathBuf> {
    Some(installed()?.join(name))
}

/// What all of them need: a gateway with this door, an upstream, and files.
struct Scene {
    world: World,
    upstream: SocketAddr,
    /// Issues the certificates by which proxies prove themselves.
    proxies: Minted,
}

impl Scene {
    async fn new(door: impl FnOnce(&GatewayOptions, &Minted) -> Decisions) -> Self {
        let proxies = root("Proxies").mint();
        let world = World::with(|options| {
            options.decisions = vec![door(options, &proxies)];
            // As if behind: each thread would have connections of its own.
            options.threads = Some(1);
        });
        Self {
            world: world.await,
            upstream: upstream::start().await,
            proxies,
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        file(&self.world.options, name, text)
    }

    fn directory(&self) -> &str {
        let parent = self.world.options.certificate.parent().unwrap();
        parent.to_str().unwrap()
    }

    /// Writes a certificate of the proxy, and the CA of the gateway's.
    fn own_certificate(&self, name: &str) {
        let own = self.proxies.leaf(name);
        let own = own.san(General::dns(&format!("{name}.example.com"))).mint();
        self.file(&format!("{name}.pem"), &own.pem());
        self.file(&format!("{name}.key"), &own.key_pem());
        self.file("gateway-ca.pem", &self.world.server_ca.pem());
    }

    async fn start(&self, command: Command, address: SocketAddr) -> Proxy {
        let log = self.world.options.certificate.with_file_name("proxy.log");
        Proxy::start(command, address, &log).await
    }

    async fn connect(&self, proxy: &Proxy, chain: &[&Minted]) -> Connection {
        self.world.tls(chain).connect(proxy.address).await
    }

    async fn code(&self, proxy: &Proxy, chain: &[&Minted], key: &str) -> String {
        let mut connection = self.connect(proxy, chain).await;
        connection.get("/v1/echo", key, "").await.code()
    }

    /// What must hold of every proxy that asks.
    async fn holds(mut self, proxy: Proxy) {
        self.claims_are_stripped(&proxy, &[]).await;
        let (id, leaf) = self.world.with_active_ca().await;
        let key = self.world.key.clone();
        let other = root("Client CA").mint();
        let untrusted = other.leaf("billing").mint();
        for (chain, key, code) in [
            (&[][..], key.as_str(), "certificate_required"),
            (&[&leaf], &key, ""),
            (&[&untrusted], &key, "certificate_verification_failed"),
            (&[&leaf], "sk-unknown", "invalid_api_key"),
            (&[&leaf], "", "invalid_api_key"),
            (&[&leaf], &self.world.admin_key, "invalid_api_key"),
        ] {
            assert_eq!(self.code(&proxy, chain, key).await, code);
        }
        self.claims_are_stripped(&proxy, &[&leaf]).await;
        self.certificates_of_clients_are_not_read(&proxy, &leaf)
            .await;
        self.refusals_are_explained(&proxy).await;
        // On a connection that is open, too.
        let mut open = self.connect(&proxy, &[&leaf]).await;
        assert_eq!(open.get("/v1/echo", &key, "").await.status, 200);
        self.world.deactivate(&self.world.scope(), &id).await;
        self.world
            .activate(&self.world.scope(), &self.world.upload(&other, None).await)
            .await;
        let refused = open.get("/v1/echo", &key, "").await;
        assert_eq!(refused.code(), "certificate_verification_failed");
        assert_eq!(self.code(&proxy, &[&untrusted], &key).await, "");
        // Without an answer nothing passes.
        self.world.stop().await;
        let mut connection = self.connect(&proxy, &[&untrusted]).await;
        let status = connection.get("/v1/echo", &key, "").await.status;
        assert!(status == 503 || status == 500 || status == 502, "{status}");
    }

    /// The upstream is told who is calling, and nothing of what the client claims.
    async fn claims_are_stripped(&self, proxy: &Proxy, chain: &[&Minted]) {
        let mut connection = self.connect(proxy, chain).await;
        let lines = CLAIMS.map(|line| format!("{line}\r\n")).concat();
        let answer = connection
            .get("/v1/echo?a=b", &self.world.key, &lines)
            .await;
        // A proxy may refuse some spellings.
        if answer.status == 400 {
            return;
        }
        assert_eq!(answer.status, 200, "{}", answer.head);
        let seen = answer.json();
        let headers = seen["headers"].as_object().unwrap();
        let own = |name: &str| headers.get(name).map(|values| values[0].as_str().unwrap());
        assert_eq!(
            own("x-countersign-project"),
            Some(self.world.project.as_str())
        );
        assert_eq!(
            own("x-countersign-organization"),
            Some(self.world.organization.as_str())
        );
        let leaf = chain.first().map(|leaf| Sha256::of(leaf.der()).to_string());
        assert_eq!(own("x-countersign-leaf-sha256"), leaf.as_deref());
        assert_eq!(own("x-countersign-certificate").is_some(), leaf.is_some());
        assert!(own("x-request-id").unwrap().starts_with("req_"));
        for (name, values) in headers {
            let text = values.to_string();
            assert!(!text.contains("other"), "{name}: {text}");
            assert!(!name.contains("proxy-secret"), "{name}");
        }
    }

    /// A client without a certificate that sends one in headers is a client without.
    async fn certificates_of_clients_are_not_read(&self, proxy: &Proxy, leaf: &Minted) {
        for form in [
            CertificateForm::XfccText,
            CertificateForm::NginxEscapedPem,
            CertificateForm::Traefik,
            CertificateForm::CaddyDer,
            CertificateForm::Rfc9440,
            CertificateForm::Alb,
        ] {
            let headers = asking::certificate(form, &[leaf]);
            for underlined in [false, true] {
                let lines = headers.iter().map(|(name, value)| {
                    let name = if underlined {
                        name.replace('-', "_")
                    } else {
                        name.clone()
                    };
                    format!("{name}: {value}\r\n")
                });
                let lines = lines.collect::<String>();
                let mut connection = self.connect(proxy, &[]).await;
                let refused = connection.get("/v1/echo", &self.world.key, &lines).await;
                assert_eq!(refused.status, 401, "{form:?} {}", refused.head);
                let codes = ["certificate_required", "invalid_certificate"];
                assert!(codes.contains(&refused.code().as_str()), "{form:?}");
            }
        }
    }

    /// The client gets the envelope, and an id under which the gateway knows why.
    async fn refusals_are_explained(&self, proxy: &Proxy) {
        let mut connection = self.connect(proxy, &[]).await;
        let refused = connection.get("/v1/echo", &self.world.key, "").await;
        assert_eq!(refused.header("content-type"), Some("application/json"));
        let id = refused.header("x-request-id").unwrap().to_owned();
        let message = refused.json()["error"]["message"].to_string();
        assert!(message.contains(&id), "{message}");
        let operator = self.world.gateway.as_ref().unwrap().admin_address();
        let why = plain_get(operator.unwrap(), &format!("/refusals/{id}")).await;
        let why: Value = serde_json::from_str(&why).unwrap();
        assert_eq!(why["code"], "certificate_required");
    }
}

#[tokio::test]
async fn nginx_asks() {
    // It is Debian's, and installed with the others.
    if installed().is_none() {
        return;
    }
    let scene = Scene::new(|options, _| {
        let (protocol, form) = (
            DecisionProtocol::AuthRequest,
            CertificateForm::NginxEscapedPem,
        );
        by_user(options, protocol, form)
    });
    let scene = scene.await;
    let (address, directory) = (free_address(), scene.directory().to_owned());
    let server = filled(
        block("nginx", "nginx"),
        &[
            (
                "/run/countersign/nginx.sock",
                &format!("{directory}/door.sock"),
            ),
            ("listen 443 ssl", &format!("listen {address} ssl")),
            ("/etc/nginx/tls", &directory),
            ("127.0.0.1:8000", &scene.upstream.to_string()),
        ],
    );
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/nginx-{name};\n"))
        .concat();
    let whole = format!(
        "daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{server}}}\n"
    );
    let mut command = Command::new("nginx");
    command.arg("-c").arg(scene.file("nginx.conf", &whole));
    let proxy = scene.start(command, address).await;
    scene.holds(proxy).await;
}

/// Envoy with this configuration.
fn envoy(program: PathBuf, configuration: PathBuf) -> Command {
    let mut command = Command::new(program);
    command
        .args([
            "--concurrency",
            "1",
            "--log-level",
            "warn",
            "--disable-hot-restart",
            "-c",
        ])
        .arg(configuration);
    command
}

#[tokio::test]
async fn envoy_asks_by_grpc() {
    let Some(program) = program("envoy") else {
        return;
    };
    let scene = Scene::new(|options, proxies| {
        let (protocol, form) = (DecisionProtocol::EnvoyGrpc, CertificateForm::XfccText);
        let known = (proxies.pem(), "envoy.example.com");
        by_certificate(options, protocol, form, (&known.0, known.1))
    });
    let scene = scene.await;
    scene.own_certificate("envoy");
    let address = free_address();
    let text = filled(
        block("Envoy, by gRPC", "yaml"),
        &[
            ("address: 0.0.0.0, port_value: 443", &socket(address)),
            (
                "address: 127.0.0.1, port_value: 8000",
                &socket(scene.upstream),
            ),
            (
                "address: 127.0.0.1, port_value: 9002",
                &socket(scene.world.door(0)),
            ),
            ("/etc/envoy/tls", scene.directory()),
        ],
    );
    let command = envoy(program, scene.file("envoy.yaml", &text));
    let proxy = scene.start(command, address).await;
    scene.holds(proxy).await;
}

#[tokio::test]
async fn envoy_asks_by_http() {
    let Some(program) = program("envoy") else {
        return;
    };
    let scene = Scene::new(|options, _| {
        let (protocol, form) = (DecisionProtocol::EnvoyHttp, CertificateForm::XfccText);
        by_secret(options, protocol, form)
    });
    let scene = scene.await;
    let address = free_address();
    let differs = filled(block("Envoy, by HTTP", "yaml"), &[("SECRET", SECRET)]);
    let (early, filter) = differs.split_once("# In the filter.\n").unwrap();
    let grpc = block("Envoy, by gRPC", "yaml");
    let (before, after) = grpc
        .split_once("    typed_extension_protocol_options:")
        .unwrap();
    let after = after
        .split_once("    load_assignment:\n      cluster_name: countersign")
        .unwrap()
        .1;
    let base = format!("{before}    load_assignment:\n      cluster_name: countersign{after}");
    let service = "              grpc_service:\n                envoy_grpc: { cluster_name: countersign }\n                timeout: 1s\n";
    let routes = "          route_config:\n";
    let text = filled(
        base,
        &[
            (service, &indented(filter, 14)),
            (routes, &format!("{}{routes}", indented(early, 10))),
            ("address: 0.0.0.0, port_value: 443", &socket(address)),
            (
                "address: 127.0.0.1, port_value: 8000",
                &socket(scene.upstream),
            ),
            (
                "address: 127.0.0.1, port_value: 9002",
                &socket(scene.world.door(0)),
            ),
            ("/etc/envoy/tls", scene.directory()),
        ],
    );
    let command = envoy(program, scene.file("envoy.yaml", &text));
    let proxy = scene.start(command, address).await;
    scene.holds(proxy).await;
}

/// An address as Envoy's configuration has it.
fn socket(address: SocketAddr) -> String {
    format!("address: {}, port_value: {}", address.ip(), address.port())
}

#[tokio::test]
async fn traefik_asks() {
    let Some(program) = program("traefik") else {
        return;
    };
    let scene = Scene::new(|options, proxies| {
        let (protocol, form) = (DecisionProtocol::ForwardAuth, CertificateForm::Traefik);
        let known = (proxies.pem(), "traefik.example.com");
        by_certificate(options, protocol, form, (&known.0, known.1))
    });
    let scene = scene.await;
    scene.own_certificate("traefik");
    let address = free_address();
    let dynamic = filled(
        block("Traefik", "yaml"),
        &[
            (
                "localhost:9004",
                &format!("localhost:{}", scene.world.door(0).port()),
            ),
            ("127.0.0.1:8000", &scene.upstream.to_string()),
            ("/etc/traefik/tls", scene.directory()),
        ],
    );
    let dynamic = scene.file("traefik.yaml", &dynamic);
    let mut command = Command::new(program);
    command
        .arg(format!("--entryPoints.websecure.address={address}"))
        .arg(format!("--providers.file.filename={}", dynamic.display()))
        .args([
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ]);
    let proxy = scene.start(command, address).await;
    // It accepts connections before it has read its routes.
    let tls = scene.world.tls(&[]);
    let answers = || tls.try_code(address, "sk-unknown");
    while answers().await.as_deref() != Some("invalid_api_key") {
        tokio::task::yield_now().await;
    }
    scene.holds(proxy).await;
}

#[tokio::test]
async fn caddy_asks() {
    let Some(program) = program("caddy") else {
        return;
    };
    let scene = Scene::new(|options, _| {
        let (protocol, form) = (DecisionProtocol::ForwardAuth, CertificateForm::CaddyDer);
        by_user(options, protocol, form)
    });
    let scene = scene.await;
    let (address, directory) = (free_address(), scene.directory().to_owned());
    let site = filled(
        block("Caddy", "caddyfile"),
        &[
            (
                "https://api.example.com",
                &format!("https://localhost:{}", address.port()),
            ),
            (
                "/run/countersign/caddy.sock",
                &format!("{directory}/door.sock"),
            ),
            ("/etc/caddy/tls", &directory),
            ("127.0.0.1:8000", &scene.upstream.to_string()),
        ],
    );
    let whole = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}");
    let mut command = Command::new(program);
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(scene.file("Caddyfile", &whole))
        .env("XDG_DATA_HOME", &directory)
        .env("XDG_CONFIG_HOME", &directory);
    let proxy = scene.start(command, address).await;
    scene.holds(proxy).await;
}
