//! The same certificate more than once on the server.

use serde_json::Value;

use super::Scene;
use crate::shell::seen;

fn active(scene: &Scene, id: &str) -> bool {
    let listed = scene.dev.json(&["certificate", "list"]);
    let mut all = listed.as_array().unwrap().iter();
    all.any(|each| each["id"] == id && each["active"] == true)
}

/// Uploads `a.pem` again.
fn again(scene: &Scene, name: &str) -> String {
    let upload = ["certificate", "upload", "a.pem", "--name", name];
    let made: Value = scene
        .dev
        .json(&[&upload[..], &["--allow-duplicate"]].concat());
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_copy_that_is_active_is_the_one_that_a_file_means() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    let first = scene.upload("a");
    let second = again(&scene, "copy");
    scene.dev.json(&["certificate", "activate", &second]);
    scene.write(
        "trust.toml",
        "[certificates.a]\nfile = \"a.pem\"\n[organization]\nenforce = [\"a\"]\n",
    );
    let planned = scene.plan();
    assert!(planned.starts_with("exit 0"), "{planned}");
    // Both: one stays, and then there is nothing to do any more.
    scene.dev.json(&["certificate", "activate", &first]);
    let planned = scene.plan();
    assert!(planned.starts_with("exit 3"), "{planned}");
    let applied = seen(scene.command("apply", &["--yes"]));
    assert!(applied.starts_with("exit 0"), "{applied}");
    assert!(active(&scene, &first) != active(&scene, &second));
    let planned = scene.plan();
    assert!(planned.starts_with("exit 0"), "{planned}");
    // Pruned, one is left.
    let applied = seen(scene.command("apply", &["--yes", "--prune"]));
    assert!(applied.starts_with("exit 0"), "{applied}");
    let listed = scene.dev.json(&["certificate", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn an_export_has_it_once_and_plans_to_nothing() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    let first = scene.upload("a");
    let second = again(&scene, "copy");
    let project = scene.project();
    scene
        .dev
        .json(&["certificate", "activate", &second, "--project", &project]);
    let exported = seen(scene.command("export", &[]));
    assert!(exported.contains("are the same certificate"), "{exported}");
    assert!(exported.starts_with("exit 0"), "{exported}");
    let planned = scene.plan();
    assert!(planned.starts_with("exit 0"), "{planned}");
    // Two policies in force for one certificate are more than a file can say.
    scene
        .dev
        .json(&["certificate", "set-policy", &first, "--policy", "true"]);
    scene.dev.json(&["certificate", "activate", &first]);
    let refused = seen(scene.command("export", &["--force"]));
    assert!(refused.contains("with different policies"), "{refused}");
}
