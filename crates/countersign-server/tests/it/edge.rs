//! What holds before any operation is reached: paths, methods, keys, headers, malformed HTTP.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Server, on_each_store};

const PATH: &str = "/v1/organization/certificates";

#[tokio::test]
async fn an_unknown_path_is_a_404_and_never_a_redirect() {
    on_each_store(async |server| {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1/organization",
            "/v1/organization/certificates/",
            "/v1//organization/certificates",
            "//v1/organization/certificates",
            "/v1/organization/certificates/cert_a/",
            "/v1/organization/certificates/cert_a/x",
            "/V1/organization/certificates",
            "/v1/organization/certificates;a=b",
            "/organization/certificates",
            "/metrics",
            "/v1/%6frganization/certificates",
        ] {
            server.get(path).refused("not_found", None).await;
            server.get(path).no_key().refused("not_found", None).await;
            server
                .post(path, json!({}))
                .refused("not_found", None)
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_says_which_are_right() {
    on_each_store(async |server| {
        for (path, allowed) in [
            (PATH, ["GET", "POST"].as_slice()),
            (
                "/v1/organization/certificates/cert_a",
                &["GET", "POST", "DELETE"],
            ),
            ("/v1/organization/certificates/activate", &["POST"]),
            ("/openapi.json", &["GET"]),
        ] {
            for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
                let answer = server.request(method, path).await;
                answer.refused("method_not_allowed", None);
                let allow = answer.header("allow").unwrap().to_owned();
                let mut given: Vec<_> = allow.split(',').filter(|each| *each != "HEAD").collect();
                let mut wanted = allowed.to_vec();
                given.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(given, wanted, "{method} {path}");
            }
        }
        server
            .get("/v1/organization/certificates/activate")
            .refused("method_not_allowed", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_read_from_one_well_formed_header() {
    on_each_store(async |server| {
        let get = || server.get(PATH).no_key();
        for right in ["Bearer ", "bearer ", "BEARER ", "Bearer   "] {
            get()
                .header("authorization", &format!("{right}{}", server.key))
                .ok()
                .await;
        }
        for wrong in [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            server.key.clone(),
            format!("Basic {}", server.key),
            format!("Bearer {} x", server.key),
            format!("Bearer {},", server.key),
            format!("Bearer\t{}", server.key),
            format!("Bearer {}", server.key.to_uppercase()),
            format!("Bearer {}x", server.key),
        ] {
            get()
                .header("authorization", &wrong)
                .refused("invalid_api_key", None)
                .await;
        }
        let twice = server.get(PATH).header("authorization", "Bearer x");
        twice.refused("invalid_api_key", None).await;
        let query = format!("{PATH}?api_key={}", server.key);
        server
            .get(&query)
            .no_key()
            .refused("invalid_api_key", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_an_expired_and_an_archived_key_stop_at_once() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        let keys = "/v1/organization/admin_api_keys";
        let made = server
            .post(keys, json!({ "name": "brief", "expires_in_seconds": 10 }))
            .ok()
            .await;
        let brief = made["value"].as_str().unwrap();
        server.get(PATH).key(brief).ok().await;
        server.clock.advance(9);
        server.get(PATH).key(brief).ok().await;
        server.clock.advance(1);
        server
            .get(PATH)
            .key(brief)
            .refused("invalid_api_key", None)
            .await;
        let made = server.post(keys, json!({ "name": "gone" })).ok().await;
        let gone = made["value"].as_str().unwrap();
        server.get(PATH).key(gone).ok().await;
        server
            .delete(&format!("{keys}/{}", made["id"].as_str().unwrap()))
            .ok()
            .await;
        server
            .get(PATH)
            .key(gone)
            .refused("invalid_api_key", None)
            .await;
        server
            .get(PATH)
            .key(&fixture.project_key_value)
            .refused("invalid_api_key", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn a_header_that_names_another_organization_stops_the_request() {
    on_each_store(async |server| {
        let own = server.organization.clone();
        for right in [own.as_str(), ""] {
            server
                .get(PATH)
                .header("openai-organization", right)
                .ok()
                .await;
        }
        for wrong in ["org-other", &format!("{own}x"), &own.to_uppercase()] {
            let get = server.get(PATH).header("openai-organization", wrong);
            get.refused("invalid_api_key", None).await;
        }
        let both = server.get(PATH).header("openai-organization", &own);
        both.header("openai-organization", "org-other")
            .refused("invalid_api_key", None)
            .await;
    })
    .await;
}

#[tokio::test]
async fn the_caller_s_own_request_id_is_not_ours() {
    on_each_store(async |server| {
        let answer = server
            .get(PATH)
            .header("x-client-request-id", "req_mine")
            .await;
        assert_ne!(answer.header("x-request-id"), Some("req_mine"));
        assert_eq!(
            answer.header("openai-organization"),
            Some(&*server.organization)
        );
        let again = server.get(PATH).await;
        assert_ne!(answer.header("x-request-id"), again.header("x-request-id"));
    })
    .await;
}

#[tokio::test]
async fn a_large_body_gets_its_answer_and_not_a_broken_pipe() {
    on_each_store(async |server| {
        for size in [64 * 1024 + 1, 300_000, 8_000_000] {
            let body = vec![b' '; size];
            let post = server.post(PATH, json!({})).body(&body, "application/json");
            post.refused("request_too_large", None).await;
            let post = server
                .post("/v1/nothing", json!({}))
                .body(&body, "text/plain");
            post.refused("not_found", None).await;
        }
    })
    .await;
}

#[tokio::test]
async fn health_and_readiness_need_no_key() {
    on_each_store(async |server| {
        assert_eq!(server.get("/healthz").no_key().ok().await["status"], "ok");
        assert_eq!(server.get("/readyz").no_key().ok().await["status"], "ok");
        server.app.close();
        server
            .get("/readyz")
            .no_key()
            .refused("overloaded", None)
            .await;
        assert_eq!(server.get("/healthz").no_key().ok().await["status"], "ok");
    })
    .await;
}

/// Sends bytes and gives what comes back until the server closes.
async fn raw(server: &Server, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://"))
        .await
        .unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A reset after the answer is an end as good as another.
    let _ = timeout(Duration::from_secs(20), read)
        .await
        .expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    let mut found: Vec<_> = answer
        .match_indices("HTTP/1.1 ")
        .map(|(at, word)| &answer[at + word.len()..][..3])
        .collect();
    found.dedup();
    found
}

#[tokio::test]
async fn malformed_http_is_refused_and_the_server_lives() {
    on_each_store(async |server| {
        let long = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
            "x".repeat(100_000)
        );
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
        for (sent, status) in [
            ("\0\0\0\0\r\n\r\n", "400"),
            ("GET\r\n\r\n", "400"),
            ("GET / HTTP/9.9\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "400"),
            (
                "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\nconnection: close\r\n\r\n",
                "400",
            ),
            (
                "GET /healthz HTTP/1.1\r\nhost: a b\r\n\r\n",
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                 0\r\n\r\n",
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n\
                 0\r\n\r\n",
                "400",
            ),
            ("GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", "400"),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                "400",
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
                "400",
            ),
            (&long, "431"),
            (&many, "431"),
        ] {
            let answer = raw(server, sent.as_bytes()).await;
            let shown = sent.get(..60).unwrap_or(sent);
            assert_eq!(statuses(&answer), [status], "{shown:?}: {answer}");
            let code = match status {
                "400" => "\"code\":\"bad_request\"",
                _ => "\"code\":\"headers_too_large\"",
            };
            assert!(answer.contains(code), "{shown:?}: {answer}");
            assert!(answer.contains("x-request-id: req_"), "{shown:?}: {answer}");
        }
        server.get("/healthz").ok().await;
    })
    .await;
}

#[tokio::test]
async fn the_size_of_a_head_is_exact() {
    on_each_store(async |server| {
        for path in ["/healthz", "/nowhere"] {
            let of = |size: usize| {
                let rest =
                    format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: \r\n");
                let x = "x".repeat(size - rest.len());
                rest.replace("x: \r\n", &format!("x: {x}\r\n\r\n"))
            };
            let fits = raw(server, of(32 * 1024).as_bytes()).await;
            assert_ne!(statuses(&fits), ["431"], "{fits}");
            let larger = raw(server, of(32 * 1024 + 1).as_bytes()).await;
            assert_eq!(statuses(&larger), ["431"], "{larger}");
            assert!(
                larger.contains("\"code\":\"headers_too_large\""),
                "{larger}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_acted_on() {
    on_each_store(async |server| {
        let revision = server.store.revision().await.unwrap();
        let key = &server.key;
        let head = format!(
            "POST /v1/organization/projects HTTP/1.1\r\nhost: a\r\n\
            authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        );
        let mut stream = TcpStream::connect(server.base.trim_start_matches("http://"))
            .await
            .unwrap();
        let part = format!("{head}content-length: 100\r\n\r\n{{\"name\":\"half\"}}");
        stream.write_all(part.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 200"));
        let chunked =
            format!("{head}transfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n");
        let answer = raw(server, chunked.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(server.store.revision().await.unwrap(), revision);
    })
    .await;
}

#[tokio::test]
async fn a_body_with_get_or_delete_keeps_the_connection() {
    on_each_store(async |server| {
        let key = &server.key;
        let one = |method: &str, end: &str| {
            format!(
                "{method} {PATH}/cert_a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
             content-length: 5\r\n{end}\r\nhello"
            )
        };
        let sent = one("GET", "") + &one("DELETE", "") + &one("GET", "connection: close\r\n");
        let answer = raw(server, sent.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 404").count(), 3, "{answer}");
    })
    .await;
}
