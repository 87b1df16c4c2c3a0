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
fn an_empty_organization() {
    let scene = Scene::new();
    assert!(seen(scene.command("export", &[])).starts_with("exit 0"));
    assert_eq!(scene.read("trust.toml"), "[organization]\nenforce = []\n");
    assert!(scene.plan().starts_with("exit 0"));
}
