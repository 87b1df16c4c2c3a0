//! What a change would do, before it is made: the page that walks through it, and the question that
//! is asked.

use countersign_testca::root;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::{
    declared::between::{Between, Treated},
    readme::{blocks, run},
    running::Dev,
    shell::{seen, steady},
};

const PAGE: &str = include_str!("../../../../docs/roll-out.md");

struct Scene {
    dev: Dev,
    _directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let dev = Dev::start(&directory.path().join("countersign-data"));
        Self {
            dev,
            _directory: directory,
        }
    }

    /// One request through the gateway, with these arguments to curl; its code, if it is refused.
    fn call(&self, more: &[&str]) -> Value {
        let env = &self.dev.env;
        let bearer = format!("Authorization: Bearer {}", env["OPENAI_API_KEY"]);
        let url = format!("{}/hello", env["COUNTERSIGN_GATEWAY_URL"]);
        let base = [
            "-s",
            "--cacert",
            &env["COUNTERSIGN_SERVER_CA"],
            "-H",
            &bearer,
            &url,
        ];
        let mut curl = std::process::Command::new("curl");
        let ran = curl.args(base).args(more).output().unwrap();
        let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
        answer["error"]["code"].clone()
    }

    /// The arguments to curl that present dev's client certificate.
    fn certificate(&self) -> [&str; 4] {
        let env = |name| self.dev.env[name].as_str();
        let (certificate, key) = (
            env("OPENAI_MTLS_CLIENT_CERT_FILE"),
            env("OPENAI_MTLS_CLIENT_KEY_FILE"),
        );
        ["--cert", certificate, "--key", key]
    }

    /// Waits until so many requests of the project are known.
    fn observed(&self, id: &str, requests: u64) {
        loop {
            let preview = self.preview("deactivate", id);
            if preview["requests"].as_u64() >= Some(requests) {
                return;
            }
        }
    }

    fn at_project<'a>(&'a self, verb: &'a str, id: &'a str) -> Vec<&'a str> {
        let project = self.dev.env["OPENAI_PROJECT_ID"].as_str();
        vec!["certificate", verb, id, "--project", project]
    }

    fn preview(&self, verb: &str, id: &str) -> Value {
        let args = [self.at_project(verb, id), vec!["--preview"]].concat();
        let ran = self.dev.command(&args).output().unwrap();
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    /// What a command at the project says.
    fn transcript(&self, verb: &str, id: &str, more: &[&str]) -> String {
        let args = [self.at_project(verb, id), more.to_vec()].concat();
        seen(self.dev.command(&args))
    }

    fn is_active(&self) -> bool {
        let project = self.dev.env["OPENAI_PROJECT_ID"].as_str();
        let listed = self
            .dev
            .json(&["certificate", "list", "--project", project]);
        listed[0]["active"] == true && listed[0].get("enforcement").is_none()
    }
}

#[test]
fn the_page_of_a_roll_out_works_as_it_stands() {
    let blocks = blocks(PAGE);
    let [report, look, tell, preview, enforce, back] = blocks.as_slice() else {
        panic!(
            "the page has {} shell blocks, this test knows six",
            blocks.len()
        );
    };
    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    // What the page only speaks of: the second that passes until what was seen has arrived.
    let arrived = "until countersign certificate deactivate new-ca --project dev \
        --preview -o json | grep -q '\"requests\": 2,'; do :; done";
    let walk = [report, look, tell, arrived, preview, enforce, back].map(|block| block.trim_end());
    let printed = run(&walk.join("\n"), directory.path());
    for part in [
        "report only",
        "report_verdicts_total{code=\"permit\"} 1",
        "report_verdicts_total{code=\"certificate_required\"} 1",
        "the request passed; report-only trust anchors would have refused it",
        "the client presented no certificate",
        "pass now, would be refused: 1 workload",
        "exit code 3",
        "\"code\":\"certificate_required\"",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(
        printed.trim_end().ends_with('}'),
        "the last call passes: {printed}"
    );
}

#[test]
fn a_change_that_takes_something_from_observed_traffic_is_asked_about() {
    let scene = Scene::new();
    let id = scene.dev.upload("new");
    insta::assert_snapshot!(
        "knows_nothing",
        scene.transcript("activate", &id, &["--preview", "-o", "table"])
    );
    assert_eq!(scene.call(&[]), Value::Null);
    scene.observed(&id, 1);
    insta::assert_snapshot!("unasked", scene.transcript("activate", &id, &[]));
    assert!(!scene.is_active(), "nothing was changed");
    insta::assert_snapshot!(
        "breaks",
        scene.transcript("activate", &id, &["--preview", "-o", "table"])
    );
    assert!(
        scene
            .transcript("activate", &id, &["--report"])
            .starts_with("exit 0")
    );
    assert!(!scene.is_active());
    let refused = scene.transcript("activate", &id, &["--yes", "--wait"]);
    assert!(
        refused.starts_with("exit 3") && refused.contains("--allow-refusals"),
        "{refused}"
    );
    assert!(!scene.is_active(), "a script that did not allow it");
    let done = scene.transcript("activate", &id, &["--yes", "--allow-refusals", "--wait"]);
    assert!(
        done.starts_with("exit 0") && done.contains("pass now, would be refused: 1 workload\n  "),
        "{done}"
    );
    assert_eq!(scene.call(&[]), "certificate_required");

    let certificate = scene.certificate();
    assert_eq!(scene.call(&certificate), Value::Null);
    scene.observed(&id, 3);
    disarming_needs_its_flag(&scene, &id);
    a_plan_says_who_would_pass(&scene);
    a_question_names_the_scope(&scene, &id);
    assert!(scene.is_active());
    let asked = scene.transcript("deactivate", &id, &["--allow-disarm"]);
    assert!(
        asked.starts_with("exit 2") && asked.contains("last used"),
        "{asked}"
    );
    let asked = scene.transcript("activate", &id, &["--report", "--allow-disarm"]);
    assert!(asked.starts_with("exit 2"), "{asked}");
    assert!(scene.is_active());
    let preview = scene.transcript("deactivate", &id, &["--preview", "-o", "json"]);
    assert!(
        preview.starts_with("exit 0"),
        "nobody would be refused: {preview}"
    );
    assert!(
        scene
            .transcript("deactivate", &id, &["--yes", "--allow-disarm"])
            .starts_with("exit 0")
    );
}

fn disarming_needs_its_flag(scene: &Scene, id: &str) {
    let disarms = scene.transcript("deactivate", id, &["--yes"]);
    assert!(disarms.starts_with("exit 3"), "{disarms}");
    for part in [
        "would enforce no trust anchor: every valid key passes without a certificate\n",
        "refused now, would pass: 1 workload\n  ",
        "hint: pass `--yes --allow-disarm`",
    ] {
        assert!(disarms.contains(part), "{part}: {disarms}");
    }
    let disarms = scene.transcript("activate", id, &["--report", "--yes", "--allow-refusals"]);
    assert!(disarms.starts_with("exit 3"), "{disarms}");
    assert!(scene.is_active(), "a script that did not allow it");
}

fn a_plan_says_who_would_pass(scene: &Scene) {
    let declared = "[projects.dev]\nenforce = []\n";
    std::fs::write(scene.dev.directory.join("none.toml"), declared).unwrap();
    let plan = seen(scene.dev.command(&["plan", "none.toml", "-o", "table"]));
    let line = "! dev: refused now, would pass: 1 workload\n  ";
    assert!(plan.contains(line), "{plan}");
}

fn a_question_names_the_scope(scene: &Scene, id: &str) {
    let program = env!("CARGO_BIN_EXE_countersign");
    let line = format!(
        "echo n | script -qec '{program} certificate deactivate {id} --project dev' /dev/null"
    );
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).envs(&scene.dev.env);
    let ran = shell.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let told =
        "project dev would enforce no trust anchor: every valid key passes without a certificate";
    let (told, asked) = (
        said.find(told),
        said.find(&format!("deactivate {id} for project dev?")),
    );
    assert!(told.is_some() && told < asked, "{said}");
}

/// A script must say that it allows refusals, and that it need not be asked.
fn is_guarded(scene: &Scene, change: &[&str], preview: Option<&str>) {
    let refused = seen(scene.dev.command(&[change, &["--yes"]].concat()));
    assert!(refused.starts_with("exit 3"), "{change:?}: {refused}");
    for part in [
        "pass now, would be refused: 1 workload\n  ",
        "1 workload would be refused; nothing was changed",
        "hint: pass `--yes --allow-refusals`",
    ] {
        assert!(refused.contains(part), "{change:?}: {refused}");
    }
    let unasked = seen(scene.dev.command(change));
    assert!(unasked.starts_with("exit 3"), "{change:?}: {unasked}");
    let allowed = [change, &["--allow-refusals"]].concat();
    let unasked = seen(scene.dev.command(&allowed));
    assert!(
        unasked.starts_with("exit 2") && unasked.contains("pass `--yes` to confirm"),
        "{change:?}: {unasked}"
    );
    if let Some(flag) = preview {
        let preview = seen(scene.dev.command(&[change, &[flag]].concat()));
        assert!(
            preview.starts_with("exit 3") && preview.contains("starts_to_fail"),
            "{change:?}: {preview}"
        );
    }
}

fn a_plan_says_it(scene: &Scene) {
    let plan = seen(scene.dev.command(&["plan", "trust.toml", "-o", "table"]));
    let line = "! dev: pass now, would be refused: 1 workload\n  ";
    assert!(plan.contains(line), "{plan}");
    let plan = scene
        .dev
        .command(&["plan", "trust.toml", "-o", "json"])
        .output();
    let plan: Value = serde_json::from_slice(&plan.unwrap().stdout).unwrap();
    let refused = &plan["preview"]["starts_to_fail"][0];
    assert_eq!(refused["code"], "certificate_verification_failed");
}

#[test]
fn no_change_that_refuses_observed_traffic_goes_unseen() {
    let scene = Scene::new();
    let env = scene.dev.env.clone();
    let id = scene.dev.upload("in-use");
    let project = env["OPENAI_PROJECT_ID"].as_str();
    let first = |noun: &str| {
        let listed = scene.dev.json(&[noun, "list", "--project", project]);
        listed[0]["id"].as_str().unwrap().to_owned()
    };
    let (key, account) = (first("api-key"), first("service-account"));
    let done = scene.transcript("activate", &id, &["--wait"]);
    assert!(done.starts_with("exit 0"), "{done}");
    let certificate = scene.certificate();
    assert_eq!(scene.call(&certificate), Value::Null);
    scene.observed(&id, 1);

    let other = root("Another CA").mint();
    std::fs::write(scene.dev.directory.join("other.pem"), other.pem()).unwrap();
    let file = format!(
        "[certificates.other]\nfile = \"other.pem\"\n\n[projects.{project}]\nenforce = [\"other\"]\n"
    );
    std::fs::write(scene.dev.directory.join("trust.toml"), file).unwrap();
    let policy = "subject.common_name == \"nobody\"";
    let changes: [&[&str]; 5] = [
        &["certificate", "set-policy", &id, "--policy", policy],
        &["project", "archive", project],
        &["api-key", "delete", &key, "--project", project],
        &["service-account", "delete", &account, "--project", project],
        &["apply", "trust.toml"],
    ];
    for change in changes {
        let preview = if change[0] == "apply" {
            None
        } else {
            Some("--preview")
        };
        is_guarded(&scene, change, preview);
        assert_eq!(scene.call(&certificate), Value::Null, "{change:?}");
    }
    a_plan_says_it(&scene);

    let allowed = ["--yes", "--allow-refusals", "--wait"];
    let change = [changes[0], &allowed].concat();
    let done = seen(scene.dev.command(&change));
    assert!(done.starts_with("exit 0"), "{done}");
    assert_eq!(
        scene.call(&certificate),
        "certificate_attribute_verification_failed"
    );
    a_policy_that_goes_lets_somebody_pass(&scene, &id);
    let done = seen(scene.dev.command(&change));
    assert!(done.starts_with("exit 0"), "{done}");
    // Nobody passes any more, so nobody is refused by this.
    let change = [changes[1], &["--yes"]].concat();
    let done = seen(scene.dev.command(&change));
    assert!(done.starts_with("exit 0"), "{done}");
}

fn a_policy_that_goes_lets_somebody_pass(scene: &Scene, id: &str) {
    let none = ["certificate", "set-policy", id, "--none", "--yes", "--wait"];
    let done = seen(scene.dev.command(&none));
    assert!(
        done.starts_with("exit 0") && done.contains("refused now, would pass: 1 workload\n  "),
        "{done}"
    );
    assert_eq!(scene.call(&scene.certificate()), Value::Null);
}

#[test]
fn a_key_that_may_not_see_traffic_is_told_that_nobody_looked() {
    let scene = Scene::new();
    let made = scene.dev.json(&[
        "admin-key",
        "create",
        "--name",
        "projects-only",
        "--scopes",
        "api.management",
    ]);
    let project = scene.dev.env["OPENAI_PROJECT_ID"].as_str();
    let mut archive = scene.dev.command(&["project", "archive", project, "--yes"]);
    archive.env("OPENAI_ADMIN_KEY", made["value"].as_str().unwrap());
    let said = seen(archive);
    assert!(
        said.contains("it is unknown who would be refused"),
        "{said}"
    );
}

#[test]
fn a_key_that_may_not_read_does_not_see_traffic_in_a_preview() {
    let scene = Scene::new();
    let id = scene.dev.upload("new");
    let scopes = ["--scopes", "api.mtls.write"];
    let create = ["admin-key", "create", "--name", "writer"];
    let made = scene.dev.json(&[&create[..], &scopes].concat());
    let activate = |more: &[&str]| {
        let args = [&["certificate", "activate", &id], more].concat();
        let mut command = scene.dev.command(&args);
        command.env("OPENAI_ADMIN_KEY", made["value"].as_str().unwrap());
        seen(command)
    };
    let preview = activate(&["--preview"]);
    assert!(
        preview.starts_with("exit 1") && preview.contains("`api.mtls.read`"),
        "{preview}"
    );
    let unknown = activate(&["--yes"]);
    let why = "it is unknown who would be refused: this key may not read observed traffic";
    assert!(
        unknown.starts_with("exit 3") && unknown.contains(why),
        "{unknown}"
    );
    assert!(!scene.is_active());
    let allowed = activate(&["--yes", "--allow-refusals"]);
    assert!(allowed.starts_with("exit 0"), "{allowed}");
}

#[test]
fn a_server_without_previews_is_never_asked_to_change_anything_by_one() {
    let scene = Scene::new();
    let id = scene.dev.upload("new");
    let reference_only = |request: &str| {
        if request.contains("/countersign/") {
            Treated::NotFound
        } else {
            Treated::Passed
        }
    };
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], reference_only);
    let transcript = |args: &[&str]| {
        let mut command = scene.dev.command(args);
        command.env("OPENAI_BASE_URL", &between.base_url);
        seen(command)
    };
    for (verb, more) in [
        ("activate", "--preview"),
        ("deactivate", "--preview"),
        ("activate", "--report"),
    ] {
        let refused = transcript(&["certificate", verb, &id, more]);
        assert!(refused.starts_with("exit 1"), "{refused}");
        assert!(
            refused.contains("so nothing was sent"),
            "{}",
            steady(&refused)
        );
    }
    assert!(between.seen("activate").is_empty());
    assert!(transcript(&["certificate", "activate", &id]).starts_with("exit 0"));
    // That nothing stays enforced is seen without a preview.
    let deactivate = ["certificate", "deactivate", &id, "--yes"];
    let disarms = transcript(&deactivate);
    assert!(
        disarms.starts_with("exit 3") && disarms.contains("--allow-disarm"),
        "{disarms}"
    );
    assert_eq!(between.seen("activate").len(), 1);
    let allowed = transcript(&[&deactivate[..], &["--allow-disarm"]].concat());
    assert!(allowed.starts_with("exit 0"), "{allowed}");
    assert_eq!(between.seen("activate").len(), 2);
}

#[test]
fn what_a_leaf_says_cannot_steer_the_terminal() {
    let scene = Scene::new();
    let ca = root("CA").mint();
    let leaf = ca.leaf("evil\u{1b}[2Jname").mint();
    let directory = &scene.dev.directory;
    std::fs::write(directory.join("leaf.pem"), leaf.pem()).unwrap();
    std::fs::write(directory.join("leaf.key"), leaf.key_pem()).unwrap();
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (path("leaf.pem"), path("leaf.key"));
    let id = scene.dev.upload("new");
    assert_eq!(
        scene.call(&["--cert", &certificate, "--key", &key]),
        Value::Null
    );
    scene.observed(&id, 1);
    for more in [vec![], vec!["--preview", "-o", "table"]] {
        let printed = scene.transcript("activate", &id, &more);
        assert!(
            printed.contains("[2Jname") && !printed.contains('\u{1b}'),
            "{printed:?}"
        );
    }
}
