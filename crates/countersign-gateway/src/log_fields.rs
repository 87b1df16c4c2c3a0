//! Fields of the access log that many of its lines share. They are written once for each caller and
//! each verdict, and not for each request.

use std::sync::OnceLock;

use countersign_types::digest::Sha256;
use data_encoding::HEXLOWER;

use crate::json_line::{Fields, JsonLine, field};

/// Fields that are written when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct SharedFields(OnceLock<Fields>);

impl SharedFields {
    /// The fields; whoever asks first has them written.
    pub(crate) fn get_or_write(&self, write: impl FnOnce(&mut JsonLine)) -> &Fields {
        self.0.get_or_init(|| {
            let mut line = JsonLine::with_capacity(0);
            write(&mut line);
            line.into_fields()
        })
    }
}

/// Who is calling.
pub(crate) fn write_caller(
    line: &mut JsonLine,
    organization: Option<&str>,
    project: Option<&str>,
    key: Option<&str>,
) {
    line.text_if_any(field!("organization"), organization);
    line.text_if_any(field!("project"), project);
    line.text_if_any(field!("key"), key);
}

/// The token that it calls with: its id, and never itself.
pub(crate) fn write_token(line: &mut JsonLine, service_account: &str, token: &str) {
    line.text(field!("service_account"), service_account);
    line.text(field!("token"), token);
}

/// What a request passes with, or was presented with.
pub(crate) fn write_verdict(
    line: &mut JsonLine,
    certificate: Option<&str>,
    revision: Option<u64>,
    leaf: Option<Sha256>,
) {
    line.text_if_any(field!("certificate"), certificate);
    if let Some(revision) = revision {
        line.number(field!("revision"), revision);
    }
    let mut digits = [0; 64];
    let leaf = leaf.map(|leaf| HEXLOWER.encode_mut_str(leaf.as_bytes(), &mut digits));
    line.text_if_any(field!("leaf_sha256"), leaf);
}
