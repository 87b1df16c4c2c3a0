//! What a plan says, and what applying it does.

use insta::assert_snapshot;

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
    // Opened for the project alone: so it leaves the organization before its policy goes, and
    // reaches the project after.
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
            "certificates.deactivated",
            "certificate.updated",
            "certificates.activated",
        ]
    );
    // The two change places, and both policies change: no order is right.
    scene.write(
        "trust.toml",
        &file
            .replace("policy = \"true\"\n", "")
            .replace("\"strict.pem\"\n", "\"strict.pem\"\npolicy = \"false\"\n")
            .replace("enforce = [\"loose\"]", "enforce = [\"x\"]")
            .replace("enforce = [\"strict\"]", "enforce = [\"loose\"]")
            .replace("enforce = [\"x\"]", "enforce = [\"strict\"]"),
    );
    assert_snapshot!("entangled", scene.plan());
    assert_eq!(
        scene.dev.json(&["certificate", "retrieve", &loose])["cel_policy"],
        "true"
    );
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
