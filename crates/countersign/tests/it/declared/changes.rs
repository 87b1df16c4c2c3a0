//! What a plan says, and what applying it does.

use countersign_testca::root;
use insta::assert_snapshot;
use serde_json::Value;

use super::Scene;
use crate::shell::seen;

const FILE: &str = r#"
[certificates.mesh]
file = "mesh.pem"
name = "Mesh"

[certificates.next]
file = "next.pem"
policy = 'subject.organization == "Acme"'

[certificates.old]
file = "old.pem"
name = "Renamed"

[organization]
enforce = ["mesh"]
report = ["next"]

[projects.dev]
enforce = ["mesh", "next"]
"#;

#[test]
fn every_kind_of_change_is_shown_made_and_then_no_more() {
    let scene = Scene::new();
    scene.cas(&["mesh", "next", "old", "unlisted"]);
    let (next, old, unlisted) = (
        scene.upload("next"),
        scene.upload("old"),
        scene.upload("unlisted"),
    );
    scene
        .dev
        .json(&["certificate", "activate", &old, &unlisted]);
    scene.dev.json(&[
        "certificate",
        "activate",
        &next,
        "--report",
        "--project",
        &scene.project(),
    ]);
    scene.write("trust.toml", FILE);

    assert_snapshot!("plan_table", scene.plan());
    assert_snapshot!("plan_json", seen(scene.command("plan", &[])));
    let before = scene.dev.json(&["audit-log", "list"]);
    assert_snapshot!(
        "apply_unasked",
        seen(scene.command("apply", &["-o", "table"]))
    );
    assert_eq!(
        scene.dev.json(&["audit-log", "list"]),
        before,
        "a plan changes nothing"
    );

    assert_snapshot!("apply", scene.apply(&[]));
    assert_eq!(scene.active(None), ["next report", "Mesh"]);
    assert_eq!(scene.active(Some(&scene.project())), ["next", "Mesh"]);
    let set = scene.dev.json(&["certificate", "retrieve", &next]);
    assert_eq!(set["cel_policy"], "subject.organization == \"Acme\"");
    assert_snapshot!("plan_done", scene.plan());
    let before = scene.dev.json(&["audit-log", "list"]);
    scene.applied(&[]);
    assert_eq!(
        scene.dev.json(&["audit-log", "list"]),
        before,
        "again, nothing is done"
    );
}

#[test]
fn what_the_file_does_not_name_is_left_alone_unless_it_is_pruned() {
    let scene = Scene::new();
    scene.cas(&["mesh", "unlisted"]);
    let unlisted = scene.upload("unlisted");
    let project = scene.project();
    scene
        .dev
        .json(&["certificate", "activate", &unlisted, "--project", &project]);
    let file = "[certificates.mesh]\nfile = \"mesh.pem\"\nname = \"mesh\"\n[organization]\nenforce = [\"mesh\"]\n";
    scene.write("trust.toml", file);
    scene.applied(&[]);
    assert_eq!(scene.active(Some(&project)), ["unlisted"]);

    assert_snapshot!("prune_elsewhere", scene.apply(&["--prune"]));
    scene.write(
        "trust.toml",
        &format!("{file}[projects.dev]\nenforce = [\"mesh\"]\n"),
    );
    assert_snapshot!("prune", scene.apply(&["--prune"]));
    let list = scene.dev.json(&["certificate", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[test]
fn a_scope_is_not_disarmed_by_mistake() {
    let scene = Scene::new();
    scene.cas(&["mesh"]);
    let mesh = scene.upload("mesh");
    let project = scene.project();
    let certificates = "[certificates.mesh]\nfile = \"mesh.pem\"\n";
    for (scopes, place) in [
        ("[organization]\nenforce = []\n", None),
        ("[organization]\nreport = [\"mesh\"]\n", None),
        ("[projects.dev]\nenforce = []\n", Some(project.as_str())),
        (
            "[projects.dev]\nreport = [\"mesh\"]\n",
            Some(project.as_str()),
        ),
    ] {
        let at = place.map_or_else(Vec::new, |id| vec!["--project", id]);
        scene
            .dev
            .json(&[&["certificate", "activate", &mesh], at.as_slice()].concat());
        scene.write("trust.toml", &format!("{certificates}{scopes}"));
        let printed = scene.apply(&[]);
        assert!(
            printed.starts_with("exit 3") && printed.contains("--allow-disarm"),
            "{printed}"
        );
        assert_eq!(scene.active(place), ["mesh"], "{scopes}");
        scene.applied(&["--allow-disarm"]);
        assert_ne!(scene.active(place), ["mesh"], "{scopes}");
    }
    // Where nothing is enforced, nothing can be disarmed.
    scene
        .dev
        .json(&["certificate", "activate", &mesh, "--report"]);
    scene.write(
        "trust.toml",
        &format!("{certificates}[organization]\nenforce = []\n"),
    );
    scene.applied(&[]);
}

#[test]
fn a_policy_is_never_where_the_file_does_not_have_it() {
    let scene = Scene::new();
    scene.cas(&["strict", "loose"]);
    let (strict, loose) = (scene.upload("strict"), scene.upload("loose"));
    scene
        .dev
        .json(&["certificate", "set-policy", &strict, "--policy", "false"]);
    scene.dev.json(&["certificate", "activate", &strict]);
    // Opened for the project alone, in one step: nobody is judged by it without a policy at the
    // organization.
    let file = "[certificates.strict]\nfile = \"strict.pem\"\n\
        [certificates.loose]\nfile = \"loose.pem\"\npolicy = \"true\"\n\
        [organization]\nenforce = [\"loose\"]\n[projects.dev]\nenforce = [\"strict\"]\n";
    scene.write("trust.toml", file);
    scene.applied(&[]);
    let log = scene
        .dev
        .json(&["audit-log", "list", "--resource", &strict]);
    let types: Vec<&str> = log
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "certificate.created",
            "certificate.updated",
            "certificates.activated",
            "certificate.updated",
            "certificates.deactivated",
            "certificates.activated",
        ]
    );
    // The two change places, and both policies change: no order is right, and there is none.
    scene.write(
        "trust.toml",
        &file
            .replace("policy = \"true\"\n", "")
            .replace("\"strict.pem\"\n", "\"strict.pem\"\npolicy = \"false\"\n")
            .replace("enforce = [\"loose\"]", "enforce = [\"x\"]")
            .replace("enforce = [\"strict\"]", "enforce = [\"loose\"]")
            .replace("enforce = [\"x\"]", "enforce = [\"strict\"]"),
    );
    scene.applied(&[]);
    assert_eq!(scene.active(None), ["strict"]);
    assert_eq!(scene.active(Some(&scene.project())), ["loose"]);
    let policy = |id: &str| scene.dev.json(&["certificate", "retrieve", id])["cel_policy"].clone();
    assert_eq!(policy(&strict), "false");
    assert_eq!(policy(&loose), Value::Null);
}

/// What a step on the way would break holds again at the end: the whole change is judged.
#[test]
fn a_plan_is_judged_as_a_whole() {
    let scene = Scene::new();
    let [old, new] = ["old", "new"].map(|name| root(name).mint());
    for (name, ca) in [("old", &old), ("new", &new)] {
        scene.write(&format!("{name}.pem"), &ca.pem());
        scene.upload(name);
    }
    scene.write("client.pem", &new.leaf("billing").mint().pem());
    let refused = ["certificate", "set-policy", "new", "--policy", "false"];
    scene.dev.json(&refused);
    scene.dev.json(&["certificate", "activate", "old", "new"]);
    let add = [
        "assertion",
        "add",
        "--project",
        "dev",
        "--chain",
        "client.pem",
    ];
    scene.dev.json(&[&add[..], &["--expect", "deny"]].concat());
    // Opened for everybody, and enforced nowhere where the assertion looks.
    scene.write(
        "trust.toml",
        "[certificates.old]\nfile = \"old.pem\"\n[certificates.new]\nfile = \"new.pem\"\n\
         [organization]\nenforce = [\"old\"]\n",
    );
    scene.applied(&[]);
    let revisions = scene.dev.json(&["audit-log", "list", "--limit", "2"]);
    let types: Vec<_> = revisions
        .as_array()
        .unwrap()
        .iter()
        .map(|each| &each["type"])
        .collect();
    assert_eq!(types, ["certificates.deactivated", "certificate.updated"]);
}

#[test]
fn a_policy_that_is_only_reported_is_declared_too() {
    let scene = Scene::new();
    scene.cas(&["mesh"]);
    let file = |more: &str| {
        let text = format!(
            "[certificates.mesh]\nfile = \"mesh.pem\"\nname = \"mesh\"\n{more}\
             [organization]\nenforce = [\"mesh\"]\n"
        );
        scene.write("trust.toml", &text);
    };
    let policies = || {
        let found = scene.dev.json(&["certificate", "retrieve", "mesh"]);
        [
            found["cel_policy"].clone(),
            found["reported_policy"].clone(),
        ]
    };
    file("reported_policy = 'true'\n");
    scene.applied(&[]);
    assert_eq!(policies(), [Value::Null, Value::from("true")]);
    // One that is enforced takes its place, unless it is declared beside it.
    file("policy = 'true'\nreported_policy = 'subject.common_name == \"a\"'\n");
    assert_snapshot!("plan_reported", scene.plan());
    scene.applied(&[]);
    assert_eq!(
        policies(),
        ["true", "subject.common_name == \"a\""].map(Value::from)
    );
    let exported = seen(scene.dev.command(&["export", "exported.toml"]));
    assert!(exported.starts_with("exit 0"), "{exported}");
    let written = scene.read("exported.toml");
    assert!(written.contains("reported_policy = "), "{written}");
    file("");
    scene.applied(&[]);
    assert_eq!(policies(), [Value::Null, Value::Null]);
}

#[test]
fn drift_is_seen() {
    let scene = Scene::new();
    scene.cas(&["mesh"]);
    scene.write(
        "trust.toml",
        "[certificates.mesh]\nfile = \"mesh.pem\"\nname = \"mesh\"\n[organization]\nenforce = [\"mesh\"]\n",
    );
    scene.applied(&[]);
    let mesh = scene.dev.json(&["certificate", "list"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for drift in [
        vec![
            "certificate",
            "deactivate",
            &mesh,
            "--yes",
            "--allow-disarm",
        ],
        vec![
            "certificate",
            "activate",
            &mesh,
            "--report",
            "--yes",
            "--allow-disarm",
        ],
        vec!["certificate", "set-policy", &mesh, "--policy", "true"],
        vec!["certificate", "update", &mesh, "--name", "other"],
    ] {
        scene.dev.json(&drift);
        let printed = scene.plan();
        assert!(printed.starts_with("exit 3"), "{drift:?}: {printed}");
        scene.applied(&[]);
    }
}

#[test]
fn on_a_terminal_it_asks_and_looks_again_before_it_acts() {
    let scene = Scene::new();
    scene.cas(&["mesh"]);
    scene.write("trust.toml", "[certificates.mesh]\nfile = \"mesh.pem\"\n");
    let line = format!("{} apply trust.toml", env!("CARGO_BIN_EXE_countersign"));
    let at_terminal = |answer: &str| {
        let mut script = std::process::Command::new("script");
        script
            .envs(&scene.dev.env)
            .args(["-qec", &line, "/dev/null"]);
        script.current_dir(&scene.dev.directory);
        script
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = script.spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
        let ran = child.wait_with_output().unwrap();
        (
            ran.status.code(),
            String::from_utf8_lossy(&ran.stdout).into_owned(),
        )
    };
    let (code, printed) = at_terminal("n\n");
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("nothing was changed"), "{printed}");
    assert_eq!(
        scene.dev.json(&["certificate", "list"]),
        serde_json::json!([])
    );
    let (code, printed) = at_terminal("y\n");
    assert_eq!(code, Some(0), "{printed}");
    assert!(scene.plan().starts_with("exit 0"));
}
