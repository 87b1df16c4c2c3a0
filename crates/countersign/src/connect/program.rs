//! Running a program as if there were nothing between it and whoever ran this.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    failure::{CommandResult, Doing, Failure},
    files::shell_quoted,
};

/// Exit codes of shells: of a program that is not there, and of one that cannot be run.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;

/// What is added to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

/// The signals that are passed on. Those of a terminal reach the program by themselves.
const PASSED_ON: [(SignalKind, Signal); 6] = [
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
];

/// Runs it to its end; the exit code as a shell gives it.
pub(super) async fn run(program: &[OsString], variables: &[(String, String)]) -> CommandResult<u8> {
    let Some((name, arguments)) = program.split_first() else {
        return Err(Failure::usage("no program to run"));
    };
    // Before it runs, so that no signal ends this process and not the program.
    let mut signals = listen()?;
    let mut command = Command::new(name);
    command.args(arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = command.spawn().map_err(|error| cannot_run(name, &error))?;
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(code(ended.doing("wait for the program")?)),
            Some(signal) = signals.recv() => pass_on(&child, signal),
        }
    }
}

fn cannot_run(name: &OsString, error: &io::Error) -> Failure {
    let shown = shell_quoted(&name.to_string_lossy());
    let failure = Failure::new(format_args!("cannot run {shown}: {error}"));
    if error.kind() == io::ErrorKind::NotFound {
        return failure.with_exit(NOT_FOUND).hint(format!(
            "see whether the shell finds it: `command -v {shown}`"
        ));
    }
    failure.with_exit(CANNOT_RUN)
}

/// The signals that come from now on.
fn listen() -> CommandResult<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(16);
    for (kind, passed_on) in PASSED_ON {
        let mut stream = signal(kind).doing("listen for signals")?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() && sender.send(passed_on).await.is_ok() {}
        });
    }
    Ok(receiver)
}

fn pass_on(child: &Child, signal: Signal) {
    // A terminal sends these to all that run in it.
    let is_of_terminal = signal == Signal::INT || signal == Signal::QUIT;
    if is_of_terminal && io::stdin().is_terminal() {
        return;
    }
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // It may have ended just now.
        let _ = kill_process(id, signal);
    }
}

fn code(ended: ExitStatus) -> u8 {
    let by_signal = || ended.signal().map(|signal| BY_SIGNAL + signal);
    let code = ended.code().or_else(by_signal).unwrap_or(1);
    u8::try_from(code & 0xff).unwrap_or(1)
}
