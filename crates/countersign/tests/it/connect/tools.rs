//! Tools that cannot send a client certificate, each as it comes, in front of a `dev` that wants one.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use super::scene::{Scene, Wire, output};
use crate::running::Running;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"hello from the upstream","refusal":null}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/tools")
        .join(name)
}

/// What the variable names; none when nobody set it up.
pub(super) fn set_up(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("skipped: `{variable}` is not set; `cargo xtask test` sets it");
    }
    found
}

/// Answers one chat: the head of its request.
fn answer(mut upstream: Wire) -> String {
    let head = upstream.head();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    upstream.skip(length);
    upstream.write(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{ANSWER}",
        ANSWER.len()
    ));
    head
}

/// Runs a tool through the forwarder; the upstream must have seen a verified certificate.
fn check(program: &[&str], variables: &[(&str, &str)]) {
    let scene = Scene::start();
    let mut args = vec!["--exec", "--"];
    args.extend(program);
    let mut command = scene.command(&args);
    command.envs(variables.iter().copied());
    // Nothing of the certificate is left that the tool itself could use.
    let running = thread::spawn(move || output(&mut command));
    let head = answer(scene.accept());
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert!(head.contains("x-countersign-leaf-sha256: "), "{head}");
    let said = running.join().unwrap();
    assert!(said.contains("hello from the upstream"), "{said}");
}

#[test]
fn openai_for_node() {
    let Some(modules) = set_up("COUNTERSIGN_TEST_NODE_MODULES") else {
        return;
    };
    let script = script("chat.cjs");
    check(
        &["node", script.to_str().unwrap()],
        &[("NODE_PATH", &modules)],
    );
}

#[test]
fn langchain() {
    let Some(python) = set_up("COUNTERSIGN_TEST_TOOLS_PYTHON") else {
        return;
    };
    let script = script("langchain_chat.py");
    check(&[&python, script.to_str().unwrap()], &[]);
}

#[test]
fn llm() {
    let Some(python) = set_up("COUNTERSIGN_TEST_TOOLS_PYTHON") else {
        return;
    };
    let llm = Path::new(&python).with_file_name("llm");
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().to_str().unwrap();
    let llm = llm.to_str().unwrap();
    check(
        &[llm, "--no-stream", "--no-log", "-m", "gpt-4o-mini", "hello"],
        &[("LLM_USER_PATH", directory)],
    );
}

#[test]
fn curl_without_a_certificate() {
    let call = "curl -sS \"$OPENAI_BASE_URL/chat/completions\" -H \"authorization: Bearer $OPENAI_API_KEY\" -d '{}'";
    check(&["sh", "-c", call], &[]);
}

#[test]
fn a_websocket_client_by_base_url_and_by_proxy() {
    let Some(python) = set_up("COUNTERSIGN_TEST_TOOLS_PYTHON") else {
        return;
    };
    let mut server = Command::new(&python);
    server.arg(script("websocket_server.py"));
    let mut server = Running::start(server);
    let url = server.wait_for(|line| line.starts_with("http://"));
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let scene = Scene::with(&["--upstream", url.trim()], unused);
    let client = script("websocket_client.py");
    let client = client.to_str().unwrap();
    let host = scene.named_gateway();
    let proxied = format!("wss://{host}/v1/realtime");
    for args in [
        &["--exec", "--", &python, client][..],
        &[
            "--proxy", "--host", &host, "--exec", "--", &python, client, &proxied,
        ],
    ] {
        let said = output(&mut scene.command(args));
        assert_eq!(said, "echo: hello\n", "{args:?}");
    }
}
