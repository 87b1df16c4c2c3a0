//! Denials and floors in a declared file: planned, applied, exported, pruned.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Scene;
use crate::shell::seen;

const FILE: &str = r#"
[certificates.mesh]
file = "mesh.pem"
refuse_issued_before = 2020-01-01T00:00:00Z
reported_refuse_issued_before = "2021-01-01T00:00:00Z"

[projects.dev]
enforce = ["mesh"]

[denials."stolen laptop"]
leaf = "0000000000000000000000000000000000000000000000000000000000000001"
project = "dev"
reason = "ticket 4711"

[denials."leaked key"]
spki = "0000000000000000000000000000000000000000000000000000000000000002"
until = 2100-01-01T00:00:00Z

[denials.number]
issuer = "CN=mesh"
serial = "00:0A"

[denials.worker]
san = "DNS:Worker.example.com."
report = true

[denials.mail]
san = "CUSTOM:1.3.6.1.4.1.311.20.2.3:alice@example.com"

[denials.long-over]
san = "DNS:gone.example.com"
until = "2020-01-01T00:00:00Z"
"#;

fn denials(scene: &Scene) -> Vec<Value> {
    let listed = scene.dev.json(&["denial", "list", "--order", "asc"]);
    listed.as_array().unwrap().clone()
}

/// A server that is as the file says.
fn applied() -> Scene {
    let scene = Scene::new();
    scene.cas(&["mesh"]);
    scene.write("trust.toml", FILE);
    assert_snapshot!("denials_plan", scene.plan());
    assert_snapshot!("denials_apply", scene.apply(&[]));
    let again = scene.plan();
    assert!(again.starts_with("exit 0"), "{again}");
    scene
}

#[test]
fn they_are_made_together_and_exported_as_they_are() {
    let scene = applied();
    let names: Vec<Value> = denials(&scene)
        .iter()
        .map(|each| json!([each["name"], each["match"], each["enforcement"]]))
        .collect();
    assert_snapshot!("denials_listed", format!("{names:#?}"));
    let floors = scene.dev.json(&["certificate", "list"]);
    let floors = &floors.as_array().unwrap()[0];
    assert_eq!(floors["refuse_issued_before"], 1_577_836_800);
    assert_eq!(floors["reported_refuse_issued_before"], 1_609_459_200);

    let exported = ["export", "all.toml", "--dir", "pem"];
    assert!(seen(scene.dev.command(&exported)).starts_with("exit 0"));
    let text = scene.read("all.toml");
    assert!(text.contains("[denials.\"stolen laptop\"]"), "{text}");
    let planned = seen(scene.dev.command(&["plan", "all.toml"]));
    assert!(planned.starts_with("exit 0"), "{planned}");
    assert_eq!(denials(&scene).len(), 5, "{text}");
    // Where two have one name, each is called by its id.
    let again = ["denial", "add", "--san", "DNS:b.example", "--yes"];
    scene
        .dev
        .json(&[&again[..], &["--name", "worker"]].concat());
    let exported = ["export", "all.toml", "--dir", "pem", "--force"];
    assert!(seen(scene.dev.command(&exported)).starts_with("exit 0"));
    assert_eq!(
        scene.read("all.toml").matches("name = \"worker\"").count(),
        2
    );
    let planned = seen(scene.dev.command(&["plan", "all.toml", "--prune"]));
    assert!(planned.starts_with("exit 0"), "{planned}");
}

#[test]
fn what_differs_is_replaced_and_what_is_not_named_is_kept_until_it_is_pruned() {
    let scene = applied();
    // Without the sections, those of the server stay, and floors are named.
    let (trust, _) = FILE.split_once("[denials").unwrap();
    let floorless: Vec<&str> = trust
        .lines()
        .filter(|line| !line.contains("refuse_issued_before"))
        .collect();
    scene.write("trust.toml", &floorless.join("\n"));
    assert_snapshot!("floors_left", scene.plan());
    // Others are replaced, and those that are not named are kept.
    let laptop = "[denials.\"stolen laptop\"]\nsan = \"DNS:laptop.example.com\"\n";
    scene.write("trust.toml", &format!("{trust}{laptop}"));
    assert_snapshot!("denials_changed", scene.plan());
    let done = scene.apply(&[]);
    assert!(done.starts_with("exit 0"), "{done}");
    assert_eq!(denials(&scene).len(), 5);
    // Pruned, only what is named is left; a floor is lifted by nobody who does not say so.
    let pruned = format!("{}\n{laptop}", floorless.join("\n"));
    scene.write("trust.toml", &pruned);
    let done = scene.apply(&["--prune", "--allow-refusals"]);
    assert_snapshot!("denials_prune", done);
    assert_eq!(denials(&scene).len(), 1);
    let floors = scene.dev.json(&["certificate", "list"]);
    assert_eq!(floors[0]["refuse_issued_before"], 1_577_836_800);
}

#[test]
fn drift_is_found_in_both_directions() {
    let scene = applied();
    scene
        .dev
        .json(&["denial", "remove", "stolen laptop", "--yes"]);
    let age = ["certificate", "update", "mesh", "--accept-any-age", "--yes"];
    let mesh = scene.dev.json(&["certificate", "list"]);
    let mesh = mesh[0]["id"].as_str().unwrap().to_owned();
    let age: Vec<&str> = age
        .into_iter()
        .map(|word| if word == "mesh" { &mesh } else { word })
        .collect();
    scene.dev.json(&age);
    let planned = scene.plan();
    assert!(planned.starts_with("exit 3"), "{planned}");
    assert!(
        planned.contains("to do: 1 deny, 2 floor"),
        "what was taken back is made again: {planned}"
    );
    scene.applied(&[]);
    let any_age = FILE
        .replace("refuse_issued_before = 2020-01-01T00:00:00Z\n", "")
        .replace(
            "reported_refuse_issued_before = \"2021-01-01T00:00:00Z\"",
            "accept_any_age = true",
        );
    scene.write("trust.toml", &any_age);
    scene.applied(&[]);
    let floors = scene.dev.json(&["certificate", "list"]);
    assert_eq!(floors[0].get("refuse_issued_before"), None);
}

#[test]
fn each_mistake_in_one_is_named_with_its_line() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    let mut all = String::new();
    for lines in [
        "",
        "leaf = \"01\"",
        "san = \"worker.example.com\"",
        "san = \"DNS:a\"\nleaf = \"01\"",
        "serial = \"01\"",
        "san = \"DNS:a\"\nissuer = \"CN=a\"",
        "issuer = \"CN=a\"\nserial = \"xyz\"",
        "san = \"DNS:a\"\nuntil = \"tomorrow\"",
        "san = \"DNS:a\"\nuntil = 2026-01-01",
        "san = \"DNS:a\"\nname = \"b\"",
        "san = \"DNS:a\"\nreason = \"\"",
        "san = \"DNS:a\"\nreport = \"yes\"",
        "san = \"DNS:a\"\nresaon = \"b\"",
        "san = \"DNS:a\"\nproject = \"nowhere\"",
    ] {
        scene.write("trust.toml", &format!("[denials.one]\n{lines}\n"));
        all += &format!("{lines}\n{}\n", scene.plan());
    }
    for lines in [
        "refuse_issued_before = 2100-01-01T00:00:00Z",
        "refuse_issued_before = 7",
        "refuse_issued_before = 2020-01-01T00:00:00Z\naccept_any_age = true",
    ] {
        let text = format!("[certificates.a]\nfile = \"a.pem\"\n{lines}\n");
        scene.write("trust.toml", &text);
        all += &format!("{lines}\n{}\n", scene.plan());
    }
    let many: String = (0..201)
        .map(|number| format!("[denials.d{number}]\nsan = \"DNS:d{number}\"\n"))
        .collect();
    scene.write("trust.toml", &many);
    all += &format!("201 denials\n{}\n", scene.plan());
    assert_snapshot!("denial_mistakes", all);
}
