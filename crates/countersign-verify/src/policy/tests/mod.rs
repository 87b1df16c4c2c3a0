mod attribute;
mod evaluated;
mod hostile;
mod leaf;
mod oracle;
mod refused;

use super::{Attribute, LeafFacts, NameType};

/// A leaf with some of everything.
fn facts() -> LeafFacts {
    LeafFacts::default()
        .with_attribute(Attribute::CommonName, "worker-7")
        .with_attribute(Attribute::CountryCode, "SE")
        .with_attribute(Attribute::Organization, "Exämple AB")
        .with_attribute(Attribute::OrganizationalUnit, "Production")
        .with_name(NameType::Dns, "api.example.com", "")
        .with_name(NameType::Dns, "db.example.org", "")
        .with_name(NameType::Email, "ops@example.com", "")
        .with_name(NameType::IpAddress, "10.0.0.1", "")
        .with_name(NameType::IpAddress, "2001:db8::1", "")
        .with_name(NameType::Uri, "spiffe://example.com/ns/prod", "")
        .with_name(NameType::Custom, "ops@corp", "1.3.6.1.4.1.311.20.2.3")
}
