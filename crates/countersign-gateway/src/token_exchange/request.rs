//! The body of an exchange (RFC 8693, section 2.1), read strictly.

use countersign_types::token::TokenError;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The only grant.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What is exchanged: the certificate of the connection.
const SUBJECT_TOKEN_TYPE: &str = "urn:openai:params:oauth:token-type:x509";
/// The longest text that is taken for an id.
const MAX_ID: usize = 256;

/// What a workload asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) identity_provider_id: String,
    pub(super) service_account_id: String,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    grant_type: Value,
    #[serde(default)]
    subject_token_type: Value,
    #[serde(default)]
    identity_provider_id: Value,
    #[serde(default)]
    service_account_id: Value,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Reads a body; why it is refused is for the operator.
pub(super) fn read(body: &[u8]) -> Result<Wanted, (TokenError, &'static str)> {
    let invalid = |why| (TokenError::InvalidRequest, why);
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| invalid("the body is not a JSON object, or names a property twice"))?;
    match body.grant_type.as_str() {
        Some(GRANT) => {}
        Some(_) => return Err((TokenError::UnsupportedGrantType, "another grant")),
        None => return Err(invalid("`grant_type` is missing or no string")),
    }
    if body.others.contains_key("subject_token") {
        return Err(invalid(
            "`subject_token` is given: the certificate is exchanged",
        ));
    }
    if !body.others.is_empty() {
        return Err(invalid(
            "the body has a property that exchanges do not have",
        ));
    }
    if body.subject_token_type.as_str() != Some(SUBJECT_TOKEN_TYPE) {
        return Err(invalid("`subject_token_type` is missing or another"));
    }
    let id = |value: Value| match value {
        Value::String(id) if !id.is_empty() && id.len() <= MAX_ID => Some(id),
        _ => None,
    };
    Ok(Wanted {
        identity_provider_id: id(body.identity_provider_id)
            .ok_or(invalid("`identity_provider_id` is missing or no id"))?,
        service_account_id: id(body.service_account_id)
            .ok_or(invalid("`service_account_id` is missing or no id"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_kind_of_body_is_read_and_nothing_else() {
        let right = json!({
            "grant_type": GRANT, "subject_token_type": SUBJECT_TOKEN_TYPE,
            "identity_provider_id": "idp_a", "service_account_id": "svc_acct_a",
        });
        let read = |body: &Value| read(body.to_string().as_bytes());
        let wanted = read(&right).unwrap();
        assert_eq!(wanted.identity_provider_id, "idp_a");
        let with = |name: &str, value: Value| {
            let mut body = right.clone();
            body[name] = value;
            body
        };
        let without = |name: &str| {
            let mut body = right.clone();
            body.as_object_mut().unwrap().remove(name);
            body
        };
        for (body, error) in [
            (
                with("subject_token", json!("a")),
                TokenError::InvalidRequest,
            ),
            (with("client_id", json!("a")), TokenError::InvalidRequest),
            (with("scope", json!("a")), TokenError::InvalidRequest),
            (
                with("grant_type", json!("password")),
                TokenError::UnsupportedGrantType,
            ),
            (with("grant_type", json!(7)), TokenError::InvalidRequest),
            (
                with("subject_token_type", json!("jwt")),
                TokenError::InvalidRequest,
            ),
            (
                with("identity_provider_id", json!("")),
                TokenError::InvalidRequest,
            ),
            (
                with("service_account_id", json!(["a"])),
                TokenError::InvalidRequest,
            ),
            (without("grant_type"), TokenError::InvalidRequest),
            (without("service_account_id"), TokenError::InvalidRequest),
            (json!([]), TokenError::InvalidRequest),
            (json!("a"), TokenError::InvalidRequest),
        ] {
            assert_eq!(read(&body).unwrap_err().0, error, "{body}");
        }
        let twice = right.to_string().replacen('{', "{\"grant_type\":\"a\",", 1);
        assert!(super::read(twice.as_bytes()).is_err());
        assert!(super::read(b"grant_type=a").is_err());
    }
}
