//! Lists: one entry that is unlike the others must not lose them.

use countersign_client::{
    AuditLogParams, Client, Error, ItemStream, ListParams, ProjectListParams, Received,
    types::{certificate::Scope, id::ProjectId, secret::Secret},
};
use futures_util::TryStreamExt as _;
use serde_json::{Map, Value, json};

use super::{
    page, printed, run,
    shapes::{
        ADMIN_KEY, AUDIT_LOG, PROJECT, PROJECT_KEY, SCOPED_CERTIFICATE, SERVICE_ACCOUNT, Shape,
    },
    stand_in::StandIn,
    variants::{NEW_WORD, variants, whole},
};

/// The lists of the reference.
#[derive(Debug, Clone, Copy)]
enum List {
    OrganizationCertificates,
    ProjectCertificates,
    Projects,
    ServiceAccounts,
    ProjectKeys,
    AdminKeys,
    AuditLogs,
}

const LISTS: [(List, Shape, &[&str]); 7] = [
    (
        List::OrganizationCertificates,
        SCOPED_CERTIFICATE,
        &["certificate", "list"],
    ),
    (
        List::ProjectCertificates,
        SCOPED_CERTIFICATE,
        &["certificate", "list", "--project", "blue"],
    ),
    (List::Projects, PROJECT, &["project", "list"]),
    (
        List::ServiceAccounts,
        SERVICE_ACCOUNT,
        &["service-account", "list"],
    ),
    (List::ProjectKeys, PROJECT_KEY, &["api-key", "list"]),
    (List::AdminKeys, ADMIN_KEY, &["admin-key", "list"]),
    (
        List::AuditLogs,
        AUDIT_LOG,
        &["audit-log", "list", "--limit", "1000"],
    ),
];

impl List {
    /// Every entry, as the client serializes what it read.
    async fn read(self, client: &Client) -> Result<Vec<Value>, Error> {
        let (all, blue) = (ListParams::default(), ProjectId::opaque("blue"));
        let certificates = client.certificates();
        match self {
            Self::OrganizationCertificates => {
                collect(certificates.stream(&Scope::Organization, &all)).await
            }
            Self::ProjectCertificates => {
                collect(certificates.stream(&Scope::Project(blue), &all)).await
            }
            Self::Projects => {
                collect(client.projects().stream(&ProjectListParams::default())).await
            }
            Self::ServiceAccounts => collect(client.service_accounts(&blue).stream(&all)).await,
            Self::ProjectKeys => collect(client.api_keys(&blue).stream(&all)).await,
            Self::AdminKeys => collect(client.admin_api_keys().stream(&all)).await,
            Self::AuditLogs => {
                collect(client.audit_logs().stream(&AuditLogParams::default())).await
            }
        }
    }
}

async fn collect<T: Send>(entries: ItemStream<Received<T>>) -> Result<Vec<Value>, Error> {
    let as_sent = entries.map_ok(|entry| serde_json::to_value(&entry).unwrap());
    as_sent.try_collect().await
}

fn client(server: &StandIn) -> Client {
    Client::builder()
        .base_url(&server.base_url)
        .key(Secret::new("sk-admin-x"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_client_reads_each_variant_of_each_entry_among_others() {
    let server = StandIn::start().await;
    let client = client(&server);
    for (list, shape, _) in LISTS {
        let usual = whole(shape);
        for (what, changed) in variants(shape) {
            let entries = [usual.clone(), changed, usual.clone()];
            server.answer(page(&entries));
            let read = list.read(&client).await;
            assert!(read.is_ok(), "{list:?}, {what}: {read:?}");
            assert_eq!(json!(read.unwrap()), json!(entries), "{list:?}, {what}");
        }
    }
}

#[tokio::test]
async fn a_page_may_say_less_or_more_of_itself() {
    let server = StandIn::start().await;
    let client = client(&server);
    for (list, shape, _) in LISTS {
        let usual = page(&[whole(shape)]);
        for changes in [
            json!({ "first_id": null, "last_id": null }),
            json!({ "first_id": "4711", "last_id": "a/b" }),
            json!({ "object": NEW_WORD }),
            json!({ "added_later": { "deep": [1] } }),
        ] {
            let mut changed = usual.clone();
            let pairs = changes.as_object().unwrap().clone();
            changed.as_object_mut().unwrap().extend(pairs);
            server.answer(changed);
            let read = list.read(&client).await;
            assert!(read.is_ok(), "{list:?}, {changes}: {read:?}");
            let usual = [Value::Object(whole(shape))];
            assert_eq!(read.unwrap(), usual, "{list:?}, {changes}");
        }
    }
}

#[tokio::test]
async fn the_command_line_shows_every_variant_as_it_came() {
    let server = StandIn::start().await;
    for (list, shape, args) in LISTS {
        let entries: Vec<_> = variants(shape).into_iter().map(|(_, each)| each).collect();
        server.answer(page(&entries));
        assert_eq!(printed(&server, args).await, json!(entries), "{list:?}");

        let lines = run(&server, &[args, &["-o", "jsonl"]].concat()).await;
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Map<String, Value>> = lines.collect();
        assert_eq!(lines, entries, "{list:?} as JSON lines");

        let yaml = run(&server, &[args, &["-o", "yaml"]].concat()).await;
        let yaml: Value = serde_norway::from_str(&yaml).unwrap();
        assert_eq!(yaml, json!(entries), "{list:?} as YAML");

        let table = run(&server, &[args, &["-o", "table"]].concat()).await;
        assert_eq!(table.lines().count(), entries.len() + 1, "{table}");
        assert!(!table.contains('\u{1b}'), "nothing steers the terminal");
    }
}

#[tokio::test]
async fn tables_show_words_that_are_new_as_they_came() {
    let server = StandIn::start().await;
    for (shape, name, args) in [
        (PROJECT, "status", &["project", "list"]),
        (SERVICE_ACCOUNT, "role", &["service-account", "list"]),
        (AUDIT_LOG, "type", &["audit-log", "list"]),
        (SCOPED_CERTIFICATE, "enforcement", &["certificate", "list"]),
    ] {
        let mut entry = whole(shape);
        entry.insert(name.to_owned(), json!(NEW_WORD));
        entry.insert("id".to_owned(), json!("4711"));
        server.answer(page(&[entry]));
        let table = run(&server, &[args.as_slice(), &["-o", "table"]].concat()).await;
        assert!(table.contains(NEW_WORD), "{name}: {table}");
    }
}

#[tokio::test]
async fn an_actor_of_a_new_kind_is_shown_by_its_kind() {
    let server = StandIn::start().await;
    let mut event = whole(AUDIT_LOG);
    let actor = json!({ "type": NEW_WORD, "unheard_of": { "id": "w-1" } });
    event.insert("actor".to_owned(), actor);
    server.answer(page(&[event]));
    let table = run(&server, &["audit-log", "list", "-o", "table"]).await;
    assert!(table.contains(NEW_WORD), "{table}");
}

/// The types that the reference has, and one that it may have one day.
fn event_types() -> Vec<String> {
    let document = include_str!("../../../../../openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let parameters = &document["paths"]["/v1/organization/audit_logs"]["get"]["parameters"];
    let filter = parameters.as_array().unwrap().iter();
    let mut filter = filter.filter(|each| each["name"] == "event_types[]");
    let known = &filter.next().unwrap()["schema"]["items"]["enum"];
    let mut types: Vec<String> = serde_json::from_value(known.clone()).unwrap();
    types.push(NEW_WORD.to_owned());
    types
}

#[tokio::test]
async fn events_of_every_type_are_listed_with_their_details() {
    let server = StandIn::start().await;
    let types = event_types();
    assert!(types.len() > 100, "{} types", types.len());
    let event = |event_type: &String| {
        let mut event = whole(AUDIT_LOG);
        event.remove("certificate.updated");
        event.insert("type".to_owned(), json!(event_type));
        let details = json!({ "id": "thing-1", "changes_requested": { "role": "owner" },
            "configs": [{ "id": "4711", "name": null }], "certificates": [{ "id": "a/b" }] });
        event.insert(event_type.clone(), details);
        event
    };
    let events: Vec<_> = types.iter().map(event).collect();
    server.answer(page(&events));
    let list = ["audit-log", "list", "--limit", "1000"];
    assert_eq!(printed(&server, &list).await, json!(events));
    let table = run(&server, &[list.as_slice(), &["-o", "table"]].concat()).await;
    for event_type in &types {
        assert!(table.contains(event_type.as_str()), "{event_type}");
    }
}
