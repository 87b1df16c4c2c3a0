//! Assertions in a declared file: planned, applied, exported, and what they refuse.

use countersign_testca::root;
use insta::assert_snapshot;

use super::Scene;
use crate::shell::seen;

const FILE: &str = r#"
[certificates.mesh]
file = "mesh.pem"

[projects.dev]
enforce = ["mesh"]

[assertions."batch job"]
project = "dev"
chain = "client.pem"
expect = "permit"
reason = "payments stop without it"

[assertions.outsiders]
project = "dev"
no_certificate = true
expect = "deny"
code = "certificate_required"
"#;

/// A server that is as the file says.
fn applied() -> Scene {
    let scene = Scene::new();
    let mesh = root("mesh").mint();
    scene.write("mesh.pem", &mesh.pem());
    scene.write("client.pem", &mesh.leaf("billing").mint().pem());
    scene.cas(&["next"]);
    scene.write("trust.toml", FILE);
    assert_snapshot!("assertions_plan", scene.plan());
    assert_snapshot!(
        "assertions_apply",
        seen(scene.command("apply", &["--yes", "-o", "table"]))
    );
    let again = scene.plan();
    assert!(again.starts_with("exit 0"), "{again}");
    scene
}

#[test]
fn they_come_after_the_trust_that_fulfils_them_and_are_known_by_their_names() {
    let scene = applied();
    let run = scene.dev.json(&["assertion", "run"]);
    assert_eq!(
        (&run["holds"], run["results"].as_array().unwrap().len()),
        (&true.into(), 2)
    );
    let other = FILE
        .replace("payments stop without it", "ask the payments team")
        .replace("code = \"certificate_required\"\n", "");
    scene.write("trust.toml", &other);
    assert_snapshot!("assertions_changed", scene.plan());
    let done = seen(scene.command("apply", &["--yes"]));
    assert!(done.starts_with("exit 0"), "{done}");
    // Without the section those of the server stay; with it, only on demand those that it lacks.
    let sections: Vec<&str> = FILE.split("[assertions").collect();
    scene.write("trust.toml", sections[0]);
    assert!(scene.plan().starts_with("exit 0"));
    scene.write("trust.toml", &format!("{}[assertions]\n", sections[0]));
    assert_snapshot!("assertions_left", scene.plan());
    let pruned = seen(scene.command("apply", &["--yes", "--prune"]));
    assert!(pruned.starts_with("exit 0"), "{pruned}");
    assert_eq!(
        scene.dev.json(&["assertion", "list"]),
        serde_json::json!([])
    );
}

#[test]
fn a_plan_names_what_would_break_and_applying_it_is_refused() {
    let scene = applied();
    let next = FILE.replace("file = \"mesh.pem\"", "file = \"next.pem\"");
    scene.write("trust.toml", &next);
    assert_snapshot!("assertions_break", scene.plan());
    let refused = seen(scene.command("apply", &["--yes", "--allow-refusals", "-o", "json"]));
    assert!(refused.starts_with("exit 3"), "{refused}");
    assert_eq!(scene.dev.json(&["assertion", "run"])["holds"], true);
    // One that goes with the same file does not hinder it.
    let (trust, rest) = next.split_once("[assertions.\"batch job\"]").unwrap();
    let outsiders = rest.split_once("[assertions.outsiders]").unwrap().1;
    let without = format!("{trust}[assertions.outsiders]{outsiders}");
    scene.write("trust.toml", &without);
    let kept = seen(scene.command("apply", &["--yes"]));
    assert!(kept.starts_with("exit 3"), "{kept}");
    let pruned = seen(scene.command("apply", &["--yes", "--prune"]));
    assert!(pruned.starts_with("exit 0"), "{pruned}");
    // What it breaks is broken when that is said.
    scene.write(
        "trust.toml",
        &without.replace("enforce = [\"mesh\"]", "enforce = []"),
    );
    let allowed = ["--yes", "--allow-disarm", "--allow-broken-assertions"];
    let made = seen(scene.command("apply", &allowed));
    assert!(made.starts_with("exit 0"), "{made}");
    assert_snapshot!("assertions_broken", scene.plan());
}

#[test]
fn they_are_exported_with_their_chains() {
    let scene = applied();
    let exported = ["export", "all.toml", "--dir", "pem"];
    assert!(seen(scene.dev.command(&exported)).starts_with("exit 0"));
    let text = scene.read("all.toml");
    assert!(text.contains("[assertions.\"batch job\"]"), "{text}");
    let planned = seen(scene.dev.command(&["plan", "all.toml"]));
    assert!(planned.starts_with("exit 0"), "{planned}");
}

#[test]
fn each_mistake_in_one_is_named_with_its_line() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    let mut all = String::new();
    for lines in [
        "expect = \"permit\"",
        "chain = \"a.pem\"",
        "chain = \"a.pem\"\nexpect = \"allow\"",
        "chain = \"a.pem\"\nno_certificate = true\nexpect = \"permit\"",
        "no_certificate = false\nexpect = \"deny\"",
        "chain_pem = \"nothing\"\nexpect = \"deny\"",
        "chain = \"a.pem\"\nexpect = \"permit\"\ncode = \"certificate_required\"",
        "chain = \"a.pem\"\nexpect = \"deny\"\ncode = \"expired\"",
        "chain = \"a.pem\"\nexpect = \"deny\"\nprojet = \"dev\"",
        "chain = \"a.pem\"\nexpect = \"deny\"\nproject = \"nowhere\"",
    ] {
        scene.write("trust.toml", &format!("[assertions.one]\n{lines}\n"));
        all += &format!("{lines}\n{}\n", scene.plan());
    }
    assert_snapshot!("assertion_mistakes", all);
}
