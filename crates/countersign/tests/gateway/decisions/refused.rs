//! What does not pass: who is not the proxy, and certificates that are not as they should be.

use countersign_gateway::options::{
    AskedBy, CertificateForm, DecisionAddress, DecisionProtocol, Decisions,
};
use countersign_testca::{General, Key, KeyKind, Minted, root};
use rustls::version::TLS13;
use tokio::net::{TcpStream, UnixStream};

use super::{
    SECRET, SECRET_HEADER,
    asking::{self, Asking, Envoy, Headers, allowed, proven},
    by_certificate, by_secret, by_user,
};
use crate::{
    client::{Tls, plain_get},
    world::World,
};

fn with(name: &str, value: &str) -> Headers {
    vec![(name.to_owned(), value.to_owned())]
}

impl World {
    async fn with_doors(
        doors: impl FnOnce(&countersign_gateway::options::GatewayOptions) -> Vec<Decisions>,
    ) -> Self {
        Self::with(|options| options.decisions = doors(options)).await
    }

    /// The door, the path and the code of each line of the access log.
    async fn logged_doors(&mut self) -> Vec<(String, String, String)> {
        let log = self.log().await;
        log.iter()
            .map(|line| {
                let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                (text("door"), text("path"), text("code"))
            })
            .collect()
    }
}

#[tokio::test]
async fn who_is_not_the_proxy_is_refused_whatever_it_carries() {
    let world = World::with_doors(|options| {
        let form = CertificateForm::NginxEscapedPem;
        vec![
            by_secret(options, DecisionProtocol::AuthRequest, form),
            by_secret(
                options,
                DecisionProtocol::EnvoyGrpc,
                CertificateForm::XfccText,
            ),
        ]
    })
    .await;
    let (_, leaf) = world.with_active_ca().await;
    let chain = asking::certificate(CertificateForm::NginxEscapedPem, &[&leaf]);
    let mut asking = Asking::connect(world.door(0)).await;
    let passed = asking.ask(&world.key, chain.clone()).await;
    assert_eq!(passed.status, 200);
    assert_eq!(
        passed.header("x-countersign-project"),
        Some(world.project.as_str())
    );
    let good = proven(&world.key, chain.clone());
    let without: Headers = good
        .iter()
        .filter(|(name, _)| name != SECRET_HEADER)
        .cloned()
        .collect();
    let cut = &SECRET[..SECRET.len() - 1];
    for headers in [
        without.clone(),
        [without.clone(), with(SECRET_HEADER, cut)].concat(),
        [without.clone(), with(SECRET_HEADER, "")].concat(),
        [good.clone(), with(SECRET_HEADER, SECRET)].concat(),
        [without, with("authorization", SECRET)].concat(),
    ] {
        let mut asking = Asking::connect(world.door(0)).await;
        let refused = asking.try_ask(&headers).await.unwrap();
        let code = "authentication_temporarily_unavailable";
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (503, code),
            "{headers:?}"
        );
        assert_eq!(refused.header("retry-after"), Some("1"));
        let id = refused.header("x-request-id").unwrap();
        let operator = world.gateway.as_ref().unwrap().admin_address().unwrap();
        let why = plain_get(operator, &format!("/refusals/{id}")).await;
        assert!(why.contains("has not proven to be the proxy"), "{why}");
        assert!(!why.contains(SECRET));
        assert!(
            asking.try_ask(&good).await.is_none(),
            "the connection is closed"
        );
    }
    let mut envoy = Envoy::connect(world.door(1)).await;
    let headers = proven(&world.key, Vec::new());
    let refused = envoy
        .check(headers, "", "another-secret-that-is-long-enough")
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn only_a_certificate_of_the_proxys_ca_and_name_opens_the_door() {
    let proxies = root("Proxies").mint();
    let pem = proxies.pem();
    let world = World::with_doors(|options| {
        let (protocol, form) = (DecisionProtocol::ForwardAuth, CertificateForm::CaddyDer);
        let known = (pem.as_str(), "proxy.example.com");
        vec![by_certificate(options, protocol, form, known)]
    })
    .await;
    let named = |ca: &Minted, name: &str| ca.leaf("proxy").san(General::dns(name)).mint();
    let proxy = named(&proxies, "proxy.example.com");
    let passes = |chain: Vec<&Minted>| {
        let tls = Tls::new(&world.server_ca, &chain);
        let (door, key) = (world.door(0), world.key.clone());
        async move { tls.try_code(door, &key).await }
    };
    assert_eq!(passes(vec![&proxy]).await.as_deref(), Some(""));
    let other = root("Proxies").mint();
    for stranger in [
        vec![],
        vec![named(&proxies, "other.example.com")],
        vec![named(&other, "proxy.example.com")],
        vec![named(&proxies, "proxy.example.com.evil.example")],
    ] {
        assert_eq!(passes(stranger.iter().collect()).await, None);
    }
    // It does not hold the key of the certificate that it shows.
    let thief = Tls::unchecked(
        &TLS13,
        &world.server_ca,
        proxy.der(),
        &Key::generate(KeyKind::P256),
    );
    assert_eq!(thief.try_code(world.door(0), &world.key).await, None);
}

#[tokio::test]
async fn only_the_proxys_user_is_heard_on_a_unix_socket() {
    let (protocol, form) = (DecisionProtocol::ForwardAuth, CertificateForm::CaddyDer);
    let world = World::with_doors(|options| {
        let own = by_user(options, protocol, form);
        let other = Decisions {
            listen: DecisionAddress::Unix(options.certificate.with_file_name("other.sock")),
            // Nobody's number: root may be everyone else.
            asked_by: Some(AskedBy::UnixUsers(vec![u32::MAX - 7])),
            ..own.clone()
        };
        vec![own, other]
    })
    .await;
    let mut answers = Vec::new();
    for name in ["door.sock", "other.sock"] {
        let path = world.options.certificate.with_file_name(name);
        let mut asking = Asking::over(UnixStream::connect(path).await.unwrap());
        let answer = asking.try_ask(&proven(&world.key, Vec::new())).await;
        answers.push(answer.map(|answer| answer.status));
    }
    assert_eq!(answers, [Some(200), None]);
}

#[tokio::test]
async fn a_door_that_anyone_could_use_is_not_opened() {
    let world = World::new().await;
    let (protocol, form) = (DecisionProtocol::AuthRequest, CertificateForm::CaddyDer);
    let good = by_user(&world.options, protocol, form);
    for (door, says) in [
        (
            Decisions {
                asked_by: None,
                ..good.clone()
            },
            "hint: set `asked_by`",
        ),
        (
            Decisions {
                listen: DecisionAddress::Tcp("127.0.0.1:0".parse().unwrap()),
                ..good.clone()
            },
            "hint: set `listen = \"unix:",
        ),
        (
            Decisions {
                listen: DecisionAddress::Unix("/tmp/countersign-door-test.sock".into()),
                ..good.clone()
            },
            "anyone may write to `/tmp`",
        ),
        (
            Decisions {
                certificate: CertificateForm::EnvoyAttributes,
                ..good.clone()
            },
            "comes with `protocol = \"envoy_grpc\"` only",
        ),
    ] {
        let mut options = world.options.clone();
        options.data_dir = options.data_dir.with_file_name("other");
        options.decisions = vec![door];
        let error = world.try_gateway_with(options, 9).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_as_it_should_be_is_refused_and_counted() {
    let form = CertificateForm::Rfc9440;
    let mut world =
        World::with_doors(|options| vec![by_secret(options, DecisionProtocol::EnvoyHttp, form)])
            .await;
    // Nothing is active: without a certificate, requests pass.
    let leaf = world.ca.leaf("a").mint();
    let chain = asking::certificate(form, &[&leaf, &world.ca]);
    let (name, value) = chain[0].clone();
    let mut asking = Asking::connect(world.door(0)).await;
    assert_eq!(asking.ask(&world.key, Vec::new()).await.status, 200);
    assert_eq!(asking.ask(&world.key, chain.clone()).await.status, 200);
    let many = vec![&leaf; 40];
    for wrong in [
        with(&name, &value[..value.len() - 2]),
        with(&name, &asking::escaped(&[&leaf])),
        with("client-cert-chain", &value),
        [chain.clone(), with(&name, &value)].concat(),
        [chain.clone(), with("client_cert", &value)].concat(),
        [
            chain.clone(),
            asking::certificate(CertificateForm::Traefik, &[&leaf]),
        ]
        .concat(),
        asking::certificate(CertificateForm::XfccText, &[&leaf]),
        with(&name, &format!(":{}:", "A".repeat(70_000))),
        asking::certificate(form, &many),
    ] {
        // What is far too large ends the connection.
        let mut asking = Asking::connect(world.door(0)).await;
        let refused = asking.ask(&world.key, wrong.clone()).await;
        assert_eq!(refused.status, 401, "{:.200?}", wrong);
        assert_eq!(refused.code(), "invalid_certificate");
        let text = String::from_utf8_lossy(&refused.body).to_lowercase();
        assert!(
            !text.contains("client-cert") && !text.contains("base 64"),
            "{text}"
        );
    }
    let doors = world.logged_doors().await;
    let codes: Vec<_> = doors
        .iter()
        .map(|(door, _, code)| (door.as_str(), code.as_str()))
        .collect();
    let passed = ("envoy_http", "");
    let refused = ("envoy_http", "invalid_certificate");
    assert_eq!(codes, [vec![passed; 2], vec![refused; 9]].concat());
    assert!(doors.iter().all(|(_, path, _)| path == "/v1/echo"));
}

#[tokio::test]
async fn envoy_is_told_what_to_set_and_what_to_remove() {
    let world = World::with_doors(|options| {
        let form = CertificateForm::EnvoyAttributes;
        vec![by_secret(options, DecisionProtocol::EnvoyGrpc, form)]
    })
    .await;
    let (_, leaf) = world.with_active_ca().await;
    let mut envoy = Envoy::connect(world.door(0)).await;
    let certificate = asking::escaped(&[&leaf]);
    let claims = [
        ("x-countersign-certificate", "cert_other"),
        ("x_countersign_project", "proj_other"),
        ("x-countersign-more", "a"),
        ("accept", "*/*"),
    ];
    let claims = claims.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = proven(&world.key, claims.to_vec());
    let answer = envoy.check(headers.clone(), &certificate, SECRET).await;
    let told = allowed(answer.unwrap());
    let mut set: Vec<_> = told
        .headers
        .into_iter()
        .map(|each| each.header.unwrap().key)
        .collect();
    set.sort_unstable();
    assert_eq!(
        set,
        [
            "x-countersign-certificate",
            "x-countersign-key",
            "x-countersign-leaf-sha256",
            "x-countersign-organization",
            "x-countersign-project",
            "x-request-id",
        ]
    );
    let mut removed = told.headers_to_remove;
    removed.sort_unstable();
    // The secret of the tests' proxy is of our own names, too; a key has neither account nor scope.
    assert_eq!(
        removed,
        [
            "x-countersign-more",
            SECRET_HEADER,
            "x-countersign-receipt",
            "x-countersign-scope",
            "x-countersign-service-account",
            "x_countersign_project"
        ]
    );
    // The attribute is what is read; a header beside it is the client's.
    let mut both = headers;
    both.extend(asking::certificate(CertificateForm::XfccText, &[&leaf]));
    let key = world.key.clone();
    assert_eq!(
        envoy.code(&key, both, &certificate).await,
        "invalid_certificate"
    );
    assert_eq!(
        envoy.code(&key, Vec::new(), "").await,
        "certificate_required"
    );
    let two = asking::escaped(&[&leaf, &world.ca]);
    assert_eq!(
        envoy.code(&key, Vec::new(), &two).await,
        "invalid_certificate"
    );
}

#[tokio::test]
async fn what_is_no_request_ends_its_connection_and_no_other() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::with_doors(|options| {
        let form = CertificateForm::CaddyDer;
        vec![
            by_secret(options, DecisionProtocol::ForwardAuth, form),
            by_secret(
                options,
                DecisionProtocol::EnvoyGrpc,
                CertificateForm::XfccText,
            ),
        ]
    })
    .await;
    for door in [0, 1] {
        let mut stream = TcpStream::connect(world.door(door)).await.unwrap();
        let _ = stream.write_all(&vec![b'a'; 400_000]).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.windows(3).any(|part| part == b"200"));
    }
    let mut asking = Asking::connect(world.door(0)).await;
    assert_eq!(asking.ask(&world.key, Vec::new()).await.status, 200);
}
