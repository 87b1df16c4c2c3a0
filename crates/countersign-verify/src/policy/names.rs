//! What a name in a policy means, and what was probably meant by one that means nothing.

use super::{
    error::Refusal,
    facts::{Attribute, NameType},
};

/// The attribute of this name, or of one that people also use.
pub(super) fn attribute(at: usize, name: &str) -> Result<Attribute, Refusal> {
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        return Ok(attribute);
    }
    let refusal = Refusal::new(at, format!("unknown name `subject.{name}`"));
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
            return Err(refusal.nearest(name, "subject.", names(), &otherwise));
        }
    };
    Err(refusal.suggest(format!("did you mean `subject.{}`?", meant.name())))
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
    variables: impl Iterator<Item = &'v str>,
) -> Refusal {
    let refusal = Refusal::new(at, format!("unknown name `{name}`"));
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        return refusal.suggest(format!("did you mean `subject.{}`?", attribute.name()));
    }
    match name.to_ascii_lowercase().as_str() {
        "san" | "sans" | "dns" | "dns_names" | "uri" | "uris" | "email" | "emails" | "ip"
        | "ip_addresses" | "spiffe" | "spiffe_id" | "alt_names" | "subjectaltname" => {
            return refusal.suggest(
                "alternative names are a list: `subject_alt_names.exists(san, san.type == DNS && san.value == \"...\")`",
            );
        }
        "issuer" | "serial" | "serial_number" | "fingerprint" | "sha256" | "not_after"
        | "not_before" | "key" | "certificate" | "cert" => {
            return refusal.suggest(
                "a policy sees `subject` and `subject_alt_names` of the certificate alone",
            );
        }
        _ => {}
    }
    let names = ["subject", "subject_alt_names", "true", "false"].into_iter();
    let constants = NameType::CONSTANTS
        .into_iter()
        .map(|(constant, _)| constant);
    let known = names.chain(constants).chain(variables);
    refusal.nearest(name, "", known, "if it is a text, put it in quotes")
}
