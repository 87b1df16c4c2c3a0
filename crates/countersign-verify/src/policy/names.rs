//! What a name in a policy means, and what was probably meant by one that means nothing.

use super::{
    error::Refusal,
    facts::{Attribute, NameType},
    language::Language,
};

/// The attribute of this name, or of one that people also use.
pub(super) fn attribute(at: usize, name: &str, language: Language) -> Result<Attribute, Refusal> {
    let root = language.root();
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        return Ok(attribute);
    }
    let refusal = Refusal::new(at, format!("unknown name `{root}subject.{name}`"));
    let meant = match name.to_ascii_lowercase().as_str() {
        "cn" => Attribute::CommonName,
        "c" | "country" => Attribute::CountryCode,
        "o" | "org" => Attribute::Organization,
        "ou" => Attribute::OrganizationalUnit,
        "l" | "city" => Attribute::Locality,
        "st" | "s" | "state" => Attribute::Province,
        "street" => Attribute::StreetAddress,
        "zip" | "zip_code" => Attribute::PostalCode,
        _ => {
            let names = || Attribute::ALL.iter().map(|attribute| attribute.name());
            let all = names()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let otherwise = format!("its attributes are {all}");
            let prefix = format!("{root}subject.");
            return Err(refusal.nearest(name, &prefix, names(), &otherwise));
        }
    };
    Err(refusal.suggest(format!("did you mean `{root}subject.{}`?", meant.name())))
}

/// The error for the subject where a value belongs.
pub(super) fn not_a_value(at: usize, language: Language, name: &str) -> Refusal {
    let advice = format!(
        "name one of its attributes, such as `{}subject.common_name`",
        language.root()
    );
    Refusal::new(at, format!("`{name}` is not a value of its own")).suggest(advice)
}

/// The error for a field that `assertion` does not have.
pub(super) fn not_asserted(at: usize, name: &str) -> Refusal {
    let refusal = Refusal::new(at, format!("unknown name `assertion.{name}`"));
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        let meant = attribute.name();
        return refusal.suggest(format!("did you mean `assertion.subject.{meant}`?"));
    }
    let fields = ["subject", "subject_alt_names"].into_iter();
    let otherwise = "it has `assertion.subject` and `assertion.subject_alt_names`";
    refusal.nearest(name, "assertion.", fields, otherwise)
}

/// The constant of this name, such as `DNS`.
pub(super) fn constant(name: &str) -> Option<NameType> {
    let mut constants = NameType::CONSTANTS.into_iter();
    constants.find_map(|(constant, kind)| (constant == name).then_some(kind))
}

/// The error for a name that is neither a constant nor one of these variables.
pub(super) fn unknown<'v>(
    at: usize,
    name: &str,
    language: Language,
    variables: impl Iterator<Item = &'v str>,
) -> Refusal {
    let refusal = Refusal::new(at, format!("unknown name `{name}`"));
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        let (root, meant) = (language.root(), attribute.name());
        return refusal.suggest(format!("did you mean `{root}subject.{meant}`?"));
    }
    if language != Language::Policy && ["subject", "subject_alt_names"].contains(&name) {
        return refusal.suggest(format!("did you mean `assertion.{name}`?"));
    }
    match name.to_ascii_lowercase().as_str() {
        "san" | "sans" | "dns" | "dns_names" | "uri" | "uris" | "email" | "emails" | "ip"
        | "ip_addresses" | "spiffe" | "spiffe_id" | "alt_names" | "subjectaltname" => {
            return refusal.suggest(format!(
                "alternative names are a list: `{}subject_alt_names.exists(san, san.type == DNS && san.value == \"...\")`",
                language.root()
            ));
        }
        "issuer" | "serial" | "serial_number" | "fingerprint" | "sha256" | "not_after"
        | "not_before" | "key" | "certificate" | "cert" => {
            return refusal.suggest(format!(
                "a {} sees `subject` and `subject_alt_names` of the certificate alone",
                match language {
                    Language::Policy => "policy",
                    Language::Condition => "condition",
                    Language::Transformation => "transformation",
                }
            ));
        }
        _ => {}
    }
    let own = language.names().iter().copied();
    let names = own.chain(["true", "false"]);
    let constants = NameType::CONSTANTS
        .into_iter()
        .map(|(constant, _)| constant);
    let known = names.chain(constants).chain(variables);
    refusal.nearest(name, "", known, "if it is a text, put it in quotes")
}
