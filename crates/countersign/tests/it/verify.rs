//! `countersign verify`, and the two commands that ask a gateway.

use std::{fs, path::PathBuf};

use countersign_testca::{oid, root};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::running::{Dev, countersign};

struct Files {
    directory: TempDir,
}

impl Files {
    /// An anchor, a leaf of it with an intermediate between, and an untrusted leaf.
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let anchor = root("Root").mint();
        let issuing = anchor.intermediate("Issuing").mint();
        let leaf = issuing
            .leaf("billing")
            .attribute(oid::ORGANIZATIONAL_UNIT, "Production")
            .mint();
        let untrusted = root("Root").mint().leaf("billing").mint();
        let write = |name, text: String| fs::write(directory.path().join(name), text).unwrap();
        write("anchor.pem", anchor.pem());
        write("other.pem", root("Other").mint().pem());
        write("chain.pem", leaf.pem() + &issuing.pem());
        write("untrusted.pem", untrusted.pem());
        write("empty.pem", String::new());
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The exit code and what was written as JSON, of a chain under anchors with more arguments.
    fn verify(&self, chain: &str, anchors: &[&str], more: &[&str]) -> (i32, Value) {
        let mut command = countersign(&["verify", "-o", "json"]);
        command.arg("--chain").arg(self.path(chain)).args(more);
        for anchor in anchors {
            command.arg("--anchor").arg(self.path(anchor));
        }
        let ran = command.output().unwrap();
        let json = serde_json::from_slice(&ran.stdout).unwrap_or_default();
        (ran.status.code().unwrap(), json)
    }
}

#[test]
fn a_good_chain_is_permitted_by_the_anchor_that_decides() {
    let files = Files::new();
    let (exit, json) = files.verify("chain.pem", &["other.pem", "anchor.pem"], &[]);
    assert_eq!((exit, &json["code"]), (0, &Value::Null));
    assert_eq!(json["anchor"], files.path("anchor.pem").to_str().unwrap());
}

#[test]
fn a_refusal_has_a_code_and_a_trace_of_every_anchor() {
    let files = Files::new();
    let (exit, json) = files.verify("untrusted.pem", &["other.pem", "anchor.pem"], &[]);
    assert_eq!((exit, &json["anchor"]), (1, &Value::Null));
    assert_eq!(json["code"], "certificate_verification_failed");
    let trace = json["trace"].as_array().unwrap();
    let of_anchors = trace.iter().filter(|step| !step["anchor"].is_null());
    assert_eq!(of_anchors.count(), 2);
    assert_eq!(trace[0]["reason"], "issuer_not_presented");
    // A file that holds no certificate is a mistake, and no client that presents none.
    let (exit, json) = files.verify("empty.pem", &["anchor.pem"], &[]);
    assert_eq!((exit, json), (1, Value::Null));
    let (exit, json) = files.verify("chain.pem", &["anchor.pem"], &["--at", "4000000000"]);
    assert_eq!(
        (exit, json["code"].as_str()),
        (1, Some("certificate_verification_failed"))
    );
}

#[test]
fn a_policy_is_asked_and_a_wrong_one_is_a_usage_error() {
    let files = Files::new();
    let policy = |text| files.verify("chain.pem", &["anchor.pem"], &["--policy", text]);
    assert_eq!(policy("subject.organizational_unit == \"Production\"").0, 0);
    let (exit, json) = policy("subject.organizational_unit == \"Test\"");
    let code = "certificate_attribute_verification_failed";
    assert_eq!((exit, json["code"].as_str()), (1, Some(code)));
    assert_eq!(policy("subject.comon_name == \"a\"").0, 2);
}

#[test]
fn the_server_says_what_is_active_and_a_gateway_its_state() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("dev-ca");
    let project = dev.env["OPENAI_PROJECT_ID"].clone();
    dev.json(&[
        "certificate",
        "activate",
        &id,
        "--project",
        &project,
        "--wait",
    ]);
    let chain = dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"].clone();
    let verdict = dev.json(&["verify", "--chain", &chain, "--project", &project]);
    assert_eq!(verdict["anchor"], id.as_str());
    let gateways = dev.json(&["gateway", "status"]);
    assert_eq!(
        (&gateways[0]["name"], &gateways[0]["current"]),
        (&"dev".into(), &true.into())
    );
    let ran = dev.command(&["explain", "req_unknown"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("has no record of `req_unknown`"));
}
