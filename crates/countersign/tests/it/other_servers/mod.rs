//! Other servers of this API, and later ones: whatever they add, leave out or call by a new name,
//! their answers are read, and `-o json` shows them as they came.

mod lists;
mod shapes;
mod single;
mod stand_in;
mod variants;

use serde_json::{Map, Value, json};

use self::stand_in::StandIn;
use crate::running::countersign;

/// A page of these entries, and nothing after it.
fn page(entries: &[Map<String, Value>]) -> Value {
    json!({ "object": "list", "data": entries, "has_more": false })
}

/// Runs the command line against the stand-in; it must succeed, and its output is returned.
async fn run(server: &StandIn, args: &[&str]) -> String {
    let mut command = countersign(args);
    command
        .env("OPENAI_ADMIN_KEY", "sk-admin-x")
        .env("OPENAI_PROJECT_ID", "blue")
        .env("OPENAI_BASE_URL", &server.base_url);
    let ran = tokio::process::Command::from(command)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{args:?}: {stderr}");
    String::from_utf8(ran.stdout).unwrap()
}

/// What a command prints with `-o json`.
async fn printed(server: &StandIn, args: &[&str]) -> Value {
    let args = [args, &["-o", "json"]].concat();
    serde_json::from_str(&run(server, &args).await).unwrap()
}
