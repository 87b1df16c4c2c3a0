//! Writes the sections of denials.

use std::fmt::Write as _;

use countersign_client::{Client, Received};
use countersign_types::{
    certificate::Enforcement,
    denial::{Denial, DenialMatch, SubjectAltName},
    id::DenialId,
};

use super::{
    server,
    toml_text::{quoted, quoted_key},
    wanted_denials::SECTION,
};
use crate::{
    failure::{CommandResult, Failure},
    output::timestamp,
};

/// The sections of all denials; nothing if there are none.
pub(super) async fn sections(client: &Client) -> CommandResult<String> {
    let all = server::denials(client).await?;
    if let Some(other) = all.iter().find(|each| each.enforcement.known().is_none()) {
        return Err(Failure::new(format_args!(
            "`{}` is a denial of a kind that a file cannot declare",
            other.id
        )));
    }
    Ok(all.iter().map(|each| section(each, &all)).collect())
}

fn section(denial: &Denial, all: &[Received<Denial>]) -> String {
    let name = &denial.name;
    let same = all.iter().filter(|other| other.name == *name);
    // An id in the place of a name would be taken for an id.
    let is_unique = same.count() == 1 && name.parse::<DenialId>().is_err();
    let mut text = if is_unique {
        format!("\n[{SECTION}.{}]\n", quoted_key(name))
    } else {
        format!("\n[{SECTION}.{}]\nname = {}\n", denial.id, quoted(name))
    };
    let mut set = |setting: &str, value: String| {
        let _ = writeln!(text, "{setting} = {value}");
    };
    match &denial.matches {
        DenialMatch::LeafSha256(sha256) => set("leaf", quoted(&sha256.to_string())),
        DenialMatch::SpkiSha256(sha256) => set("spki", quoted(&sha256.to_string())),
        DenialMatch::IssuerAndSerial(both) => {
            set("issuer", quoted(&both.issuer));
            set("serial", quoted(&both.serial_number));
        }
        DenialMatch::SubjectAltName(name) => set("san", quoted(&written(name))),
    }
    if let Some(project) = &denial.project_id {
        set("project", quoted(project.as_str()));
    }
    if denial.enforcement == Enforcement::Report {
        set("report", "true".to_owned());
    }
    if let Some(end) = denial.expires_at {
        set("until", quoted(&timestamp(end)));
    }
    if let Some(reason) = &denial.reason {
        set("reason", quoted(reason));
    }
    text
}

/// A name as a command and a file take it.
fn written(name: &SubjectAltName) -> String {
    match &name.oid {
        Some(oid) => format!("{}:{oid}:{}", name.kind.as_str(), name.value),
        None => format!("{}:{}", name.kind.as_str(), name.value),
    }
}
