//! The page: every command in it is run, in its order, and its file is read.

use countersign_testca::root;

use super::Scene;
use crate::{
    readme::{blocks, run},
    shell::seen,
};

const PAGE: &str = include_str!("../../../../../docs/declared-state.md");

#[test]
fn its_commands_work_as_they_stand() {
    let blocks = blocks(PAGE);
    let [export, change] = blocks.as_slice() else {
        panic!(
            "the page has {} shell blocks, this test knows two",
            blocks.len()
        );
    };
    let scene = Scene::new();
    scene.dev.json(&["project", "create", "--name", "payments"]);
    scene.write("mesh.pem", &root("Mesh").mint().pem());
    let printed = run(
        &format!(". ./dev.env\n{export}\n{change}"),
        &scene.dev.directory,
    );
    for part in [
        "+ upload      mesh: mesh.pem",
        ": mesh\n",
        "to do: 1 upload, 1 activate",
        "\"changes\": []",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn its_file_is_one() {
    let (_, rest) = PAGE.split_once("```toml\n").unwrap();
    let (file, _) = rest.split_once("```").unwrap();
    let scene = Scene::new();
    scene.cas(&["mesh", "next"]);
    scene.dev.json(&["project", "create", "--name", "payments"]);
    scene.write("trust.toml", file);
    let printed = seen(scene.command("plan", &["-o", "table"]));
    assert!(printed.starts_with("exit 3"), "{printed}");
    assert!(printed.contains("to do: 2 upload, 3 activate"), "{printed}");
}
