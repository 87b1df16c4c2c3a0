//! The committed document is the one that the code makes.

use std::path::Path;

use crate::harness::on_each_store;

/// Set to anything, it writes the document instead of comparing.
const UPDATE: &str = "COUNTERSIGN_UPDATE_OPENAPI";

fn made() -> String {
    let mut text = serde_json::to_string_pretty(&countersign_server::document()).unwrap();
    text.push('\n');
    text
}

#[test]
fn the_document_in_the_repository_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, made()).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == made(),
        "openapi.json is out of date: run this test with {UPDATE}=1"
    );
}

#[tokio::test]
async fn it_is_served_to_anyone() {
    on_each_store(async |server| {
        let answer = server.get("/openapi.json").no_key().await;
        assert_eq!(String::from_utf8(answer.text).unwrap(), made());
    })
    .await;
}

#[test]
fn every_operation_documents_what_it_may_answer() {
    let document = countersign_server::document();
    for operation in countersign_server::operations() {
        let method = operation.method().as_str().to_lowercase();
        let described = &document["paths"][operation.path()][method];
        assert_eq!(described["operationId"], operation.id());
        assert!(!described["summary"].as_str().unwrap().is_empty());
        let responses = described["responses"].as_object().unwrap();
        assert!(responses.contains_key("200"));
        assert!(!responses.contains_key("409"));
        if operation.needs() != countersign_server::Needs::Nothing {
            assert!(
                ["400", "401", "503"]
                    .iter()
                    .all(|status| responses.contains_key(*status))
            );
        }
    }
}
