//! A server of the reference API alone, as OpenAI's is: Countersign's, without its extensions.

use insta::assert_snapshot;

use super::{
    Scene,
    between::{Between, Treated},
};
use crate::shell::seen;

fn reference_only(request: &str) -> Treated {
    let path = request.split(['?', ' ']).nth(1).unwrap_or_default();
    if path.contains("/countersign/") || path.ends_with("/active") || path.ends_with("/policy") {
        return Treated::NotFound;
    }
    Treated::Passed
}

#[test]
fn it_is_set_with_the_operations_that_it_has() {
    let scene = Scene::new();
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], reference_only);
    let run = |verb: &str, more: &[&str]| {
        let mut command = scene.command(verb, more);
        command.env("OPENAI_BASE_URL", &between.base_url);
        seen(command)
    };
    scene.cas(&["old"]);
    let old = scene.upload("old");
    scene.dev.json(&["certificate", "activate", &old]);
    let mut text = String::new();
    let mut keys = Vec::new();
    for number in 0..12 {
        let name = format!("ca-{number}");
        scene.cas(&[&name]);
        text += &format!("[certificates.{name}]\nfile = \"{name}.pem\"\n");
        keys.push(format!("\"{name}\""));
    }
    text += &format!("[organization]\nenforce = [{}]\n", keys.join(", "));
    scene.write("trust.toml", &text);
    let printed = run("apply", &["--yes", "-o", "table"]);
    assert!(printed.starts_with("exit 0"), "{printed}");
    assert!(
        printed.contains(
            "set the active certificates at organization in 3 calls: this server cannot do it in one step"
        ),
        "{printed}"
    );
    let toggles = between.seen("activate");
    assert_eq!(
        toggles,
        [
            "POST /v1/organization/certificates/activate",
            "POST /v1/organization/certificates/activate",
            "POST /v1/organization/certificates/deactivate",
        ],
        "what comes, in groups of ten, then what goes"
    );
    assert!(between.seen("/active").is_empty());
    assert_eq!(scene.active(None).len(), 12);
    assert!(run("plan", &[]).starts_with("exit 0"));
    assert!(run("export", &["--force"]).starts_with("exit 0"));
    assert!(run("plan", &[]).starts_with("exit 0"));
}

#[test]
fn what_it_cannot_have_is_refused_before_anything_is_done() {
    let scene = Scene::new();
    let between = Between::start(&scene.dev.env["OPENAI_BASE_URL"], reference_only);
    scene.cas(&["a"]);
    let a = "[certificates.a]\nfile = \"a.pem\"\n";
    for (name, text) in [
        ("policy", format!("{a}policy = \"true\"\n")),
        ("report", format!("{a}[organization]\nreport = [\"a\"]\n")),
    ] {
        scene.write("trust.toml", &text);
        let mut command = scene.command("apply", &["--yes"]);
        command.env("OPENAI_BASE_URL", &between.base_url);
        assert_snapshot!(format!("other_server_{name}"), seen(command));
    }
    assert!(between.seen("POST").is_empty());
}
