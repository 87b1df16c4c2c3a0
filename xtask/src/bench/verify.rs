//! Judgement: what a verdict costs, compared with the signature check that it always needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    bench::{
        report::{self, Goal},
        server::SERVER_CORE,
    },
    process::{self, Outcome, say},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds instead of minutes, without optimisation: shows that the benchmark works, and
    /// nothing else.
    #[arg(long)]
    quick: bool,
    /// A checkout of an earlier version, measured in the same run.
    #[arg(long, value_name = "DIRECTORY")]
    before: Option<PathBuf>,
}

/// The result of one case, as the benchmarks print it.
#[derive(Serialize, Deserialize)]
struct Row {
    key: String,
    case: String,
    anchors: usize,
    policy: bool,
    microseconds: f64,
    signatures: usize,
}

/// The benchmarks: the crate and the name of each.
const BENCHMARKS: [(&str, &str); 4] = [
    ("countersign-verify", "verdict"),
    ("countersign-verify", "hostile"),
    ("countersign-gateway", "remembered"),
    ("countersign-server", "preview"),
];

const BARE: &str = "bare signature check";
/// What the hostile ones are measured by: a leaf of P-256 directly under its anchor.
const GOOD: &str = "a good verdict";
/// The prefix of the cases of hostile requests.
const HOSTILE: &str = "hostile: ";
/// How many of those are shown, the most expensive first.
const SHOWN: usize = 15;
const REMEMBERED: &str = "remembered";
const PREVIEWED: &str = "preview, one identity";
const REVOKED: &str = "direct, a million revoked";
const READY: &str = "a million revoked, made ready";
const CROWDS: [&str; 2] = ["other names", "same name"];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let here = process::repository();
    let mut rows = Vec::new();
    let mut before = Vec::new();
    for (package, name) in BENCHMARKS {
        rows.extend(measure(&here, package, name, arguments.quick)?);
        if let Some(earlier) = &arguments.before
            && has(earlier, package, name)
        {
            before.extend(measure(earlier, package, name, arguments.quick)?);
        }
    }
    print(&rows);
    print_compared(&rows, &before);
    let goals = goals(&rows)?;
    if arguments.quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
    } else {
        report::print_goals(&goals);
    }
    if let Some(file) = &arguments.json {
        let report = json!({
            "quick": arguments.quick, "results": rows, "before": before, "goals": goals
        });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// Microseconds of a remembered verdict.
pub(crate) fn remembered(quick: bool) -> Outcome<f64> {
    let rows = measure(
        &process::repository(),
        "countersign-gateway",
        REMEMBERED,
        quick,
    )?;
    let row = rows.iter().find(|row| row.case == REMEMBERED);
    Ok(row
        .ok_or("no remembered verdict was measured")?
        .microseconds)
}

/// Whether a checkout has this benchmark: an earlier one may not have it yet.
fn has(checkout: &Path, package: &str, name: &str) -> bool {
    let benches = checkout.join("crates").join(package).join("benches");
    benches.join(name).with_extension("rs").is_file()
}

/// As artefacts are built, also where a checkout knows no profile for them.
fn optimize(cargo: &mut Command) {
    cargo
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
}

/// Builds a benchmark of a checkout, then runs it on a core of its own.
fn measure(checkout: &Path, package: &str, name: &str, quick: bool) -> Outcome<Vec<Row>> {
    let profile = if quick { "dev" } else { "release" };
    let what = ["bench", "--profile", profile, "--package", package];
    let mut build = process::cargo();
    build.current_dir(checkout);
    optimize(&mut build);
    process::run(build.args(what).args(["--bench", name, "--no-run"]))?;
    let cargo = process::cargo();
    let mut bench = Command::new("taskset");
    bench
        .args(["--cpu-list", SERVER_CORE])
        .arg(cargo.get_program())
        .args(what)
        .args(["--quiet", "--bench", name])
        .current_dir(checkout);
    optimize(&mut bench);
    if quick {
        bench.args(["--", "--quick"]);
    }
    let printed = process::read(&mut bench)?;
    Ok(serde_json::from_str(printed.trim())?)
}

fn print(rows: &[Row]) {
    say("\nmedians of the CPU time of one thread");
    say(&format!(
        "{:<9} {:<30} {:>7} {:>6} {:>10} {:>10} {:>6}",
        "key", "case", "anchors", "policy", "signatures", "CPU us", "ratio"
    ));
    let (mut hostile, usual): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.case.starts_with(HOSTILE));
    for row in usual {
        let bare = find(rows, &row.key, BARE, false).map_or(f64::NAN, |bare| bare.microseconds);
        print_row(row, bare);
    }
    let good = find(rows, "P-256", GOOD, false).map_or(f64::NAN, |good| good.microseconds);
    say(&format!(
        "\nthe {SHOWN} dearest of {} hostile requests; the ratio is to a good verdict",
        hostile.len()
    ));
    hostile.sort_by(|one, other| other.microseconds.total_cmp(&one.microseconds));
    for row in hostile.into_iter().take(SHOWN) {
        print_row(row, good);
    }
}

/// What both versions were measured by, side by side.
fn print_compared(rows: &[Row], before: &[Row]) {
    if before.is_empty() {
        return;
    }
    say(&format!(
        "\n{:<9} {:<30} {:>7} {:>6} {:>10} {:>10} {:>6}",
        "key", "case", "anchors", "policy", "before us", "CPU us", "ratio"
    ));
    for row in rows {
        let same = |earlier: &&Row| {
            earlier.key == row.key
                && earlier.case == row.case
                && earlier.anchors == row.anchors
                && earlier.policy == row.policy
        };
        let Some(earlier) = before.iter().find(same) else {
            continue;
        };
        say(&format!(
            "{:<9} {:<30} {:>7} {:>6} {:>10.3} {:>10.3} {:>6.2}",
            row.key,
            row.case,
            row.anchors,
            if row.policy { "yes" } else { "no" },
            earlier.microseconds,
            row.microseconds,
            row.microseconds / earlier.microseconds
        ));
    }
}

fn print_row(row: &Row, base: f64) {
    say(&format!(
        "{:<9} {:<30} {:>7} {:>6} {:>10} {:>10.3} {:>6.2}",
        row.key,
        row.case,
        row.anchors,
        if row.policy { "yes" } else { "no" },
        row.signatures,
        row.microseconds,
        row.microseconds / base
    ));
}

fn find<'a>(rows: &'a [Row], key: &str, case: &str, policy: bool) -> Option<&'a Row> {
    let mut rows = rows.iter();
    rows.find(|row| row.key == key && row.case == case && row.policy == policy)
}

fn goals(rows: &[Row]) -> Outcome<Vec<Goal>> {
    let cost = |key: &str, case: &str, policy| -> Outcome<f64> {
        let row = find(rows, key, case, policy);
        let row = row.ok_or_else(|| format!("nothing was measured of {key}, {case}"))?;
        Ok(row.microseconds)
    };
    let bare = cost("P-256", BARE, false)?;
    let mut goals = Vec::new();
    for (says, policy) in [("without", false), ("with", true)] {
        goals.push(Goal::at_most(
            &format!("direct P-256 {says} a policy, times the bare check"),
            cost("P-256", "direct", policy)? / bare,
            1.15,
        ));
    }
    for path in ["direct", "one intermediate"] {
        for crowd in CROWDS {
            goals.push(Goal::at_most(
                &format!("P-256 {path}: 50 anchors ({crowd}), times one"),
                cost("P-256", &format!("{path}, {crowd}"), false)? / cost("P-256", path, false)?,
                1.05,
            ));
        }
    }
    goals.push(Goal::at_most(
        "P-256 direct: a list of 1,000,000 entries, times none",
        cost("P-256", REVOKED, false)? / cost("P-256", "direct", false)?,
        1.03,
    ));
    goals.push(Goal::at_most(
        "a list of 1,000,000 entries is ready, in seconds",
        cost("P-256", READY, false)? / 1e6,
        2.0,
    ));
    for path in ["direct", "one intermediate"] {
        goals.push(Goal::at_most(
            &format!("P-256 {path}: 10,000 denials, times none"),
            cost("P-256", &format!("{path}, 10,000 denials"), false)? / cost("P-256", path, false)?,
            1.03,
        ));
    }
    let good = cost("P-256", GOOD, false)?;
    let hostile = rows.iter().filter(|row| row.case.starts_with(HOSTILE));
    goals.push(Goal::at_most(
        "the worst request that a tenant can cause, times a good P-256 verdict",
        hostile.fold(0.0, |worst: f64, row| worst.max(row.microseconds)) / good,
        20.0,
    ));
    goals.push(Goal::at_most(
        "a remembered verdict, in microseconds",
        cost("P-256", REMEMBERED, false)?,
        0.5,
    ));
    goals.push(Goal::at_most(
        "a preview over 100,000 identities, in seconds",
        cost("P-256", PREVIEWED, false)? / 10.0,
        10.0,
    ));
    Ok(goals)
}
