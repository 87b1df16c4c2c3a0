//! Holds every response against our own document and, where it is, the reference.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use countersign_server::operations;
use jsonschema::Validator;
use serde_json::{Value, json};

static OURS: LazyLock<Value> = LazyLock::new(countersign_server::document);
static REFERENCE: LazyLock<Option<Value>> = LazyLock::new(|| {
    let beside = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference/openai-mtls-slice.yaml"
    );
    let named = std::env::var_os("COUNTERSIGN_REFERENCE_FILE").map(PathBuf::from);
    let text = match named {
        Some(file) => std::fs::read_to_string(file).expect("the reference file can be read"),
        None => std::fs::read_to_string(beside).ok()?,
    };
    Some(serde_norway::from_str(&text).expect("the reference file is YAML"))
});

/// The reference document, where there is one.
pub(crate) fn reference() -> Option<&'static Value> {
    REFERENCE.as_ref()
}

type Compiled = HashMap<(&'static str, String), Option<Arc<Validator>>>;
static COMPILED: LazyLock<Mutex<Compiled>> = LazyLock::new(Mutex::default);

/// Checks a response against both documents. An operation answers only the statuses that it
/// documents; a path or method that is none of ours answers an error.
pub(super) fn check(method: &str, path: &str, status: u16, body: &Value) {
    let Some(template) = template(method, path) else {
        assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
        let envelope = json!({ "$ref": "#/components/schemas/ErrorResponse" });
        return hold(
            "ours",
            "ErrorResponse".to_owned(),
            || Some((&OURS, envelope)),
            body,
        );
    };
    let name = format!("{method} {template} {status}");
    let find = || {
        let schema = response(&OURS, template, method, &[&status.to_string()]);
        Some((
            &*OURS,
            schema.unwrap_or_else(|| panic!("undocumented: {name}")),
        ))
    };
    hold("ours", name.clone(), find, body);
    let Some(reference) = reference() else { return };
    // An extension's answer, which the reference does not know.
    if body["object"]
        .as_str()
        .is_some_and(|word| word.ends_with(".preview"))
    {
        return;
    }
    let theirs = template.strip_prefix("/v1").unwrap_or(template);
    let class = format!("{}XX", status / 100);
    let find = || {
        let schema = response(reference, theirs, method, &[&status.to_string(), &class]);
        schema.map(|schema| (reference, schema))
    };
    hold("reference", name.clone(), find, body);
}

/// The path of the operation that answers, as the table writes it.
fn template(method: &str, path: &str) -> Option<&'static str> {
    let method = if method == "HEAD" { "GET" } else { method };
    let fits = |template: &str| {
        let (mut names, mut segments) = (template.split('/'), path.split('/'));
        loop {
            match (names.next(), segments.next()) {
                (None, None) => return true,
                (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {}
                (Some(name), Some(segment)) if name == segment => {}
                _ => return false,
            }
        }
    };
    let found: Vec<_> = operations()
        .iter()
        .filter(|each| fits(each.path()))
        .collect();
    // A path without names comes before one with: `…/activate` is no certificate.
    let best = found
        .iter()
        .map(|each| each.path())
        .min_by_key(|path| path.matches('{').count())?;
    let of_method = found
        .iter()
        .find(|each| each.path() == best && each.method() == method);
    of_method.map(|each| each.path())
}

fn response(document: &Value, path: &str, method: &str, statuses: &[&str]) -> Option<Value> {
    let responses = &document["paths"][path][method.to_lowercase()]["responses"];
    let found = statuses.iter().find_map(|status| responses.get(*status))?;
    let schema = &found["content"]["application/json"]["schema"];
    (!schema.is_null()).then(|| schema.clone())
}

fn hold(
    source: &'static str,
    name: String,
    find: impl FnOnce() -> Option<(&'static Value, Value)>,
    body: &Value,
) {
    let compile = || {
        let (document, schema) = find()?;
        let whole = json!({ "allOf": [schema], "components": document["components"] });
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        Some(Arc::new(options.build(&whole).expect("the schema is one")))
    };
    let mut compiled = COMPILED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = compiled
        .entry((source, name.clone()))
        .or_insert_with(compile)
        .clone();
    drop(compiled);
    let Some(validator) = validator else { return };
    let wrong: Vec<_> = validator
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert!(wrong.is_empty(), "{source}: {name}: {wrong:#?}\n{body:#}");
}
