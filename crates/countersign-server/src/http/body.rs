//! The body of a request: read within a limit, then taken apart property by property, so that
//! every refusal names the property and says what to do.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use countersign_types::{certificate::MAX_NAME_CHARACTERS, error::ErrorCode};
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};

use super::{error::ApiError, json};

/// The most bytes of a body that are kept, where an operation does not say otherwise: four times the largest PEM, so that one that is too
/// large still gets the answer that speaks of certificates.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// How much of a refused body is read and thrown away, so that a client that writes first and
/// reads later sees the answer and not a broken pipe.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// Reads the whole body, up to the limit.
pub(super) async fn collect(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken_off)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            discard(body).await;
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Reads a body and forgets it. What is longer than the limit stays unread: the connection closes.
pub(super) async fn discard(mut body: Body) {
    let mut left = MAX_DISCARDED_BYTES;
    while !body.is_end_stream() {
        let Some(Ok(frame)) = body.frame().await else {
            return;
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(length) else {
            return;
        };
        left = rest;
    }
}

fn broken_off(error: axum::Error) -> ApiError {
    ApiError::new(
        ErrorCode::BadRequest,
        "The body broke off before its end. Send it again.",
    )
    .because(error.to_string())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("The body is larger than {limit} bytes. Send less.");
    ApiError::new(ErrorCode::RequestTooLarge, message)
}

/// Refuses a body that does not say that it is JSON.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next().and_then(|value| value.to_str().ok());
    let essence = first
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    match (essence, values.next()) {
        (Some(essence), None) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "The body must be JSON. Send it with the header `Content-Type: application/json`.",
        )),
    }
}

/// The properties of a JSON object in a body.
#[derive(Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn read(text: &[u8]) -> Result<Self, ApiError> {
        match json::read(text) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            Ok(_) => Err(ApiError::new(
                ErrorCode::InvalidJson,
                "The body is JSON, but not an object. Send an object: `{\"property\": value}`.",
            )),
            Err(error) => Err(ApiError::new(ErrorCode::InvalidJson, why_not_json(&error))),
        }
    }

    /// Refuses the first of these properties that is there.
    pub(super) fn refuse(&self, known: &[&'static str], why: &str) -> Result<(), ApiError> {
        let Some(found) = known.iter().find(|name| self.0.contains_key(**name)) else {
            return Ok(());
        };
        let message = format!("`{found}` cannot be given here: {why}");
        Err(ApiError::new(ErrorCode::UnsupportedParameter, message).at(*found))
    }

    pub(super) fn has(&self, param: &str) -> bool {
        self.0.contains_key(param)
    }

    pub(super) fn take(&mut self, param: &str) -> Option<Value> {
        self.0.remove(param)
    }

    /// A text; null is not one.
    pub(super) fn text(&mut self, param: &'static str) -> Result<Option<String>, ApiError> {
        match self.take(param) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(param, "a string", &other)),
        }
    }

    /// A text, or null, which is the same as absent.
    pub(super) fn text_or_null(&mut self, param: &'static str) -> Result<Option<String>, ApiError> {
        if self.0.get(param).is_some_and(Value::is_null) {
            return Ok(None);
        }
        self.text(param)
    }

    /// A name that may be absent; null is not a name.
    pub(super) fn name(&mut self) -> Result<Option<String>, ApiError> {
        self.text("name")?
            .map(|name| check_name("name", name))
            .transpose()
    }

    /// A name that may be absent or null, which is the same.
    pub(super) fn name_or_null(&mut self) -> Result<Option<String>, ApiError> {
        self.label_or_null("name")
    }

    /// A text held to the rules of names, or null, which is the same as absent.
    pub(super) fn label_or_null(
        &mut self,
        param: &'static str,
    ) -> Result<Option<String>, ApiError> {
        let text = self.text_or_null(param)?;
        text.map(|text| check_name(param, text)).transpose()
    }

    /// A name that must be there.
    pub(super) fn required_name(&mut self) -> Result<String, ApiError> {
        self.name()?.ok_or_else(|| ApiError::missing("name"))
    }

    /// Texts in an array.
    pub(super) fn texts(&mut self, param: &'static str) -> Result<Option<Vec<String>>, ApiError> {
        let items = match self.take(param) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(wrong_type(param, "an array of strings", &other)),
        };
        let text = |(at, item)| match item {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(format!("{param}[{at}]"), "a string", &other)),
        };
        items
            .into_iter()
            .enumerate()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Texts in an array, each held to the rules of names; absent is none.
    pub(super) fn labels(&mut self, param: &'static str) -> Result<Vec<String>, ApiError> {
        let texts = self.texts(param)?.unwrap_or_default();
        texts
            .into_iter()
            .map(|text| check_name(param, text))
            .collect()
    }

    pub(super) fn boolean(&mut self, param: &'static str) -> Result<Option<bool>, ApiError> {
        match self.take(param) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(wrong_type(param, "true or false", &other)),
        }
    }
}

/// Where the text stops being JSON, without a word of the text itself: it may hold a secret.
fn why_not_json(error: &serde_json::Error) -> String {
    format!(
        "The body is not valid JSON: it goes wrong at line {}, column {}. Send one JSON object in \
         UTF-8, each property once, nested less than 128 levels deep.",
        error.line(),
        error.column()
    )
}

pub(super) fn wrong_type(
    param: impl Into<std::borrow::Cow<'static, str>>,
    wanted: &str,
    found: &Value,
) -> ApiError {
    let param = param.into();
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("`{param}` must be {wanted}, but it is {found}.");
    ApiError::value(param, message)
}

/// Names are 1 to 256 characters, none of them a control character.
pub(super) fn check_name(param: &'static str, name: String) -> Result<String, ApiError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME_CHARACTERS {
        let message = format!(
            "`{param}` has {length} characters. Give 1 to {MAX_NAME_CHARACTERS} characters."
        );
        return Err(ApiError::value(param, message));
    }
    if name.chars().any(char::is_control) {
        let message = format!("`{param}` contains a control character. Leave it out.");
        return Err(ApiError::value(param, message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn media_type(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        check_media_type(&headers).is_ok()
    }

    #[test]
    fn only_json_is_taken_for_json() {
        assert!(media_type(&["application/json"]));
        assert!(media_type(&["Application/JSON ; charset=utf-8"]));
        for wrong in [
            "",
            "text/plain",
            "application/jsonx",
            "multipart/form-data; a=application/json",
        ] {
            assert!(!media_type(&[wrong]), "{wrong}");
        }
        assert!(!media_type(&[]));
        assert!(!media_type(&["application/json", "text/plain"]));
    }

    #[test]
    fn a_name_is_counted_in_characters() {
        assert!(check_name("name", "é".repeat(256)).is_ok());
        for wrong in [
            String::new(),
            "é".repeat(257),
            "a\0".into(),
            "a\u{85}".into(),
            "\n".into(),
        ] {
            assert!(check_name("name", wrong.clone()).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(text: Vec<u8>) {
            if let Err(error) = Fields::read(&text) {
                prop_assert_eq!(error.code, ErrorCode::InvalidJson);
            }
        }
    }
}
