use serde_json::{Value, json};

use crate::harness::{START, on_each_store};

const PATH: &str = "/v1/organization/audit_logs";

fn types(page: &Value) -> Vec<&str> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_filter_narrows() {
    on_each_store(async |server| {
        let fixture = server.fixture().await;
        server.clock.advance(10);
        server
            .toggle("activate", Some(&fixture.project), &[&fixture.certificate])
            .await;
        server.clock.advance(10);
        server
            .toggle(
                "deactivate",
                Some(&fixture.project),
                &[&fixture.certificate],
            )
            .await;
        let (on, off) = ("certificates.activated", "certificates.deactivated");
        let both = "event_types[]=certificates.activated&event_types[]=certificates.deactivated";
        let (on_at, off_at) = (START + 10, START + 20);
        let (project, certificate) = (&fixture.project, &fixture.certificate);
        for (query, wanted) in [
            (both.to_owned(), vec![off, on]),
            ("event_types=certificates.activated".to_owned(), vec![on]),
            (format!("effective_at[gt]={START}"), vec![off, on]),
            (format!("effective_at%5Bgte%5D={off_at}"), vec![off]),
            (
                format!("effective_at[gt]={START}&effective_at[lt]={off_at}"),
                vec![on],
            ),
            (format!("effective_at[lte]={on_at}&{both}"), vec![on]),
            (format!("{both}&project_ids[]={project}"), vec![off, on]),
            (format!("{both}&project_ids[]=proj_other"), vec![]),
            (
                format!("resource_ids[]={certificate}&effective_at[gt]={START}"),
                vec![off, on],
            ),
            (format!("{both}&resource_ids[]=x"), vec![]),
            (format!("{both}&actor_ids[]=key_other"), vec![]),
            (format!("{both}&actor_emails[]=a@example.com"), vec![]),
            (format!("{both}&tenant_only=false"), vec![off, on]),
            ("event_types[]=login.succeeded".to_owned(), vec![]),
        ] {
            let page = server.get(&format!("{PATH}?{query}")).ok().await;
            assert_eq!(types(&page), wanted, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn it_pages_both_ways() {
    on_each_store(async |server| {
        for number in 0..5 {
            server.project(&format!("Project {number}")).await;
        }
        let query = "event_types[]=project.created";
        let all = server.get(&format!("{PATH}?{query}")).ok().await;
        let ids: Vec<_> = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), 5);
        let page = server
            .get(&format!("{PATH}?{query}&limit=2&after={}", ids[1]))
            .ok()
            .await;
        assert_eq!(
            (&page["first_id"], &page["last_id"]),
            (&json!(ids[2]), &json!(ids[3]))
        );
        assert_eq!(page["has_more"], true);
        let page = server
            .get(&format!("{PATH}?{query}&limit=2&before={}", ids[3]))
            .ok()
            .await;
        assert_eq!(
            (&page["first_id"], &page["last_id"]),
            (&json!(ids[1]), &json!(ids[2]))
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_event_type_is_refused_with_the_nearest_ones_named_first() {
    on_each_store(async |server| {
        let get = server.get(&format!("{PATH}?event_types[]=certificate.create"));
        let message = get.refused("invalid_value", Some("event_types")).await;
        assert!(
            message.starts_with("`event_types` must be `certificate.created`, `certificate.")
                && message.ends_with("Send `event_types[]=certificate.created`, or leave it out."),
            "{message}"
        );
    })
    .await;
}

#[tokio::test]
async fn its_query_is_checked() {
    on_each_store(async |server| {
        for (query, param) in [
            ("before=x", "before"),
            ("before=audit_log-unknown", "before"),
            ("after=audit_log-unknown", "after"),
            ("effective_at[gt]=-1", "effective_at[gt]"),
            ("effective_at[lte]=soon", "effective_at[lte]"),
            ("effective_at[gte]=9223372036854775808", "effective_at[gte]"),
            ("tenant_only=true", "tenant_only"),
            ("tenant_only=maybe", "tenant_only"),
        ] {
            server
                .get(&format!("{PATH}?{query}"))
                .refused("invalid_value", Some(param))
                .await;
        }
        let many = "actor_ids[]=a&".repeat(101);
        server
            .get(&format!("{PATH}?{many}"))
            .refused("invalid_value", Some("actor_ids"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn its_events_are_a_chain_that_ends_with_its_head() {
    on_each_store(async |server| {
        server.fixture().await;
        server.clock.advance(5);
        server.project("Naïve \"quoted\" \\ 😀").await;
        let head = server.get(&format!("{PATH}/head")).ok().await;
        let page = server.get(&format!("{PATH}?limit=100")).ok().await;
        let events = page["data"].as_array().unwrap();
        let mut previous = json!("0".repeat(64));
        for (number, event) in (1_u64..).zip(events.iter().rev()) {
            let chain = &event["chain"];
            assert_eq!(
                (&chain["number"], &chain["previous_sha256"]),
                (&json!(number), &previous)
            );
            previous = chain["sha256"].clone();
        }
        let newest = json!({
            "object": "audit_log.head",
            "number": events.len(),
            "sha256": previous,
            "effective_at": START + 5,
        });
        assert_eq!(head, newest);
        let other = server.other_organization().await;
        let theirs = server.get(&format!("{PATH}/head")).key(&other).ok().await;
        assert_eq!(theirs["number"], 1, "each organization has its own");
    })
    .await;
}
