//! Holds the documentation to the repository: what one names, the other has.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const SPECIFICATION: &str = "docs/specification.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The comments of every Rust file but this one, line ends within a comment taken out.
fn comments() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for directory in ["crates", "xtask", "fuzz"] {
        walk(&root().join(directory), &mut found);
    }
    assert!(found.len() > 100, "only {} Rust files found", found.len());
    found
        .into_iter()
        .filter(|path| !path.ends_with("xtask/tests/guides.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text
                .lines()
                .map(str::trim_start)
                .filter(|line| line.starts_with("//"))
                .map(|line| line.trim_start_matches(['/', '!']).trim())
                .collect();
            (path, lines.join(" "))
        })
        .collect()
}

#[test]
fn comments_point_at_sections_that_exist() {
    let page = fs::read_to_string(root().join(SPECIFICATION)).unwrap();
    let mut pointers = 0;
    for (path, text) in comments() {
        let path = path.display();
        assert!(!text.contains("SPEC.md"), "{path} names SPEC.md");
        assert!(!text.contains("SPEC section"), "{path} names a SPEC");
        for rest in text.split(SPECIFICATION).skip(1) {
            let number: String = rest
                .strip_prefix(", section ")
                .unwrap_or_else(|| panic!("{path}: a pointer reads `{SPECIFICATION}, section N`"))
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            assert!(
                page.contains(&format!("\n## {number}. ")),
                "{path} points at section `{number}`, which {SPECIFICATION} lacks"
            );
            pointers += 1;
        }
    }
    assert!(pointers > 25, "only {pointers} pointers found");
}

/// The texts between single backticks, in order.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-/.".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// A crate's sources, by its name in ARCHITECTURE.md.
fn sources_of(krate: &str) -> PathBuf {
    let krate = krate.trim_start_matches("countersign-");
    match krate {
        "countersign" => root().join("crates/countersign/src"),
        name => root().join(format!("crates/countersign-{name}/src")),
    }
}

#[test]
fn architecture_names_files_that_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut walked = 0;
    for path in quoted(&page).filter(|text| is_path(text) && text.ends_with(".rs")) {
        let (krate, rest) = path
            .split_once('/')
            .unwrap_or_else(|| panic!("`{path}`: name its crate, as in `server/store/write.rs`"));
        assert!(sources_of(krate).join(rest).is_file(), "no `{path}`");
        walked += 1;
    }
    assert!(walked > 20, "only {walked} files named");
}

#[test]
fn architecture_names_modules_that_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').collect())
        .collect();
    assert!(rows.len() > 5, "only {} crates found", rows.len());
    for row in rows {
        let [_, krate, .., modules, _] = row.as_slice() else {
            panic!("a row without modules: {row:?}");
        };
        let sources = sources_of(quoted(krate).next().unwrap());
        for module in quoted(modules).filter(|text| is_path(text)) {
            let file = sources.join(format!("{module}.rs"));
            assert!(
                file.is_file() || sources.join(module).is_dir(),
                "{krate} has no module `{module}`"
            );
        }
    }
}

#[test]
fn links_lead_to_files_that_exist() {
    let mut pages: Vec<PathBuf> = Vec::new();
    for directory in [root(), root().join("docs")] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let file = link.split('#').next().unwrap();
            if link.contains("://") || file.is_empty() {
                continue;
            }
            let target = page.parent().unwrap().join(file);
            assert!(target.exists(), "{}: no `{link}`", page.display());
            links += 1;
        }
    }
    assert!(links > 30, "only {links} links found");
}

#[test]
fn the_page_of_deviations_names_every_path() {
    let page = fs::read_to_string(root().join("docs/deviations.md")).unwrap();
    let document = fs::read_to_string(root().join("openapi.json")).unwrap();
    // A path is a key of four spaces.
    let paths = document.lines().filter_map(|line| {
        let (path, rest) = line.strip_prefix("    \"/")?.split_once('"')?;
        rest.starts_with(": {").then(|| format!("`/{path}`"))
    });
    let mut compared = 0;
    for path in paths {
        assert!(page.contains(&path), "docs/deviations.md lacks {path}");
        compared += 1;
    }
    assert!(compared > 40, "only {compared} paths found");
    for path in quoted(&page).filter(|text| text.starts_with("/v1/")) {
        let known = document.contains(&format!("\"{path}\": {{"));
        assert!(known, "`{path}` is no path of openapi.json");
    }
}

/// What begins like a metric's name in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let names = words.filter(|word| word.starts_with("countersign_"));
    // Prometheus makes these of a histogram.
    let base = |name| {
        let mut made = ["_bucket", "_sum", "_count"].iter();
        made.find_map(|end| str::strip_suffix(name, end))
    };
    names
        .map(|name| base(name).unwrap_or(name).to_owned())
        .collect()
}

/// An alert without advice, or a rule and a panel on a metric that there is not, would help nobody.
#[test]
fn every_alert_says_what_to_do_and_every_metric_that_is_asked_for_exists() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let rules = read("packaging/prometheus/alerts.yml");
    let page = read("docs/alerts.md");
    let after = |text: &str, start: &str| -> BTreeSet<String> {
        let lines = text.lines().map(str::trim_start);
        lines
            .filter_map(|line| line.strip_prefix(start).map(str::to_owned))
            .collect()
    };
    let alerts = after(&rules, "- alert: ");
    assert!(!alerts.is_empty());
    assert_eq!(alerts, after(&page, "## "));
    let tested = after(&read("packaging/prometheus/alerts_test.yml"), "name: ");
    let untested: Vec<_> = alerts.difference(&tested).collect();
    assert_eq!(untested, Vec::<&String>::new());

    let mut known = BTreeSet::new();
    for directory in ["countersign", "countersign-server", "countersign-gateway"] {
        let mut files = Vec::new();
        walk(
            &root().join("crates").join(directory).join("src"),
            &mut files,
        );
        for path in files {
            known.extend(metrics(&fs::read_to_string(path).unwrap()));
        }
    }
    let dashboard = read("packaging/grafana/countersign.json");
    for asked in metrics(&rules).iter().chain(&metrics(&dashboard)) {
        assert!(known.contains(asked), "{asked}");
    }
}
