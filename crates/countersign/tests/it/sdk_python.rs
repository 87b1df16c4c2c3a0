//! The unmodified OpenAI Python SDK, and Schemathesis, against a running `countersign dev`.

use std::{fs, path::Path, process::Command};

use tempfile::tempdir;

use crate::running::Dev;

/// The Python that has the packages; none when nobody set one up.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("COUNTERSIGN_TEST_PYTHON").ok();
    if python.is_none() {
        eprintln!("skipped: `COUNTERSIGN_TEST_PYTHON` is not set; `cargo xtask test` sets it");
    }
    python
}

fn dev(directory: &Path) -> Dev {
    let text = directory.to_str().unwrap();
    Dev::start_with(&["--memory", "--data-dir", text], directory)
}

#[track_caller]
fn assert_success(command: &mut Command) {
    let ran = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{stdout}\n{stderr}");
}

fn run(script: &str, client: &str) {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let dev = dev(directory.path());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let script = scripts.join(script);
    assert_success(
        Command::new(python)
            .arg(script)
            .arg(client)
            .envs(&dev.env)
            .current_dir(directory.path()),
    );
}

#[test]
fn the_sync_client_drives_the_whole_lifecycle() {
    run("lifecycle.py", "sync");
}

#[test]
fn the_async_client_drives_the_whole_lifecycle() {
    run("lifecycle.py", "async");
}

#[test]
fn the_sync_client_exchanges_its_certificate_for_tokens() {
    run("workload_identity.py", "sync");
}

#[test]
fn the_async_client_exchanges_its_certificate_for_tokens() {
    run("workload_identity.py", "async");
}

/// The reference's names of the certificate operations.
const OPERATIONS: [&str; 10] = [
    "listOrganizationCertificates",
    "uploadCertificate",
    "activateOrganizationCertificates",
    "deactivateOrganizationCertificates",
    "getCertificate",
    "modifyCertificate",
    "deleteCertificate",
    "listProjectCertificates",
    "activateProjectCertificates",
    "deactivateProjectCertificates",
];

/// What must hold of every answer. Which inputs are accepted is left out: no JSON schema says what
/// a certificate is.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,unsupported_method,\
    allow_header_conformance,ignored_auth";

#[test]
fn schemathesis_finds_no_answer_that_the_document_does_not_promise() {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let dev = dev(directory.path());
    let document = dev.env["OPENAI_BASE_URL"].replace("/v1", "/openapi.json");
    // With ids that exist, what it makes up gets further than a 404.
    let (project, certificate) = (&dev.env["OPENAI_PROJECT_ID"], dev.upload("schemathesis"));
    let config =
        format!("[parameters]\nproject_id = \"{project}\"\ncertificate_id = \"{certificate}\"\n");
    fs::write(directory.path().join("schemathesis.toml"), config).unwrap();
    let mut command = Command::new(Path::new(&python).with_file_name("schemathesis"));
    command
        .args(["run", &document, "--checks", CHECKS])
        .args([
            "--seed",
            "1",
            "--max-examples",
            "60",
            "--continue-on-failure",
        ])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", dev.env["OPENAI_ADMIN_KEY"]),
        ])
        .args(["--generation-database", "none", "--no-color"])
        .current_dir(directory.path());
    for operation in OPERATIONS {
        command.args(["--include-operation-id", operation]);
    }
    assert_success(&mut command);
}
