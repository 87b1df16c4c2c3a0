//! The figures of a server, as Prometheus reads them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::on_each_store;

#[tokio::test]
async fn requests_anchors_and_the_revision_are_shown_with_bounded_labels() {
    // Before any server of this process is made: their meters keep the recorder that there is.
    let handle = countersign_server::metrics::install().unwrap();
    on_each_store(async |server| {
        let id = server.upload("Example Root").await;
        server.get("/v1/organization/certificates/cert_unknown").refused("not_found", None).await;
        server.get("/v1/no/such/path").refused("not_found", None).await;
        let address = server.base.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/9.9\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let ages = countersign_server::metrics::GatewayAges { kept_for: 60, live_for: 30 };
        let router = countersign_server::metrics::router(handle.clone(), server.store.clone(), ages);
        let limits = countersign_server::Limits::default();
        let never = std::future::pending();
        let serving = countersign_server::serve(listener, router, None, limits, never);
        let serving = tokio::spawn(serving);
        let scrape = async || {
            server.client.get(&url).send().await.unwrap().text().await.unwrap()
        };
        let anchor = format!(
            "countersign_certificate_not_after_seconds{{organization=\"{}\",certificate=\"{id}\"}} {}",
            server.organization,
            countersign_testca::NOT_AFTER
        );
        assert!(!scrape().await.contains(&anchor));
        server.toggle("activate", None, &[&id]).await;
        let text = scrape().await;
        assert!(text.contains(&anchor), "{text}");
        assert!(text.contains("countersign_gateways{state=\"missing\"} 0\n"), "{text}");
        let revision = server.store.revision().await.unwrap();
        assert!(text.contains(&format!("countersign_revision {revision}\n")), "{text}");
        let route = "route=\"/v1/organization/certificates/{certificate_id}\"";
        let counted = |line: &&str| line.starts_with("countersign_http_requests_total{");
        let lines: Vec<_> = text.lines().filter(counted).collect();
        assert!(lines.iter().any(|each| each.contains(route) && each.contains("\"404\"")), "{text}");
        for route in ["unmatched", "unreadable"] {
            let route = format!("route=\"{route}\"");
            assert!(lines.iter().any(|each| each.contains(&route)), "{text}");
        }
        for secret in ["cert_unknown", "no/such", &server.key] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("countersign_http_request_duration_seconds_bucket{"), "{text}");
        server.toggle("deactivate", None, &[&id]).await;
        assert!(!scrape().await.contains(&anchor));
        serving.abort();
    })
    .await;
}
