//! What a gateway shows of itself in numbers.

use tokio::time::timeout;

use crate::{client::plain_get, process::free_address, reload::Operated, world::LIMIT};

/// The value of a series, by its name and labels.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(series)?.trim().parse().ok();
    metrics.lines().find_map(value)
}

async fn until(operated: &Operated, series: &str, fits: impl Fn(f64) -> bool) {
    let mut metrics = String::new();
    let waiting = async {
        loop {
            metrics = plain_get(operated.admin, "/metrics").await;
            if value(&metrics, series).is_some_and(&fits) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = timeout(LIMIT, waiting).await;
    assert!(waited.is_ok(), "{series}: {metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_and_projects_are_counted_also_after_a_reload() {
    let operated = Operated::with("project_metrics = 1").await;
    let key = &operated.key;
    let mut connection = operated.client.connect(operated.address).await;
    let answers = "countersign_gateway_upstream_response_duration_seconds_count{route=\"*/\"}";
    let before = value(&plain_get(operated.admin, "/metrics").await, answers).unwrap();
    assert_eq!(connection.get("/a", key, "").await.status, 200);
    until(&operated, answers, |count| count > before).await;

    let gone = free_address();
    operated.configure(|text| {
        let route = format!("[[routes]]\npath = \"/gone\"\nupstream = \"http://{gone}\"\n");
        text.replace("[[routes]]\n", &format!("{route}\n[[routes]]\n"))
    });
    operated.gateway.signal("HUP");
    operated.until_logged("configuration reloaded").await;
    let failed = async { while connection.get("/gone", key, "").await.status != 502 {} };
    timeout(LIMIT, failed).await.unwrap();
    let errors = "countersign_gateway_upstream_errors_total{route=\"*/gone\",kind=\"connect\"}";
    until(&operated, errors, |count| count > 0.0).await;
    until(&operated, answers, |count| count > before).await;

    assert_eq!(connection.get("/a", "unknown", "").await.status, 401);
    let metrics = plain_get(operated.admin, "/metrics").await;
    let of_project = |end: &str| {
        let lines = metrics.lines().filter(|line| {
            line.starts_with("countersign_gateway_project_requests_total{project=\"proj_")
        });
        lines.filter(|line| line.contains(end)).count()
    };
    assert_eq!(of_project("result=\"passed\""), 1, "{metrics}");
    assert_eq!(
        value(
            &metrics,
            "countersign_gateway_project_requests_total{project=\"other\",result=\"refused\"}"
        ),
        Some(0.0)
    );
    until(&operated, "countersign_gateway_connections ", |count| {
        count >= 1.0
    })
    .await;
    until(
        &operated,
        "countersign_gateway_disk_available_bytes ",
        |bytes| bytes > 0.0,
    )
    .await;
}
