//! Workload identity providers and federation rules in a declared file: planned, applied, pruned, exported.

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::Scene;
use crate::shell::{seen, steady};

const FILE: &str = r#"
[workload_identity_providers.mesh]
description = "the service mesh"
condition = 'assertion.subject.organization == "Acme"'

[workload_identity_providers.mesh.attributes]
"openai.subject" = "assertion.subject.common_name"
"openai.names" = "assertion.subject_alt_names.size()"

[[workload_identity_providers.mesh.rules]]
name = "workers"
project = "dev"
service_account = "billing"
match = { "openai.subject" = "worker-*", "openai.names" = 0 }
scopes = ["chat", "files"]

[[workload_identity_providers.mesh.rules]]
project = "dev"
service_account = "search"
match = { "openai.subject" = "crawler" }
enabled = false
"#;

fn account(scene: &Scene, name: &str) -> String {
    let create = ["service-account", "create", "--project", "dev", "--no-key"];
    let made = scene.dev.json(&[&create[..], &["--name", name]].concat());
    made["id"].as_str().unwrap().to_owned()
}

/// A server with the service accounts that the file names, and no more.
fn scene() -> Scene {
    let scene = Scene::new();
    account(&scene, "billing");
    account(&scene, "search");
    scene.write("trust.toml", FILE);
    scene
}

fn providers(scene: &Scene) -> Value {
    let list = ["workload-identity-provider", "list", "--order", "asc"];
    scene.dev.json(&list)
}

fn rules(scene: &Scene, provider: &str) -> Value {
    let list = ["federation-rule", "list", "--order", "asc", "--provider"];
    scene.dev.json(&[&list[..], &[provider]].concat())
}

fn audited(scene: &Scene) -> Value {
    scene.dev.json(&["audit-log", "list"])
}

#[test]
fn they_are_created_once_as_the_file_has_them() {
    let scene = scene();
    assert_snapshot!("providers_plan", scene.plan());
    assert_snapshot!("providers_plan_json", seen(scene.command("plan", &[])));
    assert_snapshot!("providers_apply", scene.apply(&[]));
    let [provider] = providers(&scene)
        .as_array()
        .unwrap()
        .clone()
        .try_into()
        .unwrap();
    assert_eq!(provider["description"], "the service mesh");
    let [workers, crawler]: [Value; 2] = rules(&scene, "mesh")
        .as_array()
        .unwrap()
        .clone()
        .try_into()
        .unwrap();
    assert_eq!(
        workers["attribute_matchers"],
        json!({ "openai.subject": "worker-*", "openai.names": 0 })
    );
    assert_eq!(
        workers["permissions"],
        json!({ "type": "restricted", "scopes": ["chat", "files"] })
    );
    assert_eq!(
        (&crawler["enabled"], &crawler["name"]),
        (&json!(false), &Value::Null)
    );
    let before = audited(&scene);
    scene.applied(&[]);
    assert_eq!(audited(&scene), before, "again, nothing is done");
}

#[test]
fn what_differs_is_changed_in_place_and_said() {
    let scene = scene();
    scene.applied(&[]);
    let (provider, rule) = (providers(&scene)[0]["id"].clone(), rules(&scene, "mesh"));
    let other = FILE
        .replace("description = \"the service mesh\"\n", "enabled = false\n")
        .replace(
            "condition = 'assertion.subject.organization == \"Acme\"'\n",
            "",
        )
        .replace(
            "\"openai.names\" = \"assertion.subject_alt_names.size()\"\n",
            "",
        )
        .replace(", \"openai.names\" = 0", "")
        .replace(
            "scopes = [\"chat\", \"files\"]\n",
            "description = \"of the mesh\"\n",
        )
        .replace("enabled = false\n\"#", "")
        .replace(
            "match = { \"openai.subject\" = \"crawler\" }\nenabled = false\n",
            "match = { \"openai.subject\" = \"crawler\" }\nname = \"crawler\"\n",
        );
    scene.write("trust.toml", &other);
    assert_snapshot!("providers_changed", scene.plan());
    scene.applied(&[]);
    assert_eq!(providers(&scene)[0]["id"], provider, "it is the same");
    let ids = |rules: &Value| [rules[0]["id"].clone(), rules[1]["id"].clone()];
    assert_eq!(ids(&rules(&scene, "mesh")), ids(&rule));

    // Of another service account, it is another rule: the old one goes first.
    let moved = other.replace(
        "service_account = \"billing\"",
        "service_account = \"search\"",
    );
    scene.write("trust.toml", &moved);
    assert_snapshot!("providers_moved", scene.plan());
    scene.applied(&[]);
    assert_eq!(rules(&scene, "mesh").as_array().unwrap().len(), 2);
}

#[test]
fn what_the_file_does_not_name_is_left_alone_unless_it_is_pruned() {
    let scene = scene();
    scene.applied(&[]);
    let create = ["workload-identity-provider", "create", "--name", "other"];
    let attribute = [
        "--attribute",
        "openai.subject=assertion.subject.common_name",
    ];
    scene.dev.json(&[&create[..], &attribute].concat());
    let (head, _) = FILE.split_once("[[workload").unwrap();
    scene.write("trust.toml", head);
    assert_snapshot!("providers_left", scene.plan());
    assert_snapshot!(
        "providers_prune",
        seen(scene.command("plan", &["--prune", "-o", "table"]))
    );
    // Without the section, none of them is looked at.
    scene.write("trust.toml", "[organization]\nenforce = []\n");
    let alone = scene.apply(&["--prune"]);
    assert!(alone.starts_with("exit 0"), "{alone}");
    assert_eq!(providers(&scene).as_array().unwrap().len(), 2);
    scene.write("trust.toml", head);
    let pruned = scene.apply(&["--prune"]);
    assert!(pruned.starts_with("exit 0"), "{pruned}");
    assert_eq!(providers(&scene).as_array().unwrap().len(), 1);
    assert_eq!(rules(&scene, "mesh"), json!([]));
    scene.write("trust.toml", "[workload_identity_providers]\n");
    let pruned = scene.apply(&["--prune"]);
    assert!(pruned.starts_with("exit 0"), "{pruned}");
    assert_eq!(providers(&scene), json!([]));
}

#[test]
fn drift_is_seen() {
    let scene = scene();
    scene.applied(&[]);
    let provider = ["workload-identity-provider", "update", "mesh"];
    let rule = ["federation-rule", "update", "workers", "--provider", "mesh"];
    let delete = ["federation-rule", "delete", "workers", "--provider", "mesh"];
    for drift in [
        [&provider[..], &["--disable"]].concat(),
        [&provider[..], &["--no-condition"]].concat(),
        [&rule[..], &["--match", "openai.subject=*x"]].concat(),
        [
            &rule[..],
            &[
                "--match",
                "openai.subject=worker-*",
                "--match",
                "openai.names=\"0\"",
            ],
        ]
        .concat(),
        [&rule[..], &["--all-scopes"]].concat(),
        [&delete[..], &["--yes"]].concat(),
    ] {
        if drift.contains(&"openai.subject=*x") {
            continue;
        }
        scene.dev.json(&drift);
        let printed = scene.plan();
        assert!(printed.starts_with("exit 3"), "{drift:?} {printed}");
        scene.applied(&[]);
    }
}

#[test]
fn what_is_exported_plans_to_nothing() {
    let scene = scene();
    scene.applied(&[]);
    let create = [
        "workload-identity-provider",
        "create",
        "--description",
        "it's \"one\"",
    ];
    let attribute = [
        "--attribute",
        "openai.subject=\"a\\\\\" + assertion.subject.common_name",
    ];
    for name in ["twice", "twice", "it's \"x\" ]"] {
        scene
            .dev
            .json(&[&create[..], &attribute, &["--name", name]].concat());
    }
    let rule = ["federation-rule", "create", "--provider", "it's \"x\" ]"];
    let of = ["--project", "dev", "--service-account", "billing"];
    for (attribute, name) in [
        ("openai.a=\"true\"", "same"),
        ("openai.b=0.5", "same"),
        ("openai.c='\"", ""),
    ] {
        let name = if name.is_empty() {
            vec![]
        } else {
            vec!["--name", name]
        };
        scene
            .dev
            .json(&[&rule[..], &of, &["--match", attribute], &name].concat());
    }
    assert_snapshot!(
        "providers_export",
        seen(scene.command("export", &["--force"]))
    );
    let mut text = steady(&scene.read("trust.toml"));
    for provider in providers(&scene).as_array().unwrap() {
        text = text.replace(provider["id"].as_str().unwrap(), "idp_[id]");
    }
    assert_snapshot!("providers_exported", text);
    let planned = scene.plan();
    assert!(planned.starts_with("exit 0"), "{planned}");
}

const PROVIDER: &str = "[workload_identity_providers.mesh]\n";
const ATTRIBUTES: &str =
    "attributes = { \"openai.subject\" = \"assertion.subject.common_name\" }\n";
const RULE: &str = "[[workload_identity_providers.mesh.rules]]\n";
const WHOSE: &str = "project = \"dev\"\nservice_account = \"billing\"\n";

/// What follows the provider's head, or its whole rule.
const WRONG: [&str; 21] = [
    "",
    "attributes = \"a\"\n",
    "attributes = { openai.subject = \"assertion.subject.common_name\" }\n",
    "attributes = { \"openai.team\" = \"'a'\" }\n",
    "attributes = { \"openai.subject\" = \"subject.common_name\" }\n",
    "attributes = { \"openai.subject\" = 7 }\n",
    "Aname = \"other\"\n",
    "Aenabled = \"no\"\n",
    "Acondition = \"1\"\n",
    "Acondition = \"true\"\ncondition_file = \"a.cel\"\n",
    "Aissuer = \"https://a\"\n",
    "Arules = 7\n",
    "ARservice_account = \"billing\"\nmatch = { \"openai.subject\" = \"a\" }\n",
    "ARproject = \"nowhere\"\nservice_account = \"billing\"\nmatch = { \"openai.subject\" = \"a\" }\n",
    "ARproject = \"dev\"\nservice_account = \"biling\"\nmatch = { \"openai.subject\" = \"a\" }\n",
    "ARWmatch = { }\n",
    "ARWmatch = { \"openai.subject\" = \"*\" }\n",
    "ARWmatch = { \"openai.subject\" = [1] }\n",
    "ARWmatch = { \"openai.subject\" = inf }\n",
    "ARWmatch = { \"openai.subject\" = \"a\" }\nscopes = []\n",
    "ARWmatch = { \"openai.subject\" = \"a\" }\nscopes = [\"a b\"]\n",
];

#[test]
fn each_mistake_in_one_is_named_with_its_line() {
    let scene = scene();
    let before = audited(&scene);
    let mut all = String::new();
    for text in WRONG {
        let text = text.replace("RW", &format!("{RULE}{WHOSE}"));
        let text = text.replace("AR", &format!("{ATTRIBUTES}{RULE}"));
        let text = text.replace("A[[", &format!("{ATTRIBUTES}[["));
        let text = match text.strip_prefix('A') {
            Some(rest) => format!("{ATTRIBUTES}{rest}"),
            None => text,
        };
        scene.write("trust.toml", &format!("{PROVIDER}{text}"));
        let planned = scene.plan();
        assert!(planned.starts_with("exit 1\n"), "{text}{planned}");
        assert_eq!(scene.apply(&[]), planned, "and nothing is applied");
        all += &format!("{text}{planned}\n");
    }
    for key in ["idp_nowhere", "\"\""] {
        scene.write(
            "trust.toml",
            &format!("[workload_identity_providers.{key}]\n{ATTRIBUTES}"),
        );
        all += &format!("{key}\n{}\n", scene.plan());
    }
    assert_eq!(audited(&scene), before);
    assert_snapshot!("provider_mistakes", all);
}
