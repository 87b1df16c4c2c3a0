//! `countersign expiring`: trust anchors and client certificates that expire soon.

use clap::Args;
use countersign_types::expiry::{Expiring as ExpiringCertificate, MAX_WITHIN_DAYS};

use super::{
    api::{ApiOptions, block_on},
    parse::duration,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, expiry, moment, note, row, text_or_dash},
};

/// The exit code when something expires.
const EXPIRING: u8 = 3;

#[derive(Args)]
pub(crate) struct Expiring {
    /// How far to look ahead, in whole days
    #[arg(long, value_name = "DURATION", default_value = "30d", allow_hyphen_values = true, value_parser = days)]
    within: u64,
    /// Exit with code 3 if anything expires
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    api: ApiOptions,
}

/// Reads a duration of whole days: the API counts in them. A plain number is in days here.
fn days(text: &str) -> Result<u64, String> {
    const DAY: u64 = 24 * 60 * 60;
    let whole = |seconds: u64| seconds.is_multiple_of(DAY).then_some(seconds / DAY);
    let days = match text.parse() {
        Ok(days) => Some(days),
        Err(_) => duration(text).ok().and_then(|read| whole(read.as_secs())),
    };
    days.filter(|days| *days <= MAX_WITHIN_DAYS)
        .ok_or_else(|| format!("write whole days up to {MAX_WITHIN_DAYS}, such as `30d`"))
}

impl Expiring {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let client = self.api.client()?;
        let certificates = client.certificates();
        let found = block_on(async { Ok(certificates.list_expiring(Some(self.within)).await?) })?;
        let what = format!(
            "trust anchors or client certificates that expire within {} days",
            self.within
        );
        output.list_of(&what, &found.data)?;
        if found.has_more {
            note("there are more; shorten `--within` to see only the soonest");
        }
        // Only on request: a list that is not empty is no failure for a reader.
        if self.exit_code && !found.data.is_empty() {
            return Err(Failure::quiet(EXPIRING));
        }
        Ok(())
    }
}

impl Row for ExpiringCertificate {
    const HEAD: &'static [&'static str] = &[
        "name",
        "certificate",
        "kind",
        "expires",
        "last seen",
        "requests",
    ];

    fn cells(&self) -> Vec<Cell> {
        let id = self.id.as_ref().map(ToString::to_string);
        let requests = self.requests.map(|requests| requests.to_string());
        row![
            text_or_dash(self.name.as_deref()),
            id.unwrap_or_else(|| self.sha256.to_string()),
            self.kind.to_string(),
            expiry(self.expires_at),
            moment(self.last_seen),
            text_or_dash(requests.as_deref()),
        ]
    }
}
