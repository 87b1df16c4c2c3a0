//! What a wrong file gets: its line, what is wrong, what to do; and nothing is sent.

use countersign_testca::root;
use insta::assert_snapshot;

use super::Scene;

/// In Unix seconds, long ago.
const PAST: i64 = 1_000_000_000;

/// `A` stands for an entry that is right.
const WRONG: [(&str, &str); 24] = [
    ("twice", "A[certificates.b]\nfile = \"a.pem\"\n"),
    (
        "unknown_key",
        "A[certificates.mesh]\nfile = \"b.pem\"\n[organization]\nenforce = [\"a\", \"mehs\"]\n",
    ),
    (
        "key_twice",
        "A[organization]\nenforce = [\"a\"]\nreport = [\"a\"]\n",
    ),
    ("setting", "A[organization]\nenforced = [\"a\"]\n"),
    ("section", "A[organisation]\nenforce = [\"a\"]\n"),
    ("certificate_setting", "Apolcy = \"true\"\n"),
    ("no_file", "[certificates.a]\nname = \"a\"\n"),
    ("file_is_a_number", "[certificates.a]\nfile = 1\n"),
    ("not_there", "[certificates.a]\nfile = \"nowhere.pem\"\n"),
    ("leaf", "[certificates.a]\nfile = \"leaf.pem\"\n"),
    ("private_key", "[certificates.a]\nfile = \"key.pem\"\n"),
    ("junk", "[certificates.a]\nfile = \"junk.pem\"\n"),
    ("expired", "[certificates.a]\nfile = \"short.pem\"\n"),
    ("policy", "Apolicy = 'subject.comon_name == \"x\"'\n"),
    ("policy_file", "Apolicy_file = \"open.cel\"\n"),
    (
        "two_policies",
        "Apolicy = \"true\"\npolicy_file = \"open.cel\"\n",
    ),
    ("name", "Aname = \"\"\n"),
    ("empty_scope", "A[organization]\n"),
    ("not_a_list", "A[organization]\nenforce = \"a\"\n"),
    ("empty", "\n"),
    ("syntax", "[certificates.a\n"),
    ("project_name", "A[projects.nowhere]\nenforce = [\"a\"]\n"),
    (
        "project_id",
        "A[projects.proj_nowhere]\nenforce = [\"a\"]\n",
    ),
    (
        "project_both",
        "A[projects.dev]\nenforce = [\"a\"]\n[projects.PROJECT]\nenforce = [\"a\"]\n",
    ),
];

#[test]
fn each_mistake_is_named_with_its_line() {
    let scene = Scene::new();
    scene.cas(&["a", "b"]);
    let leaf = root("c").mint().leaf("worker").mint();
    let key = &scene.dev.env["OPENAI_MTLS_CLIENT_KEY_FILE"];
    scene.write("leaf.pem", &leaf.pem());
    scene.write("key.pem", &std::fs::read_to_string(key).unwrap());
    let short = root("short").valid(PAST, PAST + 1).mint();
    scene.write("short.pem", &short.pem());
    scene.write("junk.pem", "junk");
    scene.write("open.cel", "subject.comon_name == \"x\"\n");
    let before = scene.dev.json(&["audit-log", "list"]);
    for (name, text) in WRONG {
        let text = match text.strip_prefix('A') {
            Some(rest) => format!("[certificates.a]\nfile = \"a.pem\"\n{rest}"),
            None => text.to_owned(),
        };
        scene.write("trust.toml", &text.replace("PROJECT", &scene.project()));
        let planned = scene.plan();
        assert!(planned.starts_with("exit 1\n"), "{planned}");
        assert!(!planned.contains("MII"), "no body is shown: {planned}");
        assert_snapshot!(format!("wrong_{name}"), planned);
        assert_eq!(scene.apply(&[]), planned, "and nothing is applied");
    }
    assert_eq!(scene.dev.json(&["audit-log", "list"]), before);
}

#[test]
fn a_project_name_that_two_have_names_neither() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    let other = scene.dev.json(&["project", "create", "--name", "dev"]);
    let other = other["id"].as_str().unwrap();
    scene.write(
        "trust.toml",
        "[certificates.a]\nfile = \"a.pem\"\n[projects.dev]\nenforce = [\"a\"]\n",
    );
    assert_snapshot!("project_name_twice", scene.plan());
    scene.dev.json(&["project", "archive", other, "--yes"]);
    assert!(
        scene.plan().starts_with("exit 3"),
        "an archived one has no name"
    );
}

#[test]
fn the_same_certificate_twice_on_the_server() {
    let scene = Scene::new();
    scene.cas(&["a"]);
    scene.upload("a");
    let again = ["certificate", "upload", "a.pem", "--name", "a"];
    scene
        .dev
        .json(&[&again[..], &["--allow-duplicate"]].concat());
    scene.write("trust.toml", "[certificates.a]\nfile = \"a.pem\"\n");
    assert_snapshot!("twice_on_the_server", scene.plan());
}

#[test]
fn more_than_an_organization_may_have() {
    let scene = Scene::new();
    let mut text = String::new();
    for number in 0..51 {
        let name = format!("ca-{number}");
        scene.cas(&[&name]);
        text += &format!("[certificates.{name}]\nfile = \"{name}.pem\"\n");
    }
    scene.write("trust.toml", &text);
    assert_snapshot!("too_many", scene.plan());
    // 50 in the file, and one that is not in it on the server.
    scene.upload("ca-50");
    let fifty = text.rsplit_once("[certificates.").unwrap().0;
    scene.write("trust.toml", &fifty.replace("ca-50", "ca-0"));
    let printed = scene.plan();
    assert_snapshot!("no_room", printed);
}
