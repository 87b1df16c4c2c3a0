//! `export`: a file that says what is, so that a plan of it is empty.

use insta::assert_snapshot;

use super::Scene;
use crate::shell::seen;

#[test]
fn what_is_exported_plans_to_nothing() {
    let scene = Scene::new();
    scene.cas(&["Mesh CA", "next", "idle"]);
    let (mesh, next) = (scene.upload("Mesh CA"), scene.upload("next"));
    scene.dev.json(&[
        "certificate",
        "upload",
        "idle.pem",
        "--name",
        "../../Mesh \"CA\"",
    ]);
    scene.dev.json(&[
        "certificate",
        "upload",
        &scene.dev.env["COUNTERSIGN_CLIENT_CA"],
    ]);
    let policy = "subject.organization == \"A\\\\\" || 'x' == \"\"";
    scene
        .dev
        .json(&["certificate", "set-policy", &next, "--policy", policy]);
    scene.dev.json(&["certificate", "activate", &mesh]);
    scene
        .dev
        .json(&["certificate", "activate", &next, "--report"]);
    let project = scene.project();
    scene
        .dev
        .json(&["certificate", "activate", &next, "--project", &project]);

    assert_snapshot!("export", seen(scene.command("export", &[])));
    assert_snapshot!("exported", crate::shell::steady(&scene.read("trust.toml")));
    let printed = scene.plan();
    assert!(printed.starts_with("exit 0"), "{printed}");
    assert_eq!(
        scene.read("mesh-ca.pem"),
        scene.read("Mesh CA.pem"),
        "byte for byte"
    );

    // Again it is the same; what is otherwise is not written over.
    assert!(seen(scene.command("export", &[])).starts_with("exit 0"));
    scene.write("next.pem", "mine");
    assert_snapshot!("export_there", seen(scene.command("export", &[])));
    assert_eq!(scene.read("next.pem"), "mine");
    assert!(seen(scene.command("export", &["--force"])).starts_with("exit 0"));

    let elsewhere = ["export", "other/all.toml", "--dir", "anchors"];
    std::fs::create_dir(scene.dev.directory.join("other")).unwrap();
    let ran = scene.dev.command(&elsewhere).output().unwrap();
    assert!(ran.status.success());
    assert_eq!(scene.read("other/anchors/next.pem"), scene.read("next.pem"));
    let planned = seen(scene.dev.command(&["plan", "other/all.toml"]));
    assert!(planned.starts_with("exit 0"), "{planned}");
}

#[test]
fn what_a_file_cannot_say_is_said_when_it_is_written() {
    let scene = Scene::new();
    scene.cas(&["Mesh CA"]);
    let mesh = scene.upload("Mesh CA");
    let says = |expected: bool| {
        let printed = seen(scene.command("export", &["--force"]));
        assert!(printed.starts_with("exit 0"), "{printed}");
        assert_eq!(
            printed.contains("denials and floors"),
            expected,
            "{printed}"
        );
    };
    says(false);
    let update = |floor: &[&str]| {
        let update = ["certificate", "update", &mesh, "--yes"];
        scene.dev.json(&[&update, floor].concat());
    };
    update(&["--refuse-issued-before", "2026-01-01T00:00:00Z"]);
    says(true);
    update(&["--accept-any-age"]);
    says(false);
    let name = ["--san", "DNS:stolen.example.com", "--name", "stolen laptop"];
    let denial = [&["denial", "add", "--yes"][..], &name].concat();
    scene.dev.json(&denial);
    says(true);
}

#[test]
fn an_empty_organization() {
    let scene = Scene::new();
    assert!(seen(scene.command("export", &[])).starts_with("exit 0"));
    assert_eq!(scene.read("trust.toml"), "[organization]\nenforce = []\n");
    assert!(scene.plan().starts_with("exit 0"));
}
