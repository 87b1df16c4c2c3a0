//! The cost of a change, and of a start, with few organizations and with many: a control plane and a
//! gateway as they run, on a database that was filled for it.

mod filling;
mod running;
mod sustained;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use serde_json::json;

use self::{
    filling::Size,
    running::{ControlPlane, Gateway},
};
use crate::{
    bench::{
        dataset::{self, Storage},
        gateway,
        report::{self, Goal},
    },
    postgres::Cluster,
    process::{self, Outcome, say},
};

/// For how long changes are made at a rate.
const SUSTAINED_SECONDS: u32 = 10;
/// The number of organizations that all others are compared with.
const FEW: usize = 1_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many organizations there are. With more than 1,000 of them, what a change costs is compared with that at
    /// 1,000.
    #[arg(long, default_value_t = 100_000)]
    organizations: usize,
    /// How many trust anchors they have.
    #[arg(long, default_value_t = 200_000)]
    anchors: usize,
    /// How many project keys they have.
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// How many gateways wait for changes beside the one that is measured.
    #[arg(long, default_value_t = 0)]
    gateways: usize,
    /// How many changes are made, for each of latency and cost.
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// How many changes a second are made, after those, without waiting for any; for ten seconds.
    #[arg(long, default_value_t = 50)]
    rate: u32,
    /// Change keys and not trust: each change makes an admin key.
    #[arg(long)]
    of_keys: bool,
    /// Store in PostgreSQL and not in SQLite.
    #[arg(long)]
    postgres: bool,
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Few organizations and changes, without optimisation: shows that the benchmark works, and nothing else.
    #[arg(long)]
    quick: bool,
    /// Measure this build of the program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// What was measured at one size.
#[derive(Serialize)]
struct Figures {
    organizations: usize,
    anchors: usize,
    keys: usize,
    gateway_resident_mib: f64,
    ready_cold_seconds: f64,
    ready_from_disk_seconds: f64,
    enforced_p50_ms: f64,
    enforced_p99_ms: f64,
    gateway_cpu_ms_per_change: f64,
    control_plane_cpu_ms_per_change: f64,
    kib_written_per_change: f64,
    sustained_changes_per_second: f64,
    sustained_enforced_p50_ms: f64,
    sustained_enforced_p99_ms: f64,
    sustained_control_plane_processors: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => gateway::build(arguments.quick)?,
    };
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(process::target_directory())?;
    let cluster = arguments.postgres.then(Cluster::start).transpose()?;
    let most = Size {
        organizations: arguments.organizations,
        anchors: arguments.anchors,
        keys: arguments.keys,
    };
    let sizes = if arguments.quick {
        vec![50, 100]
    } else if arguments.organizations > FEW {
        vec![FEW, arguments.organizations]
    } else {
        vec![arguments.organizations]
    };
    let mut all = Vec::new();
    for organizations in sizes {
        let size = most.with_organizations(organizations);
        let own = directory.path().join(organizations.to_string());
        let place = place(&own, cluster.as_ref())?;
        all.push(measure(arguments, &program, size, &own, &place)?);
    }
    finish(arguments, &all)
}

fn place(directory: &Path, cluster: Option<&Cluster>) -> Outcome<Storage> {
    fs::create_dir(directory)?;
    let Some(cluster) = cluster else {
        let data = directory.join("control-plane");
        fs::create_dir(&data)?;
        return Ok(Storage::Sqlite(data));
    };
    let name = directory.file_name().unwrap_or_default();
    Ok(Storage::Postgres {
        programs: cluster.programs().to_path_buf(),
        url: cluster.create_database(&format!("scale_{}", name.display()))?,
    })
}

fn measure(
    arguments: &Arguments,
    program: &Path,
    size: Size,
    directory: &Path,
    place: &Storage,
) -> Outcome<Figures> {
    say(&format!(
        "{} organizations, {} anchors and {} keys in {}",
        size.organizations,
        size.anchors,
        size.keys,
        place.kind()
    ));
    let pem = dataset::mint(directory)?;
    filling::fill(place, program, size, &pem)?;
    let changes = if arguments.quick {
        20
    } else {
        arguments.changes
    };
    let plane = ControlPlane::start(place, program, directory, arguments.of_keys)?;
    let cold = Gateway::start(&plane, program, directory)?;
    // One that is killed before it has written everything pulls it again.
    plane.until_enforced()?;
    let ready_cold_seconds = cold.ready;
    drop(cold);
    let gateway = Gateway::start(&plane, program, directory)?;
    plane.until_enforced()?;
    let resident = gateway.resident_mib()?;
    let over = Arc::new(AtomicBool::new(false));
    plane.wait_beside(arguments.gateways, &over)?;
    let enforced = running::latencies(&plane, size, changes)?;
    running::until_idle(&plane, &gateway)?;
    let cost = running::cost(&plane, &gateway, size, changes)?;
    let seconds = if arguments.quick {
        1
    } else {
        SUSTAINED_SECONDS
    };
    let count = usize::try_from(arguments.rate * seconds).unwrap_or(usize::MAX);
    // As many as for latency and cost.
    let made = (2 * changes, count);
    let sustained = sustained::changes(&plane, size, made, arguments.rate)?;
    over.store(true, Ordering::Relaxed);
    Ok(Figures {
        organizations: size.organizations,
        anchors: size.anchors,
        keys: size.keys,
        gateway_resident_mib: resident.max(gateway.resident_mib()?),
        ready_cold_seconds,
        ready_from_disk_seconds: gateway.ready,
        enforced_p50_ms: percentile(&enforced, 50),
        enforced_p99_ms: percentile(&enforced, 99),
        gateway_cpu_ms_per_change: cost.gateway_ms,
        control_plane_cpu_ms_per_change: cost.control_plane_ms,
        kib_written_per_change: cost.kib_written,
        sustained_changes_per_second: sustained.rate,
        sustained_enforced_p50_ms: percentile(&sustained.converged, 50),
        sustained_enforced_p99_ms: percentile(&sustained.converged, 99),
        sustained_control_plane_processors: sustained.processors,
    })
}

/// Of seconds in order, in milliseconds.
fn percentile(seconds: &[f64], percent: usize) -> f64 {
    let index = (seconds.len() * percent / 100).min(seconds.len().saturating_sub(1));
    seconds.get(index).copied().unwrap_or(0.0) * 1e3
}

fn finish(arguments: &Arguments, all: &[Figures]) -> Outcome {
    for figures in all {
        say(&serde_json::to_string_pretty(figures)?);
    }
    let goals = match all {
        [few, many] if !arguments.quick => goals(few, many),
        _ => Vec::new(),
    };
    report::print_goals(&goals);
    if arguments.quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
    }
    if let Some(file) = &arguments.json {
        let report = json!({
            "quick": arguments.quick,
            "database": if arguments.postgres { "PostgreSQL" } else { "SQLite" },
            "gateways": arguments.gateways + 1,
            "results": all,
            "goals": goals,
        });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// The goals, which are for the numbers that the arguments have by default.
fn goals(few: &Figures, many: &Figures) -> Vec<Goal> {
    let mut goals = vec![
        Goal::at_most(
            "the gateway's memory in MiB",
            many.gateway_resident_mib,
            1228.8,
        ),
        Goal::at_most("ready cold, seconds", many.ready_cold_seconds, 15.0),
        Goal::at_most(
            "ready from disk, seconds",
            many.ready_from_disk_seconds,
            3.0,
        ),
        Goal::at_most("a change enforced, p99 in ms", many.enforced_p99_ms, 100.0),
        Goal::at_most(
            "the gateway's CPU for a change, ms",
            many.gateway_cpu_ms_per_change,
            5.0,
        ),
        Goal::at_most(
            "written for a change, KiB",
            many.kib_written_per_change,
            100.0,
        ),
        Goal::at_most(
            "milliseconds between changes that are sustained",
            1e3 / many.sustained_changes_per_second,
            20.2,
        ),
        Goal::at_most(
            "a sustained change enforced by every gateway, p99 in ms",
            many.sustained_enforced_p99_ms,
            1_000.0,
        ),
    ];
    type Read = fn(&Figures) -> f64;
    let flat: [(&str, Read); 5] = [
        ("a change enforced, p50", |all| all.enforced_p50_ms),
        ("a change enforced, p99", |all| all.enforced_p99_ms),
        ("the gateway's CPU for a change", |all| {
            all.gateway_cpu_ms_per_change
        }),
        ("the control plane's CPU for a change", |all| {
            all.control_plane_cpu_ms_per_change
        }),
        ("written for a change", |all| all.kib_written_per_change),
    ];
    for (what, read) in flat {
        let goal = format!(
            "{what}, times that with {} organizations",
            few.organizations
        );
        goals.push(Goal::at_most(&goal, read(many) / read(few), 1.3));
    }
    goals
}
