//! The forwarder as the proxy of `HTTPS_PROXY`.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::Arc,
    thread,
};

use countersign_testca::{General, Minted, oid, root};
use countersign_tls::{CertificateFiles, server_config, standard};
use tokio_rustls::TlsAcceptor;

use super::scene::{Connect, LIMIT, Scene, output};

/// curl with the variables of a forwarder, and nothing that it could do itself.
fn curl(connect: &Connect, url: &str) -> Command {
    let mut command = Command::new("curl");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(&connect.env).args(["-sS", url]);
    command
}

/// Sends a head to the proxy; the head of its answer, and the stream.
fn ask(connect: &Connect, head: &str) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(connect.proxy_address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    (String::from_utf8(answer).unwrap(), stream)
}

fn credentials(connect: &Connect) -> String {
    let url = &connect.env["HTTPS_PROXY"];
    let user = url
        .strip_prefix("http://")
        .unwrap()
        .split('@')
        .next()
        .unwrap();
    format!(
        "proxy-authorization: Basic {}\r\n",
        data_encoding::BASE64.encode(user.as_bytes())
    )
}

#[test]
fn each_host_gets_its_own_certificate_and_others_are_not_looked_into() {
    let scene = Scene::echoing();
    let (good, bad) = (scene.named_gateway(), scene.gateway().to_owned());
    let with_bad = format!(
        "{bad}={},{}",
        scene.file("untrusted.pem"),
        scene.file("untrusted.key")
    );
    let mut connect = scene.connect(&["--proxy", "--host", &good, "--host", &with_bad]);
    assert!(
        connect.said.contains("it sends `CN=dev-client`"),
        "{}",
        connect.said
    );
    let authorization = format!("authorization: Bearer {}", scene.key());
    for version in ["--http1.1", "--http2"] {
        let mut call = curl(&connect, &format!("https://{good}/v1/models"));
        let said = output(call.args([version, "-w", "%{http_version}", "-H", &authorization]));
        assert!(said.contains("\"object\": \"echo\""), "{said}");
        assert!(
            said.ends_with(if version == "--http2" { "2" } else { "1.1" }),
            "{said}"
        );
    }
    let said =
        output(curl(&connect, &format!("https://{bad}/v1/models")).args(["-H", &authorization]));
    assert!(said.contains("certificate_verification_failed"), "{said}");
    let meaning = connect.logged("certificate_verification_failed");
    assert!(
        meaning.contains("the client certificate is from no CA"),
        "{meaning}"
    );
    // Another host of the same tunnel.
    let other = output(
        curl(&connect, &format!("https://{good}/v1/models")).args(["-H", "host: other.example"]),
    );
    assert!(other.contains("another host than the tunnel"), "{other}");
    // What does not know the local CA is told so.
    let ran = curl(&connect, &format!("https://{good}/v1/models"))
        .env_remove("SSL_CERT_FILE")
        .env_remove("CURL_CA_BUNDLE")
        .output();
    assert!(!ran.unwrap().status.success());
    connect.logged("the tool does not trust the local CA");
}

#[test]
fn a_tunnel_needs_the_token_and_leads_to_other_hosts_unless_it_must_not() {
    let scene = Scene::echoing();
    let host = scene.named_gateway();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = server.local_addr().unwrap();
    let asked = format!("CONNECT {other} HTTP/1.1\r\nhost: {other}\r\n");
    let connect = scene.connect(&["--proxy", "--host", &host]);
    let (refused, _) = ask(&connect, &format!("{asked}\r\n"));
    assert!(refused.starts_with("HTTP/1.1 407 "), "{refused}");
    let (refused, _) = ask(
        &connect,
        &format!("{asked}proxy-authorization: Basic YTpi\r\n\r\n"),
    );
    assert!(refused.starts_with("HTTP/1.1 407 "), "{refused}");
    let own = credentials(&connect);
    let (plain, _) = ask(
        &connect,
        &format!("GET http://{other}/ HTTP/1.1\r\nhost: {other}\r\n{own}\r\n"),
    );
    assert!(plain.starts_with("HTTP/1.1 405 "), "{plain}");
    let (granted, mut tool) = ask(&connect, &format!("{asked}{own}\r\n"));
    assert!(granted.starts_with("HTTP/1.1 200 "), "{granted}");
    let (mut accepted, _) = server.accept().unwrap();
    for stream in [&mut tool, &mut accepted] {
        stream.write_all(b"\x16\x03bytes").unwrap();
    }
    for stream in [&mut tool, &mut accepted] {
        let mut bytes = [0; 7];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"\x16\x03bytes");
    }
    drop(connect);
    for flag in ["--only-hosts", "--no-token"] {
        let connect = scene.connect(&["--proxy", "--host", &host, flag]);
        let own = if flag == "--no-token" {
            String::new()
        } else {
            credentials(&connect)
        };
        let (refused, _) = ask(&connect, &format!("{asked}{own}\r\n"));
        assert!(refused.starts_with("HTTP/1.1 403 "), "{flag}: {refused}");
    }
}

#[test]
fn a_name_leads_to_another_address_through_a_proxy_and_a_kept_ca_stays() {
    let scene = Scene::echoing();
    let (proxy, asked) = http_proxy();
    let directory = scene.path("ca");
    let (host, to) = ("localhost", format!("localhost={}", scene.gateway()));
    let directory = directory.to_str().unwrap();
    let args = [
        "--proxy", "--host", host, "--to", &to, "--ca-dir", directory, "--via", &proxy,
    ];
    let authorization = format!("authorization: Bearer {}", scene.key());
    let mut kept = Vec::new();
    for _ in 0..2 {
        let connect = scene.connect(&args);
        let mut call = curl(&connect, "https://localhost/v1/models");
        let said = output(call.args(["-H", &authorization]));
        assert!(said.contains("\"object\": \"echo\""), "{said}");
        kept.push(std::fs::read(scene.path("ca/ca.pem")).unwrap());
    }
    assert_eq!(kept[0], kept[1]);
    let head = asked.recv_timeout(LIMIT).unwrap();
    assert!(
        head.starts_with(&format!("CONNECT {} HTTP/1.1\r\n", scene.gateway())),
        "{head}"
    );
}

/// A proxy that grants every tunnel; its URL, and the heads that it is asked with.
fn http_proxy() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut client) = stream else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let server = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
            let _ = tell.send(head);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let pairs = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut to) in pairs {
                thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    (url, asked)
}

/// A proxy in TLS, in front of [`http_proxy`]: its URL under this host, the file of its CA, and the heads that it is
/// asked with. Its certificate is for `localhost`.
fn https_proxy(scene: &Scene, host: &str) -> (String, String, std::sync::mpsc::Receiver<String>) {
    let ca: Minted = root("Proxy CA").mint();
    let own = ca.leaf("proxy").eku(&[oid::SERVER_AUTH]);
    let own = own.san(General::dns("localhost")).mint();
    let write = |name: &str, text: String| {
        let path = scene.path(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let files = CertificateFiles {
        certificate: write("proxy.pem", own.pem()),
        key: write("proxy.key", own.key_pem()),
    };
    let ca = write("proxy-ca.pem", ca.pem());
    let tls = Arc::new(server_config(standard(), &files, None).unwrap());
    let (plain, asked) = http_proxy();
    let plain = plain.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{host}:{}", listener.local_addr().unwrap().port());
    listener.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    thread::spawn(move || {
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, plain) = (TlsAcceptor::from(Arc::clone(&tls)), plain.clone());
                tokio::spawn(async move {
                    // Whoever does not trust it goes.
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let mut proxy = tokio::net::TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut proxy).await;
                });
            }
        });
    });
    (url, ca.to_str().unwrap().to_owned(), asked)
}

#[test]
fn a_proxy_in_tls_is_verified_and_leads_to_servers_and_other_hosts() {
    let scene = Scene::echoing();
    let (url, ca, asked) = https_proxy(&scene, "localhost");
    let host = scene.named_gateway();
    let with_password = url.replace("https://", "https://user:word@");
    let args = ["--proxy", "--host", &host, "--via", &with_password];
    let authorization = format!("authorization: Bearer {}", scene.key());
    for http2 in [&[][..], &["--http2"]] {
        let connect = scene.connect(&[&args[..], &["--via-ca", &ca], http2].concat());
        let said = output(
            curl(&connect, &format!("https://{host}/v1/models")).args(["-H", &authorization]),
        );
        assert!(said.contains("\"object\": \"echo\""), "{said}");
        let head = asked.recv_timeout(LIMIT).unwrap();
        assert!(
            head.starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(
            head.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"),
            "{head}"
        );
    }
    // To a host that no certificate is added for, the tunnel goes the same way.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = server.local_addr().unwrap();
    let connect = scene.connect(&[&args[..], &["--via-ca", &ca]].concat());
    let own = credentials(&connect);
    let (granted, mut tool) = ask(
        &connect,
        &format!("CONNECT {other} HTTP/1.1\r\nhost: {other}\r\n{own}\r\n"),
    );
    assert!(granted.starts_with("HTTP/1.1 200 "), "{granted}");
    let (mut accepted, _) = server.accept().unwrap();
    tool.write_all(b"bytes").unwrap();
    let mut bytes = [0; 5];
    accepted.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"bytes");
}

#[test]
fn a_proxy_whose_certificate_is_not_good_gets_nothing() {
    let scene = Scene::echoing();
    let (url, ca, asked) = https_proxy(&scene, "127.0.0.1");
    let named = url.replace("127.0.0.1", "localhost");
    let server_ca = scene.file("ca.pem");
    for (url, ca, says) in [
        // A name that the certificate does not carry, a CA that is not given, and the server's roots instead.
        (&url, ca.as_str(), "TLS to the proxy"),
        (&named, server_ca.as_str(), "TLS to the proxy"),
    ] {
        let args = ["--via", url, "--via-ca", ca, "--check", "-o", "table"];
        let ran = scene.run(&args);
        assert!(!ran.status.success());
        let text = [ran.stdout, ran.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(says), "{text}");
    }
    assert!(asked.try_recv().is_err(), "nothing was asked of it");
    let missing = scene.path("none.pem");
    let ran = scene.run(&[
        "--via",
        &named,
        "--via-ca",
        missing.to_str().unwrap(),
        "--check",
    ]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("none.pem"), "{said}");
}
