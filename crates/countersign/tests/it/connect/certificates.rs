//! Certificates: whose is sent, what a refusal of it means, and when it changes or ends.

use std::{fs, process::Command};

use countersign_testca::root;

use super::scene::{Connect, Scene};

fn stderr(ran: &std::process::Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// The status of a request through the forwarder.
fn status(scene: &Scene, connect: &Connect) -> String {
    let (address, prefix) = connect.address_and_prefix();
    let mut tool = connect.wire();
    tool.write(format!("GET {prefix}/v1/models HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n", scene.key()));
    let answer = tool.rest();
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_check_says_whether_requests_would_pass() {
    let scene = Scene::echoing();
    let passes = scene.run(&["--check", "-o", "json"]);
    assert_eq!(passes.status.code(), Some(0), "{}", stderr(&passes));
    assert!(stderr(&passes).contains("sends `CN=dev-client`, issued by `CN=Countersign dev CA`"));
    let found: serde_json::Value = serde_json::from_slice(&passes.stdout).unwrap();
    assert_eq!(found[0]["passes"], true);
    assert_eq!(found[0]["certificate_requested"], true);
    let (certificate, key) = (scene.file("untrusted.pem"), scene.file("untrusted.key"));
    let untrusted = [
        "--check",
        "-o",
        "table",
        "--client-certificate",
        &certificate,
        "--client-key",
        &key,
    ];
    let mut cases = vec![(
        scene.command(&untrusted),
        "certificate_verification_failed (401): the client certificate is from no CA",
    )];
    let mut keyless = scene.command(&["--check", "-o", "table"]);
    keyless.env_remove("OPENAI_API_KEY");
    cases.push((keyless, "no key was sent"));
    let mut foreign = scene.command(&["--check", "-o", "table"]);
    foreign.env_remove("COUNTERSIGN_SERVER_CA");
    cases.push((
        foreign,
        "its certificate is from a CA that is not trusted here",
    ));
    let mut other_name = scene.command(&[
        "https://other.example",
        "--to",
        scene.gateway(),
        "--check",
        "-o",
        "table",
    ]);
    other_name.env_remove("COUNTERSIGN_GATEWAY_URL");
    cases.push((other_name, "not for that host"));
    cases.push((
        scene.command(&["https://127.0.0.1:1", "--check", "-o", "table"]),
        "nothing listens on that port",
    ));
    cases.push((
        scene.command(&["--via", "http://127.0.0.1:1", "--check", "-o", "table"]),
        "through the proxy 127.0.0.1:1: nothing listens",
    ));
    for (mut command, says) in cases {
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(ran.status.code(), Some(1), "{says}: {said}");
        assert!(said.contains(says), "{says}: {said}{}", stderr(&ran));
    }
}

#[test]
fn another_certificate_is_used_once_it_is_in_the_file() {
    let scene = Scene::echoing();
    let (certificate, key) = (scene.path("own.pem"), scene.path("own.key"));
    let put = |name: &str| {
        for (from, to) in [("key", &key), ("pem", &certificate)] {
            let new = to.with_extension("new");
            fs::copy(scene.file(&format!("{name}.{from}")), &new).unwrap();
            fs::rename(new, to).unwrap();
        }
    };
    put("client");
    let mut connect = scene.connect(&[
        "--client-certificate",
        certificate.to_str().unwrap(),
        "--client-key",
        key.to_str().unwrap(),
    ]);
    assert!(
        connect.said.contains("it sends `CN=dev-client`"),
        "{}",
        connect.said
    );
    assert_eq!(status(&scene, &connect), "200");
    put("untrusted");
    connect.logged("read its files again");
    assert_eq!(status(&scene, &connect), "401");
    let logged = connect.logged("certificate_verification_failed");
    assert!(logged.contains("GET /v1/models  401 certificate_verification_failed: the client certificate is from no CA"), "{logged}");
    put("client");
    connect.logged("read its files again");
    assert_eq!(status(&scene, &connect), "200");
}

#[test]
fn one_that_has_expired_is_an_error_and_one_that_soon_will_is_a_warning() {
    let scene = Scene::echoing();
    let ca = root("Example CA").mint();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    let day = 24 * 60 * 60;
    for (name, ends, code, says) in [
        ("expired", now - day, 3, "which expired at"),
        ("soon", now + day, 1, "which expires soon, at"),
    ] {
        let leaf = ca.leaf("billing").valid(now - 2 * day, ends).mint();
        let (certificate, key) = (
            scene.path(&format!("{name}.pem")),
            scene.path(&format!("{name}.key")),
        );
        fs::write(&certificate, leaf.pem()).unwrap();
        fs::write(&key, leaf.key_pem()).unwrap();
        let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
        let ran = scene.run(&[
            "--check",
            "--client-certificate",
            certificate,
            "--client-key",
            key,
        ]);
        assert_eq!(ran.status.code(), Some(code), "{}", stderr(&ran));
        assert!(stderr(&ran).contains(says), "{}", stderr(&ran));
    }
}

#[test]
fn a_server_that_is_not_there_is_a_502_that_says_so_and_figures_are_counted() {
    let scene = Scene::echoing();
    let metrics = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let metrics = metrics.to_string();
    let mut connect = scene.connect(&["https://127.0.0.1:1/v1", "--metrics", &metrics]);
    assert_eq!(status(&scene, &connect), "502");
    connect.logged("no answer from 127.0.0.1:1: nothing listens on that port");
    let figures = Command::new("curl")
        .args([
            "-sS",
            "--noproxy",
            "*",
            &format!("http://{metrics}/metrics"),
        ])
        .output()
        .unwrap();
    let figures = String::from_utf8(figures.stdout).unwrap();
    for line in [
        "countersign_connect_requests_total{host=\"127.0.0.1:1\",status=\"502\"} 1",
        "countersign_connect_certificate_not_after_seconds{host=\"127.0.0.1\"}",
    ] {
        assert!(figures.contains(line), "{line}: {figures}");
    }
}
