//! The unmodified OpenAI library for Node: a client certificate in place of a key, through a plain tunnel and through
//! `countersign connect`, against a running `countersign dev`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use countersign_testca::root;
use serde_json::Value;

use super::{
    scene::{Connect, Scene},
    tools::set_up,
};

/// How long a change may take to reach the gateway.
const LIMIT: Duration = Duration::from_secs(30);
/// In Unix seconds, long ago.
const PAST: i64 = 1_000_000_000;

const HOSTS: [&str; 2] = ["mtls.auth.openai.com", "mtls.api.openai.com"];

/// A `dev` that has a provider, a service account and a rule for the client certificate of `dev`.
struct Workloads {
    scene: Scene,
    modules: String,
    provider: String,
    account: String,
}

impl Workloads {
    /// None where the modules for Node are not set up.
    fn start() -> Option<Self> {
        let modules = set_up("COUNTERSIGN_TEST_NODE_MODULES")?;
        let scene = Scene::echoing();
        let id = |made: Value| made["id"].as_str().unwrap().to_owned();
        let provider = ["workload-identity-provider", "create", "--name", "mesh"];
        let attribute = [
            "--attribute",
            "openai.subject=assertion.subject.common_name",
        ];
        let provider = id(scene.dev.json(&[&provider[..], &attribute].concat()));
        let account = ["service-account", "create", "--project", "dev"];
        let account = [&account[..], &["--name", "worker", "--no-key"]].concat();
        let workloads = Self {
            account: id(scene.dev.json(&account)),
            provider,
            modules,
            scene,
        };
        workloads.add_rule("dev", "dev-*");
        Some(workloads)
    }

    fn add_rule(&self, name: &str, subject: &str) {
        let subject = format!("openai.subject={subject}");
        let rule = ["federation-rule", "create", "--provider", "mesh"];
        let of = ["--project", "dev", "--service-account", "worker"];
        let more = ["--name", name, "--match", &subject];
        // A second rule refuses those whom the first admits: the preview says so.
        let all_the_same = ["--yes", "--allow-refusals"];
        let args = [&rule[..], &of, &more, &all_the_same].concat();
        self.scene.dev.json(&args);
    }

    fn change(&self, args: &[&str]) {
        self.scene.dev.json(args);
    }

    /// The forwarder as the proxy that brings the library's host names to the gateway.
    fn connect(&self) -> Connect {
        let gateway = self.scene.gateway();
        let to = HOSTS.map(|host| format!("{host}={gateway}"));
        let mut args = vec!["--proxy"];
        for (host, to) in HOSTS.iter().zip(&to) {
            args.extend(["--host", host, "--to", to]);
        }
        self.scene.connect(&args)
    }

    /// The library in a process of its own.
    fn node(&self) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools");
        let mut node = Command::new("node");
        node.arg(script.join("workload_identity.cjs"))
            .envs(&self.scene.dev.env)
            .env("NODE_PATH", &self.modules)
            .env("PROVIDER", &self.provider)
            .env("SERVICE_ACCOUNT", &self.account)
            .env("GATEWAY", self.scene.gateway())
            .env("SERVER_CA", &self.scene.dev.env["COUNTERSIGN_SERVER_CA"]);
        node
    }
}

/// A running script.
struct Node {
    child: Child,
    asked: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Node {
    fn start(mut command: Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        Self {
            asked: child.stdin.take().unwrap(),
            said: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, what: &str) -> String {
        writeln!(self.asked, "{what}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the script ended");
        line.trim_end().to_owned()
    }

    /// Calls until the answer has this in it: a change takes its time to the gateway.
    #[track_caller]
    fn until(&mut self, what: &str, answer: &str) {
        let begun = Instant::now();
        loop {
            let said = self.ask(what);
            if said.contains(answer) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "not {answer}: {said}");
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What each way has in common: the certificate is the same one.
fn check(workloads: &Workloads, node: Command) {
    let mut node = Node::start(node);
    let ok = format!("ok {}", workloads.account);
    assert_eq!(node.ask("call"), ok);
    assert_eq!(node.ask("call"), ok);

    // Every token ends: the library gets another by itself.
    workloads.change(&["token-key", "rotate", "--at-once", "--yes"]);
    assert_eq!(node.ask("call"), ok);
    assert_eq!(node.ask("fresh"), ok);

    let provider = ["workload-identity-provider", "update", "mesh"];
    workloads.change(&[&provider[..], &["--disable", "--yes", "--allow-refusals"]].concat());
    node.until("call", "refused 400 invalid_grant");
    workloads.change(&[&provider[..], &["--enable"]].concat());
    node.until("call", &ok);

    workloads.add_rule("second", "dev-client");
    assert!(node.ask("fresh").starts_with("refused 400 invalid_grant "));
    let delete = ["federation-rule", "delete", "second", "--provider", "mesh"];
    workloads.change(&[&delete[..], &["--yes"]].concat());
    node.until("fresh", &ok);

    // Another anchor stays, so that the certificate is refused and not the want of anchors.
    let other = workloads.scene.path("other.pem");
    fs::write(&other, root("Other").mint().pem()).unwrap();
    let other = other.to_str().unwrap();
    workloads.change(&["certificate", "upload", other, "--name", "other"]);
    let at = ["--project", "dev", "--yes", "--allow-refusals", "--wait"];
    workloads.change(&[&["certificate", "activate", "other"][..], &at].concat());
    workloads.change(&[&["certificate", "deactivate", "dev-ca"][..], &at].concat());
    node.until("call", "refused 401 invalid_subject_token");
    assert!(
        node.ask("fresh")
            .starts_with("refused 401 invalid_subject_token ")
    );
    workloads.change(&[&["certificate", "activate", "dev-ca"][..], &at].concat());
    node.until("fresh", &ok);
}

#[test]
fn it_exchanges_its_certificate_through_a_tunnel() {
    let Some(workloads) = Workloads::start() else {
        return;
    };
    check(&workloads, workloads.node());
}

#[test]
fn it_exchanges_its_certificate_through_connect() {
    let Some(workloads) = Workloads::start() else {
        return;
    };
    let connect = workloads.connect();
    let mut node = workloads.node();
    node.env("PROXY", &connect.env["HTTPS_PROXY"])
        .env("SERVER_CA", &connect.env["NODE_EXTRA_CA_CERTS"]);
    check(&workloads, node);
}

#[test]
fn an_expired_leaf_gets_no_token() {
    let Some(workloads) = Workloads::start() else {
        return;
    };
    let ca = root("Mesh").mint();
    let write = |name: &str, text: String| {
        let path = workloads.scene.path(name);
        fs::write(&path, text).unwrap();
        path
    };
    let anchor = write("mesh.pem", ca.pem());
    let anchor = anchor.to_str().unwrap();
    workloads.change(&["certificate", "upload", anchor, "--name", "mesh"]);
    let activate = ["certificate", "activate", "mesh", "--project", "dev"];
    let wait = ["--yes", "--allow-refusals", "--wait"];
    workloads.change(&[&activate[..], &wait].concat());
    let expired = ca.leaf("dev-expired").valid(PAST, PAST + 60).mint();
    for (leaf, answer) in [
        (ca.leaf("dev-valid").mint(), "ok "),
        (expired, "refused 401 invalid_subject_token "),
    ] {
        let mut node = workloads.node();
        node.env(
            "OPENAI_MTLS_CLIENT_CERT_FILE",
            write("leaf.pem", leaf.pem()),
        );
        node.env(
            "OPENAI_MTLS_CLIENT_KEY_FILE",
            write("leaf.key", leaf.key_pem()),
        );
        let said = Node::start(node).ask("call");
        assert!(said.starts_with(answer), "{said}");
    }
}
