//! Checks what ARCHITECTURE.md and CONTRIBUTING.md promise about the structure of the code, as far
//! as a test can.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

mod modules;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a source file, without the tests at its end.
const MAX_LINES: usize = 500;
const FORBIDDEN_NAMES: [&str; 6] = ["common", "util", "helper", "core", "manager", "service"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    /// Without the unit tests at its end.
    code: String,
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of the crates, except tests and benches.
fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for krate in fs::read_dir(root.join("crates")).unwrap() {
        walk(&krate.unwrap().path().join("src"), &mut found);
    }
    walk(&root.join("xtask/src"), &mut found);
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default()
                .to_owned();
            let path = path
                .strip_prefix(&root)
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            Source { path, code }
        })
        .collect()
}

/// The files whose code, without comments, has one of these words, except `allowed` ones.
fn holders(words: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let has = |code: &str| {
        code.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    sources()
        .into_iter()
        .filter(|source| has(&source.code) && !allowed(&source.path))
        .map(|source| source.path)
        .collect()
}

#[track_caller]
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}: {found:#?}");
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.code.lines().count() > MAX_LINES)
        .map(|source| source.path.clone())
        .collect();
    none("longer than 500 lines", &long);
}

#[test]
fn names_say_what_a_file_holds() {
    let vague: Vec<String> = sources()
        .iter()
        .filter(|source| {
            source
                .path
                .split(['/', '.', '-', '_'])
                .any(|part| FORBIDDEN_NAMES.contains(&part.trim_end_matches('s')))
        })
        .filter(|source| !source.path.contains("service_account"))
        .filter(|source| !source.path.contains("service-account"))
        .map(|source| source.path.clone())
        .collect();
    none("vague names", &vague);
}

#[test]
fn sql_lives_under_the_store() {
    let sql = [
        "SELECT ",
        "INSERT INTO",
        "DELETE FROM",
        "UPDATE organizations",
        "CREATE TABLE",
    ];
    let allowed = |path: &str| {
        path.starts_with("crates/countersign-server/src/store/")
            || path.starts_with("crates/countersign-gateway/src/sync/state_file")
            || path == "crates/countersign-simulation/src/database.rs"
            || path.starts_with("xtask/")
    };
    none("SQL outside `store/`", &holders(&sql, allowed));
}

/// Whoever changed keys elsewhere would leave gateways with those of before.
#[test]
fn one_file_changes_keys() {
    let changes = [
        "INSERT INTO api_keys",
        "DELETE FROM api_keys",
        "UPDATE api_keys SET",
    ];
    let allowed = |path: &str| {
        path == "crates/countersign-server/src/store/key_rows.rs"
            || path == "crates/countersign-server/src/store/migrations/tests/rows.rs"
            || path.starts_with("xtask/")
    };
    none("changes keys", &holders(&changes, allowed));
}

#[test]
fn one_file_names_webpki() {
    let allowed = |path: &str| path == "crates/countersign-verify/src/path.rs";
    none("names webpki", &holders(&["webpki::"], allowed));
}

/// `serde_with::skip_serializing_none` says it once for a whole type.
#[test]
fn absent_properties_are_left_out_by_type() {
    let attribute = ["skip_serializing_if = \"Option::is_none\""];
    none(
        "leaves out single properties",
        &holders(&attribute, |_| false),
    );
}

#[test]
fn server_and_gateway_never_meet() {
    let crossing: Vec<String> = sources()
        .iter()
        .filter(|source| {
            let (server, gateway) = (
                source.path.starts_with("crates/countersign-server/"),
                source.path.starts_with("crates/countersign-gateway/"),
            );
            (server && source.code.contains("countersign_gateway::"))
                || (gateway && source.code.contains("countersign_server::"))
        })
        .map(|source| source.path.clone())
        .collect();
    none("crosses between server and gateway", &crossing);
}

/// What each library may depend on among our own crates.
const EDGES: [(&str, &[&str]); 11] = [
    ("types", &[]),
    ("tls", &[]),
    ("log", &[]),
    ("trace", &[]),
    ("otlp", &["tls", "trace"]),
    ("proxy", &[]),
    ("verify", &["types"]),
    ("client", &["tls", "types"]),
    ("connect", &["client", "proxy", "tls", "types"]),
    ("server", &["proxy", "tls", "trace", "types", "verify"]),
    (
        "gateway",
        &["client", "log", "proxy", "tls", "trace", "types", "verify"],
    ),
];

#[test]
fn crates_depend_only_on_lower_layers() {
    for (krate, allowed) in EDGES {
        let manifest = root().join(format!("crates/countersign-{krate}/Cargo.toml"));
        let text = fs::read_to_string(manifest).unwrap();
        let dependencies = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let other = |line: &&str| !allowed.iter().any(|name| line.starts_with(name));
        let crossing: Vec<String> = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("countersign-"))
            .filter(other)
            .map(str::to_owned)
            .collect();
        none(&format!("{krate} may not depend on"), &crossing);
    }
}

/// The proof of a verdict is the only key to the upstreams.
#[test]
fn one_file_forwards_requests() {
    let elsewhere = |path: &str| {
        !path.starts_with("crates/countersign-gateway/")
            || path.starts_with("crates/countersign-gateway/src/forwarding/")
    };
    let ways = ["countersign_proxy::Forwarder", "countersign_proxy::*"];
    none("forwards without a verdict", &holders(&ways, elsewhere));
}

#[test]
fn one_crate_reads_tls_files() {
    let readers = [
        "pem_file_iter",
        "PrivateKeyDer",
        "with_safe_default_protocol_versions",
        "TLS_SERVER_ROOTS",
    ];
    let allowed =
        |path: &str| path.starts_with("crates/countersign-tls/") || path.starts_with("xtask/");
    none("reads TLS files", &holders(&readers, allowed));
}

/// The roots of every crate: libraries, programs, examples and benches.
fn crate_roots() -> Vec<PathBuf> {
    let root = root();
    let mut packages: Vec<PathBuf> = fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    packages.push(root.join("xtask"));
    packages.sort();
    let mut roots = Vec::new();
    for package in packages {
        roots.extend(["src/lib.rs", "src/main.rs"].map(|file| package.join(file)));
        for directory in ["examples", "benches"] {
            let Ok(entries) = fs::read_dir(package.join(directory)) else {
                continue;
            };
            for path in entries.map(|entry| entry.unwrap().path()) {
                roots.push(if path.is_dir() {
                    path.join("main.rs")
                } else {
                    path
                });
            }
        }
    }
    roots.retain(|file| file.exists());
    roots
}

#[test]
fn modules_form_no_circle() {
    let mut found = Vec::new();
    for root_file in crate_roots() {
        let uses = modules::uses(&modules::read_crate(&root_file));
        let file = root_file
            .strip_prefix(root())
            .unwrap()
            .display()
            .to_string();
        for (module, circle) in modules::circles(&uses) {
            let steps = circle.windows(2).map(|pair| {
                let why = &uses[&(pair[0].clone(), pair[1].clone())];
                format!("\n    {} uses {} (`{why}`)", pair[0], pair[1])
            });
            found.push(format!("{file} {module}:{}", steps.collect::<String>()));
        }
    }
    let found = found.join("\n");
    assert!(found.is_empty(), "modules that use each other:\n{found}");
}

#[test]
fn judgement_has_no_clock_no_network_no_files() {
    let impure = [
        "std::fs",
        // Addresses are words; sockets are not.
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "std::time::SystemTime",
        "Instant::now",
        "tokio",
    ];
    let elsewhere = |path: &str| !path.starts_with("crates/countersign-verify/");
    none("impure judgement", &holders(&impure, elsewhere));
}

#[test]
fn stdout_has_one_owner() {
    let allowed = |path: &str| {
        path == "crates/countersign/src/output.rs"
            || path == "crates/countersign-simulation/src/main.rs"
            || path.starts_with("crates/countersign/src/output/")
            || path.starts_with("xtask/")
    };
    none(
        "writes to stdout",
        &holders(&["stdout()", "println!"], allowed),
    );
}

#[test]
fn nothing_is_left_undone() {
    let words = [
        "todo!(",
        "unimplemented!(",
        "dbg!(",
        "#[allow(",
        "TODO",
        "FIXME",
        "XXX",
    ];
    none("left undone", &holders(&words, |_| false));
}

#[test]
fn the_guides_stay_short() {
    for guide in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let lines = fs::read_to_string(root().join(guide))
            .unwrap()
            .lines()
            .count();
        assert!(lines <= 150, "{guide} has {lines} lines");
    }
}
