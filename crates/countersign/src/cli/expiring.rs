//! `countersign expiring`: anchors and leaves that expire soon.

use clap::Args;
use countersign_types::expiry::{Expiring as Entry, MAX_WITHIN_DAYS};

use super::api::{ApiOptions, block_on};
use crate::{
    failure::{Failure, Outcome},
    output::{Output, Row, moment, moment_or_dash, note, text_or_dash},
};

/// The exit code that says that something expires.
const EXPIRING: u8 = 3;

#[derive(Args)]
pub(crate) struct Expiring {
    /// How far to look ahead, in days: `30d` or `30`
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    within: u64,
    /// End with exit code 3 when something expires
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    api: ApiOptions,
}

fn days(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('d').unwrap_or(text).parse();
    number
        .ok()
        .filter(|days| *days <= MAX_WITHIN_DAYS)
        .ok_or_else(|| format!("write a number of days up to {MAX_WITHIN_DAYS}, such as `30d`"))
}

impl Expiring {
    pub(crate) fn run(self, output: Output) -> Outcome {
        let client = self.api.client()?;
        let certificates = client.certificates();
        let found = block_on(async { Ok(certificates.list_expiring(Some(self.within)).await?) })?;
        output.list(&found.data)?;
        if found.has_more {
            note("there are more; look less far ahead to see the soonest alone");
        }
        if self.exit_code && !found.data.is_empty() {
            return Err(Failure::quiet(EXPIRING));
        }
        Ok(())
    }
}

impl Row for Entry {
    const HEAD: &'static [&'static str] = &[
        "kind",
        "certificate",
        "name",
        "expires",
        "last seen",
        "requests",
    ];

    fn cells(&self) -> Vec<String> {
        let id = self.id.as_ref().map(ToString::to_string);
        let requests = self.requests.map(|requests| requests.to_string());
        vec![
            self.kind.as_str().to_owned(),
            id.unwrap_or_else(|| self.sha256.to_string()),
            text_or_dash(self.name.as_deref()),
            moment(self.expires_at),
            moment_or_dash(self.last_seen),
            text_or_dash(requests.as_deref()),
        ]
    }
}
