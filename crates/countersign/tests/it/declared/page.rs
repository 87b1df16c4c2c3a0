//! The page's file is read; its commands are run in `documents`.

use super::Scene;
use crate::shell::seen;

const PAGE: &str = include_str!("../../../../../docs/declared-state.md");

#[test]
fn its_file_is_one() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let scene = Scene::new();
    scene.cas(&["mesh", "next"]);
    scene.dev.json(&["project", "create", "--name", "payments"]);
    let account = ["service-account", "create", "--project", "payments"];
    let named = ["--name", "billing", "--no-key"];
    scene.dev.json(&[&account[..], &named].concat());
    scene.write("trust.toml", file);
    let printed = seen(scene.command("plan", &["-o", "table"]));
    assert!(printed.starts_with("exit 3"), "{printed}");
    assert!(
        printed.contains("to do: 2 upload, 1 deny, 1 report, 1 floor, 3 activate"),
        "{printed}"
    );
    assert!(printed.contains("1 provide, 1 federate"), "{printed}");
}
