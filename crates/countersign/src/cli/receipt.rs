//! `countersign receipt`: whether a gateway's receipts fit an export of the audit log. Nothing is asked of a
//! server.

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use countersign_verify::{
    audit_chain::KeptHead,
    receipt::{AuditExport, FindingResult, ReceiptReport, verify},
};
use serde::Serialize;
use serde_json::Value;

use super::{
    audit_log::{chain_file, parse_head},
    parse::duration,
};
use crate::{
    failure::{CommandResult, Doing, Failure},
    output::{Output, note, printable},
};

#[derive(Args)]
pub(crate) struct Receipt {
    #[command(subcommand)]
    verb: ReceiptVerb,
}

#[derive(Subcommand)]
enum ReceiptVerb {
    /// Verify receipts by an export of the audit log, offline; exit code 1 if one does not fit or is not proved
    Verify(Verify),
}

#[derive(Args)]
struct Verify {
    /// A receipt in a file, or a gateway's access log with receipts; `-` for standard input
    file: PathBuf,
    /// The organization's audit log, exported with `audit-log list --all -o jsonl`
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// A head of the audit log that you kept earlier; it must be in the export. May be repeated
    #[arg(long, value_name = "[NUMBER:]SHA256", value_parser = parse_head)]
    head: Vec<KeptHead>,
    /// How long a change may take to reach a gateway, and how far clocks may differ
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    lag: Duration,
}

/// The result for all receipts of a file.
#[derive(Serialize)]
struct Report {
    verified: bool,
    receipts: Vec<ReceiptReport>,
}

impl Receipt {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let ReceiptVerb::Verify(verify) = self.verb;
        verify.run(output)
    }
}

impl Verify {
    fn run(&self, output: Output) -> CommandResult {
        let texts = receipts(&self.file)?;
        let events = chain_file::read(&self.audit)?;
        let events = events.iter().map(|event| &event.0);
        let export = AuditExport::read(events, self.head.clone());
        let lag = self.lag.as_secs();
        let receipts: Vec<_> = texts
            .iter()
            .map(|text| verify(&export, text, lag))
            .collect();
        let report = Report {
            verified: receipts.iter().all(|each| each.verified),
            receipts,
        };
        if output.is_table() {
            output.text(&report.text())?;
        } else {
            output.value(&report)?;
        }
        if self.head.is_empty() {
            note(
                "note: whoever can write the whole audit log could have made another that fits; to exclude that, pass a head that you kept with `--head`",
            );
        }
        report.result()
    }
}

/// The receipts of a file, one in each line: alone, or in the field `receipt` of a line of an access log.
fn receipts(path: &Path) -> CommandResult<Vec<String>> {
    let shown = path.display();
    let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).doing(format_args!("open `{shown}`"))?;
        Box::new(BufReader::new(file))
    };
    let mut found = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.doing(format_args!("read line {number} of `{shown}`"))?;
        let text = line.trim();
        if !text.starts_with('{') {
            found.extend((!text.is_empty()).then(|| text.to_owned()));
            continue;
        }
        let logged: Value = serde_json::from_str(text)
            .doing(format_args!("read line {number} of `{shown}` as JSON"))?;
        found.extend(
            logged
                .get("receipt")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    }
    if found.is_empty() {
        return Err(Failure::usage(format_args!("`{shown}` holds no receipt"))
            .hint("give a receipt, or the access log of a gateway with `receipt = \"log\"`"));
    }
    Ok(found)
}

impl Report {
    fn result(&self) -> CommandResult {
        let failed = self.receipts.iter().filter(|each| !each.verified).count();
        match (failed, self.receipts.len()) {
            (0, _) => Ok(()),
            (_, 1) => Err(Failure::new("the receipt does not verify")),
            (failed, all) => Err(Failure::new(format_args!(
                "{failed} of {all} receipts do not verify"
            ))),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for each in &self.receipts {
            let id = each
                .receipt
                .as_ref()
                .map(|claims| claims.request_id.as_str());
            let verdict = if each.verified {
                "verified"
            } else {
                "not verified"
            };
            let _ = writeln!(text, "{}: {verdict}", printable(id.unwrap_or("unreadable")));
            for finding in &each.findings {
                let result = match finding.result {
                    FindingResult::Holds => "holds",
                    FindingResult::Fails => "FAILS",
                    FindingResult::Unproven => "UNPROVEN",
                    FindingResult::NotChecked => "not checked",
                };
                let _ = writeln!(text, "  {result:<12} {}", printable(&finding.detail));
            }
        }
        text
    }
}
