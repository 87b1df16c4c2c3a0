//! What describes a client, and what is refused.

use std::fs;

use countersign_client::{Client, ClientBuilder, DEFAULT_BASE_URL, types::secret::Secret};
use countersign_testca::root;

use crate::peer::{self, KEY, Peer};

fn environment(pairs: &[(&str, &str)]) -> Result<ClientBuilder, String> {
    let find = |name: &str| {
        let found = pairs.iter().find(|(known, _)| *known == name)?;
        Some(found.1.to_owned())
    };
    ClientBuilder::from_env(find).map_err(|error| error.to_string())
}

fn build(pairs: &[(&str, &str)]) -> Result<Client, String> {
    environment(pairs)?
        .build()
        .map_err(|error| error.to_string())
}

#[test]
fn a_key_is_all_that_openai_needs() {
    let client = build(&[("OPENAI_ADMIN_KEY", KEY)]).unwrap();
    assert_eq!(client.base_url(), DEFAULT_BASE_URL);
    let blank = [("OPENAI_ADMIN_KEY", KEY), ("OPENAI_BASE_URL", " ")];
    assert_eq!(build(&blank).unwrap().base_url(), DEFAULT_BASE_URL);
}

#[tokio::test]
async fn the_environment_reaches_the_wire() {
    let gateways = serde_json::json!({ "revision": 1, "gateways": [] });
    let peer = Peer::start(vec![peer::json(200, &[], &gateways)]).await;
    let client = build(&[
        ("OPENAI_BASE_URL", &peer.url("http", "/v1")),
        ("OPENAI_ADMIN_KEY", "sk-admin-x\n"),
        ("OPENAI_ORG_ID", "org-a"),
        ("OPENAI_PROJECT_ID", "proj_a"),
        // Over plain HTTP no TLS file is read.
        ("OPENAI_MTLS_CLIENT_CERT_FILE", "/absent/client.pem"),
        ("OPENAI_MTLS_CLIENT_KEY_FILE", "/absent/client.key"),
        ("COUNTERSIGN_SERVER_CA", "/absent/ca.pem"),
    ])
    .unwrap();
    client.countersign().gateways().await.unwrap();
    let sent = &peer.seen()[0].headers;
    assert_eq!(sent["authorization"], "Bearer sk-admin-x");
    assert_eq!(sent["openai-organization"], "org-a");
    assert_eq!(sent["openai-project"], "proj_a");
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let key = ("OPENAI_ADMIN_KEY", KEY);
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQ";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[], "no key: set `OPENAI_ADMIN_KEY`"),
        (&[("OPENAI_ADMIN_KEY", "sk admin")], "the key holds a space"),
        (
            &[("OPENAI_ADMIN_KEY", "sk-\u{e9}")],
            "another character that no key has",
        ),
        (&[key, ("OPENAI_ORG_ID", "a\nb")], "the organization holds"),
        (
            &[key, ("OPENAI_BASE_URL", "localhost")],
            "the base URL is no URL",
        ),
        (
            &[key, ("OPENAI_BASE_URL", "localhost:8080/v1")],
            "the base URL is neither `https` nor `http`",
        ),
        (
            &[key, ("OPENAI_BASE_URL", "https://me:secret@a.example/v1")],
            "the base URL holds a user name or password",
        ),
        (
            &[key, ("OPENAI_BASE_URL", "https://a.example/v1?x=1")],
            "the base URL has a query",
        ),
        (
            &[key, ("OPENAI_MTLS_CLIENT_CERT_FILE", "a.pem")],
            "`OPENAI_MTLS_CLIENT_CERT_FILE` is set without `OPENAI_MTLS_CLIENT_KEY_FILE`",
        ),
        (
            &[key, ("OPENAI_MTLS_PRIVATE_KEY", "a.key")],
            "`OPENAI_MTLS_PRIVATE_KEY` is set without `OPENAI_MTLS_CERTIFICATE_CHAIN`",
        ),
        (
            &[key, ("OPENAI_MTLS_PRIVATE_KEY", pem)],
            "`OPENAI_MTLS_PRIVATE_KEY` holds PEM text: give the path",
        ),
        (
            &[key, ("COUNTERSIGN_SERVER_CA", "/absent/ca.pem")],
            "cannot read `/absent/ca.pem`: No such file",
        ),
    ];
    for (pairs, wanted) in cases {
        let error = build(pairs).unwrap_err();
        assert!(error.contains(wanted), "{pairs:?}: {error}");
        assert!(
            !error.contains("MC4CAQ") && !error.contains("secret"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_flag_stands_over_the_environment() {
    let broken = environment(&[("OPENAI_BASE_URL", "nonsense")]).unwrap();
    let client = broken
        .base_url("https://a.example/v1/")
        .key(Secret::new("k"))
        .build()
        .unwrap();
    assert_eq!(client.base_url(), "https://a.example/v1/");
}

#[test]
fn tls_files_are_checked_before_the_first_call() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let ca = root("Root").mint();
    let leaf = ca.leaf("client").mint();
    let other = ca.leaf("other").mint();
    let cert = file("client.pem", &leaf.pem());
    let key = file("client.key", &leaf.key_pem());
    let foreign = file("other.key", &other.key_pem());
    let empty = file("empty.pem", "nothing here\n");
    let torn = file("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB!!\n");
    let sealed = file(
        "sealed.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let start = || Client::builder().key(Secret::new("k"));
    let cases = [
        (
            start().client_certificate(&cert, &foreign),
            "other.key` is not the key of `",
        ),
        (
            start().client_certificate(&empty, &key),
            "empty.pem` holds no certificate",
        ),
        (
            start().client_certificate(&torn, &key),
            "torn.pem` is not well-formed PEM",
        ),
        (
            start().client_certificate(&cert, &cert),
            "client.pem` holds no private key",
        ),
        (
            start().client_certificate(&cert, &sealed),
            "sealed.key` is encrypted",
        ),
        (start().ca_file(&key), "client.key` holds no certificate"),
        (start().ca_bundle(&empty), "empty.pem` holds no certificate"),
    ];
    for (builder, wanted) in cases {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
    assert!(start().client_certificate(&cert, &key).build().is_ok());
}
