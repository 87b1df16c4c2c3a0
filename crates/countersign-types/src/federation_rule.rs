//! Federation rules: which workloads of a provider get tokens of which service account
//! (docs/specification.md, section 6).

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};
use serde_json::Number;
use serde_with::{rust::double_option, skip_serializing_none};

use crate::{
    UnixSeconds,
    id::{self, FederationRuleId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
};

/// The most attributes that a rule may match: a provider computes no more.
pub const MAX_MATCHERS: usize = crate::workload_identity_provider::MAX_TRANSFORMATIONS;
/// The most characters of a value to match.
pub const MAX_MATCHER_CHARACTERS: usize = 2048;
/// The most scopes of a rule.
pub const MAX_SCOPES: usize = 100;
/// The most characters of a scope.
pub const MAX_SCOPE_CHARACTERS: usize = 256;

/// The object type `organization.workload_identity_federation_rule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FederationRuleObject {
    /// `organization.workload_identity_federation_rule`
    #[serde(rename = "organization.workload_identity_federation_rule")]
    Rule,
}

/// What an attribute must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum MatcherValue {
    /// This text; with `*` at its end, any text that begins with the rest.
    Text(String),
    /// True or false.
    Bool(bool),
    /// This number.
    #[cfg_attr(feature = "openapi", schema(value_type = f64))]
    Number(Number),
}

impl<'de> Deserialize<'de> for MatcherValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyMatcher)
    }
}

/// Why a text cannot be what an attribute must be, as the rest of a sentence about it; none if it can. One
/// `*` may stand at its end, after something.
#[must_use]
pub fn wrong_matcher(text: &str) -> Option<String> {
    let length = text.chars().count();
    if length == 0 || length > MAX_MATCHER_CHARACTERS || text.chars().any(char::is_control) {
        return Some(format!(
            "must have 1 to {MAX_MATCHER_CHARACTERS} characters, and no control characters"
        ));
    }
    let exact = text.strip_suffix('*').unwrap_or(text);
    (exact.is_empty() || exact.contains('*')).then(|| {
        "has `*` in a place where it means nothing. One `*` may stand at the end, after the text that \
         values begin with"
            .to_owned()
    })
}

/// Why a text cannot be a scope, as the rest of a sentence about it; none if it can. Scopes are as RFC 6749,
/// section 3.3 has them, so that tokens can name several with spaces between them.
#[must_use]
pub fn wrong_scope(scope: &str) -> Option<String> {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let right = (1..=MAX_SCOPE_CHARACTERS).contains(&scope.len()) && scope.bytes().all(fits);
    (!right).then(|| {
        format!(
            "must have 1 to {MAX_SCOPE_CHARACTERS} visible ASCII characters, none of them a quotation \
             mark or a backslash"
        )
    })
}

struct AnyMatcher;

impl Visitor<'_> for AnyMatcher {
    type Value = MatcherValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, or true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<MatcherValue, E> {
        Ok(MatcherValue::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<MatcherValue, E> {
        Ok(MatcherValue::Bool(value))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<MatcherValue, E> {
        Ok(MatcherValue::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<MatcherValue, E> {
        Ok(MatcherValue::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<MatcherValue, E> {
        let finite = Number::from_f64(number);
        finite
            .map(MatcherValue::Number)
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }
}

/// What a token of a rule may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FederationPermissionType {
    /// What the service account's keys may do.
    ServiceAccountDefault,
    /// No more than these scopes.
    Restricted,
}

/// What a token of a rule may do.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationPermissions {
    /// `service_account_default` or `restricted`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = FederationPermissionType))]
    pub kind: OrUnknown<FederationPermissionType>,
    /// The scopes, with `restricted` only.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 100))]
    pub scopes: Option<Vec<String>>,
}

impl Default for FederationPermissions {
    fn default() -> Self {
        Self {
            kind: FederationPermissionType::ServiceAccountDefault.into(),
            scopes: None,
        }
    }
}

/// A federation rule: a workload whose attributes match gets tokens of the service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationRule {
    /// Always `organization.workload_identity_federation_rule`.
    #[cfg_attr(feature = "openapi", schema(value_type = FederationRuleObject))]
    pub object: OrUnknown<FederationRuleObject>,
    /// Its id, `idprule_…`.
    pub id: FederationRuleId,
    /// The provider that computes the attributes.
    pub workload_identity_provider_id: WorkloadIdentityProviderId,
    /// The service account's project.
    pub project_id: ProjectId,
    /// The service account that tokens are of.
    pub service_account_id: ServiceAccountId,
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub name: Option<String>,
    /// What it is for.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub description: Option<String>,
    /// Whether it admits anybody.
    pub enabled: bool,
    /// What each attribute must be; all of them must match.
    pub attribute_matchers: BTreeMap<String, MatcherValue>,
    /// What its tokens may do.
    pub permissions: FederationPermissions,
    /// When it was created, in Unix seconds.
    pub created_at: UnixSeconds,
    /// When it was changed last, in Unix seconds.
    pub updated_at: UnixSeconds,
}

impl Listed for FederationRule {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates a federation rule.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationRuleCreateRequest {
    /// What attributes must be: 1 to 20, by names that begin with `openai.`.
    pub attribute_matchers: BTreeMap<String, MatcherValue>,
    /// The service account's project.
    #[serde(deserialize_with = "id::checked")]
    pub project_id: ProjectId,
    /// The service account that tokens are of.
    #[serde(deserialize_with = "id::checked")]
    pub service_account_id: ServiceAccountId,
    /// Its name: 1 to 256 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: Option<String>,
    /// What it is for: at most 1,024 characters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub description: Option<String>,
    /// Whether it admits workloads at once; without it, it does.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enabled: Option<bool>,
    /// What its tokens may do; without it, what the service account's keys may.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub permissions: Option<FederationPermissions>,
}

/// Changes a federation rule; what is absent stays as it is. For another service account, create
/// another rule.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FederationRuleUpdateRequest {
    /// What attributes must be from now on.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub attribute_matchers: Option<BTreeMap<String, MatcherValue>>,
    /// The new name; null for none.
    #[serde(default, with = "double_option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 256))]
    pub name: Option<Option<String>>,
    /// The new description; null for none.
    #[serde(default, with = "double_option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 1024))]
    pub description: Option<Option<String>>,
    /// Whether it admits workloads. A change of it ends the tokens that it gave.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub enabled: Option<bool>,
    /// What its tokens may do from now on.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub permissions: Option<FederationPermissions>,
}

/// The response to deleting a federation rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedFederationRule {
    /// Always `organization.workload_identity_federation_rule.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedFederationRuleObject))]
    pub object: OrUnknown<DeletedFederationRuleObject>,
    /// Its id.
    pub id: FederationRuleId,
    /// Always true.
    pub deleted: bool,
}

/// The object type `organization.workload_identity_federation_rule.deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedFederationRuleObject {
    /// `organization.workload_identity_federation_rule.deleted`
    #[serde(rename = "organization.workload_identity_federation_rule.deleted")]
    Deleted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matcher_is_a_string_a_number_or_a_bool() {
        for (json, kept) in [
            ("\"spiffe://a/*\"", true),
            ("true", true),
            ("3", true),
            ("-3", true),
            ("0.5", true),
            ("null", false),
            ("[]", false),
            ("{}", false),
        ] {
            let read: Result<MatcherValue, _> = serde_json::from_str(json);
            assert_eq!(read.is_ok(), kept, "{json}");
            if let Ok(value) = read {
                assert_eq!(serde_json::to_string(&value).unwrap(), json);
            }
        }
    }

    #[test]
    fn null_removes_and_absent_keeps() {
        let read: FederationRuleUpdateRequest = serde_json::from_str("{\"name\":null}").unwrap();
        assert_eq!(
            (read.name.clone(), read.description.clone()),
            (Some(None), None)
        );
        assert_eq!(serde_json::to_string(&read).unwrap(), "{\"name\":null}");
    }
}
