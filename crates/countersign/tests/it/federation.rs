//! `workload-identity-provider`, `federation-rule` and `token-key`: made, tried and taken away.

use insta::assert_snapshot;
use tempfile::tempdir;

use crate::running::Dev;

/// What a command says, with its exit code; ids are taken out.
fn said(dev: &Dev, args: &[&str]) -> String {
    let ran = dev.command(args).output().unwrap();
    let text = format!(
        "exit {}\n{}{}",
        ran.status.code().unwrap(),
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    let words = text.split_inclusive([' ', '\n', '`', ':']);
    words
        .map(|word| {
            let is_id = ["cert_", "idp_", "idprule_", "svc_acct_", "proj_"];
            match is_id.iter().find(|prefix| word.starts_with(**prefix)) {
                Some(prefix) => {
                    let rest = word.strip_prefix(prefix).unwrap_or_default();
                    let end = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                    format!("{prefix}…{end}")
                }
                None => word.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .concat()
}

#[test]
fn a_rule_is_made_tried_and_taken_away() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    dev.upload("dev-ca");
    let activate = ["certificate", "activate", "dev-ca", "--project", "dev"];
    dev.json(&[&activate[..], &["--yes", "--allow-refusals"]].concat());
    dev.json(&[
        "workload-identity-provider",
        "create",
        "--name",
        "mesh",
        "--attribute",
        "openai.subject=assertion.subject.common_name",
        "--attribute",
        "openai.uri=assertion.subject_alt_names.filter(n, n.type == URI).size()",
    ]);
    let account = ["service-account", "create", "--project", "dev"];
    dev.json(&[&account[..], &["--name", "billing", "--no-key"]].concat());
    let rule = ["federation-rule", "create", "--provider", "mesh"];
    let of = ["--project", "dev", "--service-account", "billing"];
    let made = |name: &str, matches: &[&str]| {
        dev.json(&[&rule[..], &of[..], &["--name", name], matches].concat())
    };
    made("workers", &["--match", "openai.subject=worker-*"]);
    let dev_rule = made(
        "dev",
        &["--match", "openai.subject=dev-*", "--match", "openai.uri=0"],
    );
    assert_eq!(dev_rule["attribute_matchers"]["openai.uri"], 0);

    let client = dev.env["OPENAI_MTLS_CLIENT_CERT_FILE"].clone();
    let test = ["federation-rule", "test", "--provider", "mesh", "--chain"];
    let test = [&test[..], &[client.as_str()], &of[..], &["-o", "table"]].concat();
    assert_snapshot!("passes", said(&dev, &test));
    let update = ["federation-rule", "update", "dev", "--provider", "mesh"];
    dev.json(&[&update[..], &["--disable"]].concat());
    assert_snapshot!("refused", said(&dev, &test));

    let line = ["federation-rule", "retrieve", "--provider", "mesh", "d"];
    let mut asked = dev.command(&[&["--", "countersign"], &line[..]].concat());
    let offered = asked.env("COUNTERSIGN_COMPLETE", "fish").output().unwrap();
    let offered = String::from_utf8(offered.stdout).unwrap();
    assert!(offered.starts_with("dev\t"), "{offered}");

    let preview = [
        "federation-rule",
        "delete",
        "dev",
        "--provider",
        "mesh",
        "--preview",
    ];
    let preview = [&preview[..], &["-o", "table"]].concat();
    assert_snapshot!("previewed", said(&dev, &preview));

    let rotated = dev.json(&["token-key", "rotate"]);
    assert!(rotated["signs_at"].as_u64() > rotated["created_at"].as_u64());
    assert_snapshot!("no_provider", said(&dev, &["federation-rule", "list"]));
    let delete = ["workload-identity-provider", "delete", "mesh", "--yes"];
    dev.json(&delete);
    let none = dev.json(&["workload-identity-provider", "list"]);
    assert_eq!(none.as_array().map(Vec::len), Some(0));
}
