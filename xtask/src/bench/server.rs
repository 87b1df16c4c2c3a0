//! A server under measurement: started on a core of its own, its CPU time read from the system.

use std::{
    fs,
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use nix::{time::clock_getcpuclockid, unistd::Pid};

use crate::process::{self, Outcome};

/// The core that servers run on; the load has the other.
pub(crate) const SERVER_CORE: &str = "0";
/// The core that the load, and PostgreSQL, run on.
pub(crate) const LOAD_CORE: &str = "1";

/// How long a server may take until it takes connections.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a program on the servers' core and waits until it takes connections.
    pub(crate) fn start(command: &Command, address: SocketAddr) -> Outcome<Self> {
        Self::launch(pinned(command, SERVER_CORE), address)
    }

    /// The same on the load's core: for what servers need, and is not measured.
    pub(crate) fn start_beside(command: &Command, address: SocketAddr) -> Outcome<Self> {
        Self::launch(pinned(command, LOAD_CORE), address)
    }

    /// The same on both cores: for what has nothing else beside it.
    pub(crate) fn start_anywhere(command: &Command, address: SocketAddr) -> Outcome<Self> {
        let both = format!("{SERVER_CORE},{LOAD_CORE}");
        Self::launch(pinned(command, &both), address)
    }

    fn launch(mut command: Command, address: SocketAddr) -> Outcome<Self> {
        let mut child = command.spawn()?;
        let lines = lines(&mut child);
        let mut server = Self { child, address };
        let mut printed = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            match lines.recv_timeout(Duration::from_millis(20)) {
                Ok(line) => printed.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = server.child.wait()?;
                    return Err(
                        format!("the server ended with {status}: {}", printed.join("\n")).into(),
                    );
                }
            }
            if Instant::now() > deadline {
                return Err(format!("the server did not start: {}", printed.join("\n")).into());
            }
        }
        // A server that finds its pipe full would wait for us.
        thread::spawn(move || while lines.recv().is_ok() {});
        Ok(server)
    }

    /// The number of the server's first process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU that the server has used, in user code and in the kernel.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        cpu_seconds(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address on loopback that was free a moment ago, for servers that cannot pick one.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Puts this process, and what it starts, on the load's core.
pub(crate) fn pin_load() -> Outcome {
    let ourselves = std::process::id().to_string();
    let pin = ["--all-tasks", "--cpu-list", "--pid", LOAD_CORE, &ourselves];
    process::read(Command::new("taskset").args(pin)).map(drop)
}

/// Seconds of CPU of a process and of all threads that it ever had, to the nanosecond.
fn cpu_seconds(process: u32) -> Outcome<f64> {
    let clock = clock_getcpuclockid(Pid::from_raw(process.try_into()?))?;
    Ok(Duration::from(clock.now()?).as_secs_f64())
}

/// Seconds of CPU of a process and of all children, running and ended, that it ever had.
pub(crate) fn cpu_seconds_of_family(process: u32) -> Outcome<f64> {
    let ended_children = Status::read(process)?.ended_children;
    let mut seconds = cpu_seconds(process)? + ended_children / ticks_per_second()?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // A process may end between being listed and being read.
        let child = number
            .filter(|number| Status::read(*number).is_ok_and(|status| status.parent == process));
        seconds += child.map_or(0.0, |child| cpu_seconds(child).unwrap_or(0.0));
    }
    Ok(seconds)
}

/// KiB of memory that a process and its children hold.
pub(crate) fn resident_kib_of_family(process: u32) -> Outcome<f64> {
    let mut kib = resident_kib(process)?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok());
        // A process may end between being listed and being read.
        let child = number
            .filter(|number| Status::read(*number).is_ok_and(|status| status.parent == process));
        kib += child.map_or(Ok(0.0), resident_kib)?;
    }
    Ok(kib)
}

fn resident_kib(process: u32) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    Ok(figure.ok_or("no memory in /proc/PID/status")?.parse()?)
}

/// Lets this process, and what it starts, open as many files as the system allows it.
pub(crate) fn raise_file_limit() -> Outcome {
    let ourselves = std::process::id().to_string();
    let mut limit = Command::new("prlimit");
    limit.args(["--pid", &ourselves, "--nofile", "--noheadings", "--raw"]);
    let hard = process::read(limit.args(["--output", "HARD"]))?;
    let hard = hard.trim();
    let mut raise = Command::new("prlimit");
    raise.args(["--pid", &ourselves, &format!("--nofile={hard}:{hard}")]);
    process::read(&mut raise).map(drop)
}

/// What the system says of a process; times in ticks.
struct Status {
    parent: u32,
    ended_children: f64,
}

impl Status {
    fn read(process: u32) -> Outcome<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name, in parentheses, may hold anything. The fields after it count from 3.
        let (_, fields) = text.rsplit_once(')').ok_or("unreadable /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .copied()
                .ok_or("short /proc/PID/stat")
        };
        let ticks = |number: usize| -> Outcome<f64> { Ok(field(number)?.parse()?) };
        Ok(Self {
            parent: field(4)?.parse()?,
            ended_children: ticks(16)? + ticks(17)?,
        })
    }
}

fn ticks_per_second() -> Outcome<f64> {
    Ok(process::read(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?)
}

fn pinned(command: &Command, core: &str) -> Command {
    let mut pinned = Command::new("taskset");
    pinned
        .args(["--cpu-list", core])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => pinned.env(name, value),
            None => pinned.env_remove(name),
        };
    }
    pinned
}

fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || forward(BufReader::new(stdout), &sender));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || forward(BufReader::new(stderr), &sender));
    }
    receiver
}

fn forward(reader: impl std::io::BufRead, sender: &mpsc::Sender<String>) {
    for line in reader.lines().map_while(Result::ok) {
        if sender.send(line).is_err() {
            return;
        }
    }
}
