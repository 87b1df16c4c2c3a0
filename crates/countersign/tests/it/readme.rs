//! The README: every command in it is run, in its order, as a reader would.

use std::{fs, process::Command};

use tempfile::tempdir;

use crate::{
    running::{Dev, Running, countersign},
    sdk_python::python,
};

const README: &str = include_str!("../../../../README.md");

/// The shell blocks of a page, in order.
pub(crate) fn blocks(page: &'static str) -> Vec<&'static str> {
    blocks_of(page, "sh")
}

/// The blocks of a page in one language, in order.
fn blocks_of(page: &'static str, language: &str) -> Vec<&'static str> {
    page.split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

/// Runs a block in a directory as a shell that finds `countersign`; what it wrote.
pub(crate) fn run(script: &str, directory: &std::path::Path) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_countersign"));
    let path = std::env::var("PATH").unwrap();
    let ran = Command::new("sh")
        .args(["-eu", "-c", script])
        .current_dir(directory)
        .env(
            "PATH",
            format!("{}:{path}", program.parent().unwrap().display()),
        )
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{script}\n{stdout}{stderr}");
    stdout.into_owned()
}

#[test]
fn its_commands_work_as_they_stand() {
    let blocks = blocks(README);
    let [dev, report, enforce, test, deploy, commands] = blocks.as_slice() else {
        panic!(
            "the README has {} shell blocks, this test knows six",
            blocks.len()
        );
    };
    assert_eq!(
        (*dev, *test),
        ("cargo run --release -- dev\n", "cargo xtask test\n")
    );

    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    // The second that a reader takes, until what the gateway saw has arrived.
    let arrived = "until countersign certificate deactivate dev-ca --project dev \
        --preview -o json | grep -q '\"requests\": 1,'; do :; done";
    let walk = [report, arrived, enforce, commands].join("\n");
    let printed = run(&walk, directory.path());
    for (text, times) in [
        ("\"certificate_required\"", 1),
        ("\"x-countersign-certificate\"", 1),
        ("\"object\": \"echo\"", 2),
        ("pass now, would be refused: 1 workload", 1),
        ("\"verdict\": \"permit\"", 1),
        ("\"current\": true", 1),
        ("\"certificate.deleted\"", 1),
    ] {
        assert_eq!(printed.matches(text).count(), times, "{text}: {printed}");
    }
    deploys(deploy);
}

#[test]
fn its_python_runs_as_it_stands() {
    let Some(python) = python() else { return };
    let blocks = blocks_of(README, "python");
    let [list] = blocks.as_slice() else {
        panic!("the README has {} Python blocks", blocks.len());
    };
    let directory = tempdir().unwrap();
    let dev = Dev::start(&directory.path().join("countersign-data"));
    let certificate = dev.upload("listed");
    let ran = Command::new(python)
        .args(["-c", list])
        .envs(&dev.env)
        .output()
        .unwrap();
    let (listed, stderr) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{listed}{stderr}");
    assert!(
        listed.contains(&format!("{certificate} listed ")),
        "{listed}"
    );
}

/// All but the last line end; the last serves, on a port and in a directory of the test's own.
fn deploys(block: &str) {
    let directory = tempdir().unwrap();
    let own = directory.path().join("data");
    let block = block.replace("/var/lib/countersign", own.to_str().unwrap());
    let (set_up, serve) = block.trim_end().rsplit_once('\n').unwrap();
    run(set_up, directory.path());
    for key in ["admin.key", "gateway.key"] {
        assert!(
            fs::read_to_string(directory.path().join(key))
                .unwrap()
                .starts_with("sk-")
        );
    }
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = metrics.local_addr().unwrap();
    drop(metrics);
    let args: Vec<&str> = serve.split(' ').skip(1).collect();
    let address = port.to_string();
    let args: Vec<&str> = args
        .iter()
        .map(|arg| {
            if *arg == "127.0.0.1:8085" {
                &address
            } else {
                *arg
            }
        })
        .collect();
    let running = Running::start(countersign(&args));
    let waiting = format!("until curl -sf http://{address}/readyz; do :; done");
    run(&waiting, directory.path());
    running.signal("TERM");
}
