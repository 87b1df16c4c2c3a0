//! The control plane: what reads and durable writes cost on both databases, few rows and many.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    bench::{
        dataset::{self, Dataset, Storage},
        load::CONNECTIONS,
        peers::{Peers, Programs},
        reads::{BEFORE, COUNTERSIGN, GET, LIST, Store},
        report::{self, Goal},
        sampling::{Effort, Measured, measure},
        server::{self, Server, free_address},
        subjects, writes,
    },
    postgres::Cluster,
    process::{self, Outcome, say},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds instead of minutes, without optimisation and without Prism: shows that the
    /// benchmark works, and nothing else.
    #[arg(long)]
    quick: bool,
    /// Measure this build of the program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// An earlier build of the program, measured in the same run.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
}

/// What differs between a real run and a quick one.
struct Plan {
    sizes: [usize; 2],
    effort: Effort,
    uploads_per_round: usize,
}

impl Plan {
    const fn new(quick: bool) -> Self {
        if quick {
            return Self {
                sizes: [100, 1_000],
                effort: Effort {
                    rounds: 1,
                    seconds: 0.2,
                },
                uploads_per_round: 32,
            };
        }
        Self {
            sizes: [1_000, 1_000_000],
            effort: Effort {
                rounds: 7,
                seconds: 2.0,
            },
            uploads_per_round: 800,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let plan = Plan::new(arguments.quick);
    let programs = build(arguments)?;
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(process::target_directory())?;
    let cluster = Cluster::start()?;
    server::pin_load()?;
    let pem = dataset::mint(directory.path())?;
    let mut builds = vec![(COUNTERSIGN, &programs.countersign)];
    builds.extend(arguments.before.iter().map(|before| (BEFORE, before)));
    let mut stores = Vec::new();
    for size in plan.sizes {
        for &(build, program) in &builds {
            let name = format!("{build}_{size}");
            for place in [sqlite(directory.path(), &name)?, postgres(&cluster, &name)?] {
                say(&format!(
                    "{build}: storing {size} certificates in {}",
                    place.kind()
                ));
                let dataset = Dataset::seed(place, program, size, &pem)?;
                stores.push(serve(build, dataset, &cluster, program)?);
            }
        }
    }
    let first = stores.first().ok_or("no store was made")?;
    let peers = Peers::start(arguments.quick, &programs, directory.path(), first)?;
    say("reading");
    let mut rows = measure(&subjects::subjects(&stores, &peers)?, plan.effort)?;
    // The stores of the first size: one for each build and database.
    for store in stores.iter().take(2 * builds.len()) {
        say(&format!("writing to {}", store.name()));
        rows.push(writes::uploads(
            store,
            &pem,
            plan.uploads_per_round,
            plan.effort.rounds,
        )?);
        rows.extend(writes::activations(store, &pem, plan.effort)?);
    }
    finish(arguments, &rows)
}

fn build(arguments: &Arguments) -> Outcome<Programs> {
    let (profile, directory) = if arguments.quick {
        ("dev", "debug")
    } else {
        ("dist", "dist")
    };
    let build = |what: &[&str]| {
        process::run(
            process::cargo()
                .args(["build", "--profile", profile])
                .args(what),
        )
    };
    let built = process::target_directory().join(directory);
    let countersign = if let Some(program) = &arguments.program {
        program.clone()
    } else {
        build(&["--package", "countersign", "--bin", "countersign"])?;
        built.join("countersign")
    };
    build(&["--package", "countersign-server", "--example", "bare"])?;
    Ok(Programs {
        countersign,
        bare: built.join("examples/bare"),
    })
}

fn sqlite(directory: &Path, name: &str) -> Outcome<Storage> {
    let path = directory.join(name);
    fs::create_dir(&path)?;
    Ok(Storage::Sqlite(path))
}

fn postgres(cluster: &Cluster, name: &str) -> Outcome<Storage> {
    Ok(Storage::Postgres {
        programs: cluster.programs().to_path_buf(),
        url: cluster.create_database(&format!("bench_{name}"))?,
    })
}

fn serve(
    build: &'static str,
    dataset: Dataset,
    cluster: &Cluster,
    program: &Path,
) -> Outcome<Store> {
    let address = free_address()?;
    let mut command = dataset.place.program(program);
    command
        .arg("serve")
        .env("COUNTERSIGN_SERVE_LISTEN", address.to_string())
        .env("COUNTERSIGN_LOG_LEVEL", "warn");
    Ok(Store {
        build,
        server: Server::start(&command, address)?,
        database: match dataset.place {
            Storage::Sqlite(_) => None,
            Storage::Postgres { .. } => Some(cluster.process()?),
        },
        dataset,
    })
}

fn finish(arguments: &Arguments, rows: &[Measured]) -> Outcome {
    say(&format!(
        "\nmedians; {CONNECTIONS} kept-alive connections; the server on one core, the load and PostgreSQL on the other"
    ));
    report::print_table(rows);
    let goals = if arguments.quick {
        Vec::new()
    } else {
        goals(rows)?
    };
    report::print_goals(&goals);
    if arguments.quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
    }
    if let Some(file) = &arguments.json {
        let report = json!({ "quick": arguments.quick, "results": rows, "goals": goals });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// The goals for the control plane, and the result of each.
fn goals(rows: &[Measured]) -> Outcome<Vec<Goal>> {
    let cpu = |name: &str, operation: &str, certificates: usize| -> Outcome<f64> {
        let row = rows.iter().find(|row| {
            row.name == name && row.operation == operation && row.certificates == certificates
        });
        let row = row.ok_or_else(|| format!("nothing was measured of {name}, {operation}"))?;
        Ok(row.cpu_microseconds + row.database_cpu_microseconds)
    };
    let get = cpu("countersign, SQLite", GET, 1_000)?;
    let mut goals = vec![
        Goal::at_most(
            "getCertificate on SQLite, times the bare handler's CPU",
            get / cpu(subjects::BARE, GET, 0)?,
            5.0,
        ),
        Goal::at_least(
            "Stoplight Prism's CPU, times ours on SQLite",
            cpu(subjects::PRISM, GET, 0)? / get,
            20.0,
        ),
    ];
    for name in ["countersign, SQLite", "countersign, PostgreSQL"] {
        for operation in [GET, LIST] {
            let ratio = cpu(name, operation, 1_000_000)? / cpu(name, operation, 1_000)?;
            let goal = format!("{name}, {operation}: a million rows, times a thousand");
            goals.push(Goal::at_most(&goal, ratio, 1.2));
        }
    }
    Ok(goals)
}
