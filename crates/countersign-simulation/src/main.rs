//! Runs seeds, one after the other, until one goes wrong: `cargo xtask simulate` starts it.

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use countersign_simulation::{Fault, Outcome, run};

/// Runs the simulation for many seeds.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", bin_name = "cargo xtask simulate")]
struct Arguments {
    /// How many seeds; without it and without `--minutes`, 200.
    #[arg(long)]
    seeds: Option<u64>,
    /// For how many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// The first seed, by default one that nobody chose. Alone, only this one, with all that happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Goes on after a seed that went wrong.
    #[arg(long)]
    keep_going: bool,
    /// Plants this fault, which is to be found.
    #[arg(long)]
    fault: Option<Fault>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let alone = arguments.seeds.is_none() && arguments.minutes.is_none();
    match arguments.seed {
        Some(seed) if alone => replay(seed, arguments.fault),
        first => many(&arguments, first.unwrap_or_else(unchosen)),
    }
}

/// One seed, with all that happens in it.
fn replay(seed: u64, fault: Option<Fault>) -> ExitCode {
    let outcome = run(seed, fault, true);
    for line in &outcome.trace {
        say(line);
    }
    say(&format!(
        "{} s, {} checks, fingerprint {:016x}",
        outcome.seconds, outcome.checks, outcome.fingerprint
    ));
    verdict(&outcome, fault)
}

fn many(arguments: &Arguments, first: u64) -> ExitCode {
    let begun = Instant::now();
    let limit = arguments
        .minutes
        .map(|minutes| Duration::from_secs(60 * minutes));
    let seeds = arguments
        .seeds
        .unwrap_or(if limit.is_some() { u64::MAX } else { 200 });
    let (mut done, mut checks, mut seconds) = (0_u64, 0_u64, 0_u64);
    let mut code = ExitCode::SUCCESS;
    while done < seeds && limit.is_none_or(|limit| begun.elapsed() < limit) {
        let outcome = run(first.wrapping_add(done), arguments.fault, false);
        done += 1;
        checks += outcome.checks;
        seconds += outcome.seconds;
        if outcome.wrong.is_some() {
            code = verdict(&outcome, arguments.fault);
            if !arguments.keep_going {
                break;
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    #[expect(
        clippy::cast_precision_loss,
        reason = "seeds a minute are a rough number"
    )]
    let rate = done as f64 / took * 60.0;
    say(&format!(
        "{done} seeds from {first}: {checks} checks in {} hours of their own time; {took:.1} s, {rate:.0} seeds a minute",
        seconds / 3600
    ));
    code
}

fn verdict(outcome: &Outcome, fault: Option<Fault>) -> ExitCode {
    let Some(wrong) = &outcome.wrong else {
        return ExitCode::SUCCESS;
    };
    let planted = fault.map_or_else(String::new, |fault| format!(" --fault {}", word(fault)));
    say(&format!("seed {}: {wrong}", outcome.seed));
    say(&format!(
        "hint: `cargo xtask simulate --seed {}{planted}` shows all that happened",
        outcome.seed
    ));
    ExitCode::FAILURE
}

fn word(fault: Fault) -> String {
    use clap::ValueEnum as _;
    let value = fault.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "where nobody chose a seed, the time does"
)]
fn unchosen() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn say(line: &str) {
    // Nobody who listens is no reason to stop.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
