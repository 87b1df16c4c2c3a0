//! Answers with one object, and the requests by which it was asked for.

use serde_json::{Value, json};

use super::{
    printed, run,
    shapes::{
        ADMIN_KEY, CERTIFICATE, CREATED_ADMIN_KEY, CREATED_SERVICE_ACCOUNT, DELETED_ADMIN_KEY,
        DELETED_CERTIFICATE, DELETED_PROJECT_KEY, DELETED_SERVICE_ACCOUNT, PROJECT, PROJECT_KEY,
        SCOPED_CERTIFICATE, SERVICE_ACCOUNT, SERVICE_ACCOUNT_KEY, Shape,
    },
    stand_in::StandIn,
    variants::{NEW_WORD, strange, variants},
};

/// A line of words, an id of another form among them; and what it is answered with.
const COMMANDS: [(&str, &str, Shape); 20] = [
    (
        "certificate retrieve a/b",
        "GET /organization/certificates/a%2Fb",
        CERTIFICATE,
    ),
    (
        "certificate retrieve 4711 --content",
        "GET /organization/certificates/4711",
        CERTIFICATE,
    ),
    (
        "certificate update 4711 --name x",
        "POST /organization/certificates/4711",
        CERTIFICATE,
    ),
    (
        "certificate set-policy 4711 --none",
        "POST /organization/certificates/4711/policy",
        CERTIFICATE,
    ),
    (
        "project create --name x",
        "POST /organization/projects",
        PROJECT,
    ),
    (
        "project retrieve 4711",
        "GET /organization/projects/4711",
        PROJECT,
    ),
    (
        "project update 4711 --name x",
        "POST /organization/projects/4711",
        PROJECT,
    ),
    (
        "project archive 4711 --yes",
        "POST /organization/projects/4711/archive",
        PROJECT,
    ),
    (
        "service-account create --name x",
        "POST /organization/projects/blue/service_accounts",
        CREATED_SERVICE_ACCOUNT,
    ),
    (
        "service-account retrieve 4711",
        "GET /organization/projects/blue/service_accounts/4711",
        SERVICE_ACCOUNT,
    ),
    (
        "service-account update 4711 --name x",
        "POST /organization/projects/blue/service_accounts/4711",
        SERVICE_ACCOUNT,
    ),
    (
        "service-account delete 4711 --yes",
        "DELETE /organization/projects/blue/service_accounts/4711",
        DELETED_SERVICE_ACCOUNT,
    ),
    (
        "service-account create-key 4711",
        "POST /organization/projects/blue/service_accounts/4711/api_keys",
        SERVICE_ACCOUNT_KEY,
    ),
    (
        "api-key retrieve 4711",
        "GET /organization/projects/blue/api_keys/4711",
        PROJECT_KEY,
    ),
    (
        "api-key delete 4711 --yes",
        "DELETE /organization/projects/blue/api_keys/4711",
        DELETED_PROJECT_KEY,
    ),
    (
        "admin-key create --name x",
        "POST /organization/admin_api_keys",
        CREATED_ADMIN_KEY,
    ),
    (
        "admin-key retrieve 4711",
        "GET /organization/admin_api_keys/4711",
        ADMIN_KEY,
    ),
    (
        "admin-key delete 4711 --yes",
        "DELETE /organization/admin_api_keys/4711",
        DELETED_ADMIN_KEY,
    ),
    (
        "certificate retrieve 01J9ZC.x-y",
        "GET /organization/certificates/01J9ZC.x-y",
        CERTIFICATE,
    ),
    (
        "project retrieve ~",
        "GET /organization/projects/~",
        PROJECT,
    ),
];

/// Where a name is looked for.
const LISTS: [&str; 5] = [
    "GET /v1/organization/certificates",
    "GET /v1/organization/projects",
    "GET /v1/organization/admin_api_keys",
    "GET /v1/organization/projects/blue/service_accounts",
    "GET /v1/organization/projects/blue/api_keys",
];

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[tokio::test]
async fn each_command_shows_what_it_was_answered_whatever_that_is() {
    let server = StandIn::start().await;
    for (line, request, shape) in COMMANDS {
        let answer = Value::Object(strange(shape));
        server.answer(answer.clone());
        assert_eq!(printed(&server, &words(line)).await, answer, "{line}");
        let wanted = request.replacen(" /", " /v1/", 1);
        let mut asked = server.take_asked();
        // Before a change, what the server can preview, and whether a key is the one in use; and whether
        // a text that has not the form of Countersign's own ids is the name of something.
        let deletes_key = line.starts_with("admin-key delete");
        asked.retain(|each| {
            each != "GET /v1/countersign/extensions"
                && !LISTS.contains(&each.as_str())
                && !(deletes_key && each.starts_with("GET "))
        });
        assert_eq!(asked, [wanted], "{line}");
        let table = [words(line), words("-o table")].concat();
        run(&server, &table).await;
        server.take_asked();
    }
}

#[tokio::test]
async fn deleting_several_shows_each_answer() {
    let server = StandIn::start().await;
    let answer = Value::Object(strange(DELETED_CERTIFICATE));
    server.answer(answer.clone());
    let delete = words("certificate delete 4711 cert_a --yes");
    assert_eq!(printed(&server, &delete).await, json!([answer, answer]));
}

#[tokio::test]
async fn activations_show_their_certificates_in_every_variant() {
    let server = StandIn::start().await;
    let all = variants(SCOPED_CERTIFICATE).into_iter();
    let data: Vec<_> = all.map(|(_, each)| each).collect();
    for object in ["organization.certificate.activation", NEW_WORD] {
        server.answer(json!({ "object": object, "data": data, "added_later": 1 }));
        for line in [
            "certificate activate 4711 cert_a --yes",
            "certificate deactivate 4711 --project blue --yes --allow-disarm",
        ] {
            assert_eq!(printed(&server, &words(line)).await, json!(data), "{line}");
        }
    }
}

#[tokio::test]
async fn a_text_that_no_url_can_name_is_not_sent() {
    let server = StandIn::start().await;
    server.answer(Value::Object(strange(PROJECT)));
    for (id, asked) in [
        ("", None),
        (".", None),
        ("..", None),
        ("cert_abc", None),
        // A name may have blanks, an id may not.
        ("a b", Some("GET /v1/organization/projects")),
    ] {
        let mut command = crate::running::countersign(&["project", "retrieve", id]);
        command
            .env("OPENAI_ADMIN_KEY", "sk-admin-x")
            .env("OPENAI_BASE_URL", &server.base_url);
        let ran = tokio::process::Command::from(command).output().await;
        assert_eq!(ran.unwrap().status.code(), Some(2), "{id}");
        assert_eq!(server.take_asked(), asked.as_slice(), "{id}");
    }
}
