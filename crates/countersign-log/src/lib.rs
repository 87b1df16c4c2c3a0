//! Lines of a log. Whoever logs only puts a line into memory, up to a bound; a thread of its own writes
//! them. So a slow disk, a full one, or a pipe that nobody reads stops nobody, and costs lines at the
//! most, which are counted.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    },
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;

/// How many bytes of lines may wait, beside those that are being written. Beyond, lines are lost.
const MOST_WAITING: usize = 4 * 1024 * 1024;

/// How many bytes are worth a write at once.
const BATCH: usize = 64 * 1024;

/// How long a line waits for others, so that many cost one write.
const GATHERING: Duration = Duration::from_millis(50);

/// When a file is tried again that took nothing, as on a full disk.
const RETRY: Duration = Duration::from_secs(1);

/// When a pipe is tried again that was full. Its reader may take lines as fast as it likes.
const PIPE_RETRY: Duration = Duration::from_millis(10);

/// After how long an operator should know that nothing is taken.
const STALLED: Duration = Duration::from_secs(5);

/// What the last lines may cost a stop.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// A log that takes lines.
#[derive(Debug)]
pub struct LineLog {
    shared: Arc<Shared>,
}

/// What is between those who log and the thread that writes.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Whole lines that wait.
    lines: Vec<u8>,
    /// How many lines are being written, and since when.
    writing: u64,
    writing_since: Option<Instant>,
    /// Why they could not be.
    error: Option<String>,
    /// How many lines are lost that nobody was told of.
    lost: u64,
    /// The file that takes the place of the one that is written to.
    next_file: Option<File>,
    /// How many files were changed to.
    files: u64,
    is_ending: bool,
    has_ended: bool,
}

/// How a log fares.
#[derive(Debug)]
pub struct Progress {
    /// How many lines were lost since this was last asked for.
    pub lost: u64,
    /// Why lines are not written now.
    pub trouble: Option<String>,
    /// How many lines wait because of that.
    pub waiting: u64,
}

impl LineLog {
    /// Writes to this file. If others write to it as well, nothing is changed for them.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn to_file(file: File) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            shared: Arc::clone(&shared),
            file,
            batch: Batch::default(),
        };
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Writes to standard error.
    ///
    /// # Errors
    ///
    /// It cannot be opened once more, or no thread can be started.
    pub fn to_standard_error() -> io::Result<Self> {
        let descriptor = io::stderr().as_fd().try_clone_to_owned()?;
        Self::to_file(descriptor.into())
    }

    /// Goes on with another file. What the old one does not take goes into the new one. Once this returns,
    /// nothing more is written to the old one, unless that hangs.
    pub fn change_to(&self, file: File) {
        let mut state = self.shared.state();
        state.next_file = Some(file);
        let wanted = state.files + 1;
        drop(state);
        self.shared.changed.notify_all();
        let is_old = |state: &mut State| state.files < wanted && !state.has_ended;
        drop(self.shared.wait_while(LAST_WRITE, is_old));
    }

    /// Adds whole lines: all of them, or none, if they find no room.
    pub fn add(&self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        let before = state.lines.len();
        let after = before + lines.len();
        if after > MOST_WAITING || state.is_ending {
            state.lost += count_lines(lines);
            return;
        }
        state.lines.extend_from_slice(lines);
        drop(state);
        if before == 0 || (before < BATCH && after >= BATCH) {
            self.shared.changed.notify_all();
        }
    }

    /// How the log fares.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let mut state = self.shared.state();
        let stalled = |since: Instant| {
            (since.elapsed() > STALLED).then(|| "it takes nothing any more".to_owned())
        };
        let error = state.error.clone();
        let trouble = error.or_else(|| state.writing_since.and_then(stalled));
        Progress {
            lost: std::mem::take(&mut state.lost),
            waiting: match trouble {
                Some(_) => state.writing + count_lines(&state.lines),
                None => 0,
            },
            trouble,
        }
    }

    /// Writes what waits, for as long as a stop may take. What is not written then is lost, and
    /// counted, as is what is added later.
    pub fn finish(&self) -> Progress {
        let mut state = self.shared.state();
        state.is_ending = true;
        self.shared.changed.notify_all();
        let ending = |state: &mut State| !state.has_ended;
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, LAST_WRITE, ending);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.lost += state.writing + count_lines(&state.lines);
        state.writing = 0;
        state.lines.clear();
        drop(state);
        self.progress()
    }
}

impl Drop for LineLog {
    fn drop(&mut self) {
        self.shared.state().is_ending = true;
        self.shared.changed.notify_all();
    }
}

/// Takes whole lines at each write.
impl Write for &LineLog {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.add(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file to append to, or creates it with this mode. Nobody is waited for: a pipe need not have
/// a reader yet, and is written to only while it has room.
///
/// # Errors
///
/// It cannot be opened.
pub fn open(path: &Path, mode: u32) -> io::Result<File> {
    let is_pipe = path
        .metadata()
        .is_ok_and(|found| found.file_type().is_fifo());
    OpenOptions::new()
        .create(true)
        .append(true)
        // Linux opens a named pipe at once for whoever also reads.
        .read(is_pipe)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .mode(mode)
        .open(path)
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while this is so, for so long at the most.
    fn wait_while(
        &self,
        at_most: Duration,
        is_so: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'_, State> {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), at_most, is_so);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
    file: File,
    batch: Batch,
}

/// Whole lines, of which so many bytes are written.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    written: usize,
}

impl Writer {
    fn run(mut self) {
        let mut pause = None;
        loop {
            match pause {
                Some(pause) => self.wait_to_retry(pause),
                None => self.wait_for_lines(),
            }
            let (next_file, is_ending) = self.take();
            let changes = next_file.is_some();
            let torn = next_file.map_or(0, |file| self.change_to(file));
            let written = self.batch.write_to(&mut self.file);
            pause = written.as_ref().err().map(|error| match error.kind() {
                ErrorKind::WouldBlock => PIPE_RETRY,
                _ => RETRY,
            });
            let is_done = self.note(written, torn, changes);
            if is_ending && (is_done || pause == Some(RETRY)) {
                break;
            }
        }
        self.shared.state().has_ended = true;
        self.shared.changed.notify_all();
    }

    /// Waits until there is something to do, and then a little for more of it.
    fn wait_for_lines(&self) {
        let is_urgent = |state: &State| state.next_file.is_some() || state.is_ending;
        let nothing = |state: &mut State| state.lines.is_empty() && !is_urgent(state);
        let state = self.shared.state();
        let waited = self.shared.changed.wait_while(state, nothing);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        let few = |state: &mut State| state.lines.len() < BATCH && !is_urgent(state);
        drop(self.shared.wait_while(GATHERING, few));
    }

    /// Waits before what was not taken is tried again.
    fn wait_to_retry(&self, pause: Duration) {
        // What a full disk did not take, it takes no better at the end.
        let may_wait = |state: &State| pause == PIPE_RETRY || !state.is_ending;
        let is_same = |state: &mut State| state.next_file.is_none() && may_wait(state);
        drop(self.shared.wait_while(pause, is_same));
    }

    /// Takes what waits, if all that was taken before is written. Returns the file to go on with if it is
    /// another, and whether the log is ending.
    fn take(&mut self) -> (Option<File>, bool) {
        let mut state = self.shared.state();
        if state.writing == 0 {
            self.batch.written = 0;
            self.batch.lines.clear();
            self.batch.lines.shrink_to(4 * BATCH);
            std::mem::swap(&mut self.batch.lines, &mut state.lines);
            state.writing = count_lines(&self.batch.lines);
            state.writing_since = (state.writing > 0).then(Instant::now);
        }
        (state.next_file.take(), state.is_ending)
    }

    /// Goes on with another file: what the old one does not take goes into the new one, but for the rest
    /// of a line whose beginning is in the old one. Returns how many such lines there are.
    fn change_to(&mut self, file: File) -> u64 {
        let mut old = std::mem::replace(&mut self.file, file);
        match self.batch.write_to(&mut old) {
            Ok(()) => 0,
            Err(_) => self.batch.skip_torn_line(),
        }
    }

    /// Notes how an attempt to write went; whether nothing is left to write.
    fn note(&self, written: io::Result<()>, torn: u64, changes: bool) -> bool {
        let mut state = self.shared.state();
        state.files += u64::from(changes);
        state.lost += torn;
        state.writing = count_lines(self.batch.left());
        if state.writing == 0 {
            state.writing_since = None;
        }
        state.error = match written {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Some(error.to_string()),
            _ => None,
        };
        let is_done = state.writing == 0 && state.lines.is_empty();
        drop(state);
        self.shared.changed.notify_all();
        is_done
    }
}

impl Batch {
    fn left(&self) -> &[u8] {
        self.lines.get(self.written..).unwrap_or_default()
    }

    fn write_to(&mut self, file: &mut File) -> io::Result<()> {
        while !self.left().is_empty() {
            match file.write(self.left()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Skips what is left of a line of which a part is written; how many lines that are.
    fn skip_torn_line(&mut self) -> u64 {
        let written = self.lines.get(..self.written).unwrap_or_default();
        if written.last().is_none_or(|last| *last == b'\n') {
            return 0;
        }
        let rest = self.left().iter().position(|byte| *byte == b'\n');
        self.written = rest.map_or(self.lines.len(), |end| self.written + end + 1);
        1
    }
}

fn count_lines(text: &[u8]) -> u64 {
    let breaks = text.iter().filter(|byte| **byte == b'\n');
    u64::try_from(breaks.count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::PermissionsExt as _, process::Command};

    use super::*;

    /// Adds so many lines, which say which they are.
    fn add(log: &LineLog, count: u64) {
        for number in 0..count {
            log.add(format!("line {number:0200}\n").as_bytes());
        }
    }

    /// How many lines a text has, each of which is whole.
    fn whole_lines(text: &str) -> u64 {
        for line in text.lines() {
            assert!(line.starts_with("line ") && line.len() == 205, "{line}");
        }
        assert!(text.is_empty() || text.ends_with('\n'));
        count_lines(text.as_bytes())
    }

    fn until(log: &LineLog, is_so: impl Fn(&State) -> bool) {
        let is_not = |state: &mut State| !is_so(state);
        let mut state = log.shared.wait_while(Duration::from_secs(60), is_not);
        assert!(!is_not(&mut state));
    }

    fn pipe(directory: &Path) -> std::path::PathBuf {
        let path = directory.join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn a_new_file_has_the_mode_that_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o640] {
            let path = directory.path().join(format!("{mode:o}"));
            open(&path, mode).unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
    }

    #[test]
    fn lines_are_written_without_being_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = LineLog::to_file(open(&path, 0o600).unwrap()).unwrap();
        for count in 1..4 {
            add(&log, 1);
            until(&log, |state| state.lines.is_empty() && state.writing == 0);
            assert_eq!(whole_lines(&fs::read_to_string(&path).unwrap()), count);
        }
        assert_eq!(log.progress().lost, 0);
    }

    #[test]
    fn a_log_that_is_rotated_on_a_full_disk_has_whole_lines_and_counts_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = LineLog::to_file(open(Path::new("/dev/full"), 0o600).unwrap()).unwrap();
        let count = 50_000;
        add(&log, count);
        until(&log, |state| state.error.is_some());
        let full = log.progress();
        assert!(full.trouble.unwrap().contains("No space left"));
        assert_eq!(full.waiting + full.lost, count);
        log.change_to(open(&path, 0o600).unwrap());
        let end = log.finish();
        assert_eq!((end.trouble, end.waiting), (None, 0));
        let whole = whole_lines(&fs::read_to_string(&path).unwrap());
        assert!(whole > 0);
        assert_eq!(whole + full.lost + end.lost, count);
        add(&log, 3);
        assert_eq!(log.progress().lost, 3);
    }

    #[test]
    fn a_log_on_a_full_disk_ends_and_counts_every_line() {
        let log = LineLog::to_file(open(Path::new("/dev/full"), 0o600).unwrap()).unwrap();
        add(&log, 100);
        assert_eq!(log.finish().lost, 100);
    }

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody_and_its_lines_are_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(directory.path());
        let log = LineLog::to_file(open(&path, 0o600).unwrap()).unwrap();
        let count = 50_000;
        add(&log, count);
        let lost = log.progress().lost;
        assert!(lost > 0, "more than the pipe and the memory take");
        let mut reader = File::open(&path).unwrap();
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        // The reader's end comes when the writing thread has ended, and closed the pipe.
        assert_eq!(log.finish().lost, 0);
        assert_eq!(whole_lines(&reading.join().unwrap()) + lost, count);
    }

    #[test]
    fn a_pipe_that_nobody_reads_until_the_end_costs_its_lines_and_little_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = pipe(directory.path());
        let log = LineLog::to_file(open(&path, 0o600).unwrap()).unwrap();
        // What is in a pipe goes when nobody has it open any more.
        let mut reader = open(&path, 0o600).unwrap();
        let count = 10_000;
        add(&log, count);
        let lost = log.finish().lost;
        let mut text = vec![0; 1024 * 1024];
        let read = match reader.read(&mut text) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(count_lines(text.get(..read).unwrap()) + lost, count);
    }

    #[test]
    fn a_log_that_changes_its_file_leaves_a_pipe_that_nobody_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = LineLog::to_file(open(&pipe(directory.path()), 0o600).unwrap()).unwrap();
        add(&log, 10_000);
        log.change_to(open(&path, 0o600).unwrap());
        let end = log.finish();
        assert!(end.lost <= 1, "the line that was torn");
        let whole = whole_lines(&fs::read_to_string(&path).unwrap());
        assert!(whole > 9_000, "all that the pipe did not take: {whole}");
    }

    #[test]
    fn the_rest_of_a_line_whose_beginning_is_written_elsewhere_is_skipped() {
        let cases = [
            (0, "ab\ncd\n", 0),
            (1, "cd\n", 1),
            (3, "cd\n", 0),
            (5, "", 1),
        ];
        for (written, left, lost) in cases {
            let mut batch = Batch {
                lines: b"ab\ncd\n".to_vec(),
                written,
            };
            assert_eq!(batch.skip_torn_line(), lost, "{written}");
            assert_eq!(batch.left(), left.as_bytes(), "{written}");
        }
    }
}
