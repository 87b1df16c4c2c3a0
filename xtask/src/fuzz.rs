//! `cargo xtask fuzz`: each target of `fuzz/` for some seconds. The flags are those that `cargo
//! fuzz` gives without a sanitizer, which the stable compiler takes: our code has no `unsafe`.

use std::{fs, path::Path, process::Command};

use crate::{
    debian,
    process::{self, Outcome},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// The targets; all when none is named.
    targets: Vec<String>,
}

/// What makes the compiler count the edges that an input takes, for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    // libFuzzer is C++.
    debian::require("c++", "g++")?;
    let fuzz = process::repository().join("fuzz");
    let targets = if arguments.targets.is_empty() {
        every_target(&fuzz)?
    } else {
        arguments.targets.clone()
    };
    let host = host()?;
    process::run(
        process::cargo()
            .current_dir(&fuzz)
            .env("RUSTFLAGS", COVERAGE)
            .env_remove("CARGO_TARGET_DIR")
            // Naming the target keeps the flags off build scripts.
            .args(["build", "--release", "--bins", "--target", &host]),
    )?;
    for target in targets {
        let program = fuzz
            .join("target")
            .join(&host)
            .join("release")
            .join(&target);
        run_target(&fuzz, &target, &program, arguments.seconds)?;
    }
    Ok(())
}

fn run_target(fuzz: &Path, target: &str, program: &Path, seconds: u32) -> Outcome {
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(program);
    command
        .arg(&corpus)
        .args([
            &format!("-max_total_time={seconds}"),
            &format!("-artifact_prefix={}/", artifacts.display()),
            "-timeout=5",
            "-rss_limit_mb=2048",
            "-verbosity=0",
            "-print_final_stats=1",
        ])
        .current_dir(fuzz);
    let seeds = fuzz.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    process::run(&mut command)
}

fn every_target(fuzz: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(fuzz.join("fuzz_targets"))? {
        if let Some(name) = entry?.path().file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn host() -> Outcome<String> {
    let printed = process::read(Command::new("rustc").arg("-vV"))?;
    let host = printed.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}
