//! One setting of a provider or a rule, as it is and as it should be.

use std::collections::BTreeMap;

use countersign_types::federation_rule::MatcherValue;
use serde::Serialize;

use crate::output::one_line;

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) setting: &'static str,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// Whether the change ends the tokens that were given.
    pub(super) ends_tokens: bool,
}

impl Difference {
    pub(super) fn of(setting: &'static str, from: Option<&String>, to: Option<&String>) -> Self {
        Self {
            setting,
            from: from.cloned(),
            to: to.cloned(),
            ends_tokens: false,
        }
    }

    /// One that decides who gets tokens, or what they may do: those that were given end.
    pub(super) fn ending(
        setting: &'static str,
        from: Option<&String>,
        to: Option<&String>,
    ) -> Self {
        Self {
            ends_tokens: true,
            ..Self::of(setting, from, to)
        }
    }

    /// Put to use, or out of it.
    pub(super) fn switched(enabled: bool) -> Self {
        Self {
            setting: "enabled",
            from: Some((!enabled).to_string()),
            to: Some(enabled.to_string()),
            ends_tokens: !enabled,
        }
    }
}

/// What changes, in one line.
pub(super) fn in_line(all: &[Difference]) -> String {
    let or_none = |text: Option<&String>| {
        text.map_or_else(|| "none".to_owned(), |text| format!("`{}`", one_line(text)))
    };
    let each: Vec<String> = all
        .iter()
        .map(|one| {
            let (from, to) = (or_none(one.from.as_ref()), or_none(one.to.as_ref()));
            format!("{} {from} -> {to}", one.setting)
        })
        .collect();
    let ends = all.iter().any(|one| one.ends_tokens);
    let ends = if ends { "; its tokens end" } else { "" };
    each.join(", ") + ends
}

/// What a rule matches: a text in quotation marks, so that it is none of the others.
pub(super) fn matchers(all: &BTreeMap<String, MatcherValue>) -> String {
    let each: Vec<_> = all
        .iter()
        .map(|(attribute, value)| format!("{attribute}={}", json(value)))
        .collect();
    each.join(" ")
}

fn json(value: &MatcherValue) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a provider computes.
pub(super) fn shown_attributes(all: &BTreeMap<String, String>) -> String {
    let each: Vec<_> = all
        .iter()
        .map(|(attribute, expression)| format!("{attribute}={expression}"))
        .collect();
    each.join(" ")
}

/// What tokens of a rule may do.
pub(super) fn shown_scopes(scopes: Option<&[String]>) -> String {
    scopes.map_or_else(|| "the account's".to_owned(), |all| all.join(" "))
}
