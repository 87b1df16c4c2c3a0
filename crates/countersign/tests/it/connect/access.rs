//! Who is let in, and what is never said.

use std::fs;

use super::scene::{Connect, Scene};

/// Sends a request; the status line and the body.
fn get(connect: &Connect, path: &str, headers: &str) -> String {
    let mut tool = connect.wire();
    tool.write(format!(
        "GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"
    ));
    tool.rest()
}

#[test]
fn nobody_comes_in_without_the_token_and_no_page_at_all() {
    let scene = Scene::echoing();
    let mut connect = scene.connect(&["--log"]);
    let (address, prefix) = connect.address_and_prefix();
    let own = format!(
        "host: {address}\r\nauthorization: Bearer {}\r\n",
        scene.key()
    );
    let named = |host: &str| own.replace(&address, host);
    let wrong = format!("{}0/v1/models", &prefix[..prefix.len() - 1]);
    let right = format!("{prefix}/v1/models");
    for (path, headers, status, says) in [
        (right.as_str(), own.clone(), "200 ", "\"object\": \"echo\""),
        (&right, named("localhost"), "200 ", "echo"),
        ("/v1/models", own.clone(), "401 ", "the token is missing"),
        (
            &wrong,
            own.clone(),
            "401 ",
            "the token in the path is wrong",
        ),
        (&right, named("rebound.example"), "400 ", "`Host`"),
        (
            &right,
            format!("{own}origin: https://page.example\r\n"),
            "400 ",
            "`Origin`",
        ),
        (
            &right,
            format!("{own}transfer-encoding: chunked\r\ncontent-length: 3\r\n"),
            "400 ",
            "both",
        ),
    ] {
        let answer = get(&connect, path, &headers);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{path} {headers}: {answer}"
        );
        assert!(answer.contains(says), "{path} {headers}: {answer}");
    }
    let logged = connect.logged("both `transfer-encoding`");
    assert!(logged.contains("GET /v1/models  200"), "{logged}");
    assert!(!connect.said.contains(&connect.token()), "{}", connect.said);
    let token = connect.token();
    let logged = logged + &connect.end();
    assert!(
        !logged.contains(&token) && !logged.contains(scene.key()),
        "{logged}"
    );
}

#[test]
fn the_forwarder_sets_the_key_and_the_tool_knows_the_token_alone() {
    let scene = Scene::echoing();
    let key = scene.path("api.key");
    fs::write(&key, format!("{}\n", scene.key())).unwrap();
    let token = scene.path("token");
    fs::write(&token, "a-token-of-my-own\n").unwrap();
    let connect = scene.connect(&[
        "--api-key-file",
        key.to_str().unwrap(),
        "--token-file",
        token.to_str().unwrap(),
    ]);
    assert_eq!(connect.env["OPENAI_API_KEY"], "a-token-of-my-own");
    assert_eq!(connect.token(), "a-token-of-my-own");
    let (address, _) = connect.address_and_prefix();
    let with = |key: &str| format!("host: {address}\r\nauthorization: Bearer {key}\r\n");
    assert!(get(&connect, "/v1/models", &with("a-token-of-my-own")).starts_with("HTTP/1.1 200 "));
    assert!(get(&connect, "/v1/models", &with("another-token-000")).starts_with("HTTP/1.1 401 "));
}

#[test]
fn it_is_open_to_more_than_this_user_only_where_that_is_said() {
    let scene = Scene::echoing();
    let refused = scene.run(&["--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--allow-remote"));
    let mut connect = scene.connect(&["--no-token"]);
    connect.logged("every user of this machine can send requests with your certificate");
    let url = &connect.env["COUNTERSIGN_CONNECT_URL"];
    let address = url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/v1")
        .unwrap();
    let mut tool = std::net::TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/a HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
        scene.key()
    );
    let answer = {
        use std::io::{Read as _, Write as _};
        tool.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        tool.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
