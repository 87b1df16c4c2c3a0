//! Two at once, and one that breaks off.

use super::{
    Scene,
    between::{Between, hold},
};
use crate::shell::transcript;

const FILE: &str = "[certificates.a]\nfile = \"a.pem\"\nname = \"a\"\n\
    [certificates.b]\nfile = \"b.pem\"\nname = \"b\"\n\
    [organization]\nenforce = [\"a\"]\n[projects.dev]\nenforce = [\"b\"]\n";

fn apply_through(scene: &Scene, between: &Between) -> std::process::Command {
    let mut command = scene.command("apply", &["--yes", "-o", "table"]);
    command.env("OPENAI_BASE_URL", &between.base_url);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

#[test]
fn a_plan_of_yesterday_overwrites_nothing() {
    let scene = Scene::new();
    scene.cas(&["a", "b", "theirs"]);
    scene.write("trust.toml", FILE);
    let theirs = scene.upload("theirs");
    let (treat, has_come, go) = hold("/organization/changes", 1);
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], treat);
    let child = apply_through(&scene, &between).spawn().unwrap();
    has_come.recv().unwrap();
    scene.dev.json(&["certificate", "activate", &theirs]);
    go.send(()).unwrap();
    let ended = transcript(&child.wait_with_output().unwrap());
    assert!(ended.starts_with("exit 1"), "{ended}");
    insta::assert_snapshot!("changed_meanwhile", ended);
    assert_eq!(scene.active(None), ["theirs"]);
    scene.applied(&[]);
    assert_eq!(scene.active(None), ["a"]);
}

#[test]
fn of_two_uploads_of_one_certificate_the_later_is_taken_back() {
    let scene = Scene::new();
    scene.cas(&["a", "b"]);
    scene.write("trust.toml", FILE);
    let (treat, has_come, go) = hold("POST /v1/organization/certificates", 1);
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], treat);
    let child = apply_through(&scene, &between).spawn().unwrap();
    has_come.recv().unwrap();
    scene.applied(&[]);
    go.send(()).unwrap();
    let ended = transcript(&child.wait_with_output().unwrap());
    assert!(
        ended.starts_with("exit 1") && ended.contains("somebody else uploaded `a` (as"),
        "{ended}"
    );
    let list = scene.dev.json(&["certificate", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    scene.applied(&[]);
}

#[test]
fn killed_after_its_uploads_it_is_healed_by_applying_again() {
    let scene = Scene::new();
    scene.cas(&["a", "b"]);
    scene.write("trust.toml", FILE);
    let (treat, has_come, _go) = hold("/organization/changes", 1);
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], treat);
    let mut child = apply_through(&scene, &between).spawn().unwrap();
    has_come.recv().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let project = scene.project();
    // All scopes change together, or none of them.
    assert!(scene.active(None).is_empty());
    assert!(scene.active(Some(&project)).is_empty());
    assert!(scene.plan().starts_with("exit 3"));
    scene.applied(&[]);
    assert_eq!(scene.active(None), ["a"]);
    assert_eq!(scene.active(Some(&project)), ["b"]);
}
