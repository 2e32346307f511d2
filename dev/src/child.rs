//! A supervised process: own group, own log file, dies with this process however that dies.
//!
//! Signals go to the whole group, and only while the process is not yet reaped, so that they never hit a stranger who
//! got the same id. Dropping it kills it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::spawner::{self, ParentDeath, RunAs};

const TAIL_BYTES: u64 = 4096;
const AFTER_KILL: Duration = Duration::from_secs(10);

/// A running process that this one started and answers for.
#[derive(Debug)]
pub struct Child {
    name: String,
    log: PathBuf,
    /// Length of the log when this process started: what is before it was written by a predecessor.
    log_start: u64,
    pid: Pid,
    process: Mutex<Reaped>,
}

#[derive(Debug)]
struct Reaped {
    process: process::Child,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` in a process group of its own, its output appended to `log_file`, its input empty.
    ///
    /// It is killed when the returned value is dropped, and by the kernel when this process ends, whatever ends it.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn spawn(command: Command, name: impl Into<String>, log_file: &Path) -> Result<Self> {
        Self::spawn_as(command, name.into(), log_file, RunAs::Ourselves, ParentDeath::Signal(Signal::SIGKILL))
    }

    pub(crate) fn spawn_as(
        mut command: Command,
        name: String,
        log_file: &Path,
        run_as: RunAs,
        parent_death: ParentDeath,
    ) -> Result<Self> {
        if let Some(folder) = log_file.parent() {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        let open = || OpenOptions::new().create(true).append(true).open(log_file);
        let output = open().map_err(Error::file("open", log_file))?;
        let log_start = output.metadata().map_err(Error::file("read", log_file))?.len();
        let errors = output.try_clone().map_err(Error::file("open", log_file))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let process = spawner::spawn(command, run_as, parent_death)
            .map_err(|source| Error::Spawn { name: name.clone(), source })?;
        let pid = Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX));
        let process = Mutex::new(Reaped { process, status: None });
        Ok(Self { name, log: log_file.to_path_buf(), log_start, pid, process })
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; meaningful while it runs.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// The file that gets its output.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Whether it has not ended yet. A stopped process runs.
    pub fn is_running(&self) -> bool {
        matches!(self.try_wait(), Ok(None))
    }

    /// SIGKILL to the group, and waits until the process is gone. No error if it had already ended.
    ///
    /// # Errors
    /// When the signal is refused or the process does not go away.
    pub fn kill9(&self) -> Result<()> {
        match self.signal(Signal::SIGKILL) {
            Ok(()) => {}
            Err(Error::NotRunning { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        match self.wait_timeout(AFTER_KILL)? {
            Some(_) => Ok(()),
            None => Err(self.signal_error(io::Error::other("still there 10 s after SIGKILL"))),
        }
    }

    /// SIGTERM to the group; does not wait.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it has ended.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// SIGINT to the group, as Ctrl-C sends it; does not wait.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it has ended.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(Signal::SIGINT)
    }

    /// SIGSTOP to the group: it stands still as after a long pause of the machine.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it has ended.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT to the group.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it has ended.
    pub fn cont(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // The lock is held over the signal, so that nobody reaps the process in between.
        let mut process = self.lock();
        if self.reap(&mut process)?.is_some() {
            return Err(Error::NotRunning { name: self.name.clone() });
        }
        killpg(self.pid, signal).map_err(|errno| self.signal_error(errno.into()))
    }

    /// Its exit status if it has ended.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.reap(&mut self.lock())
    }

    /// Waits at most `limit` for its end; `None` if it still runs then.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn wait_timeout(&self, limit: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            let status = self.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Waits at most `limit` until it has ended well.
    ///
    /// # Errors
    /// When it ends badly or not in time; with the end of its log.
    pub fn wait_success(&self, limit: Duration) -> Result<()> {
        let outcome = match self.wait_timeout(limit)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => status.to_string(),
            None => format!("it took longer than {limit:?}"),
        };
        Err(Error::Program { program: self.name.clone(), outcome, tail: self.tail() })
    }

    /// SIGTERM to all of them at once, and waits until they have drained: how each ended, or `None` where it had to be killed
    /// because it did not end in time.
    ///
    /// # Errors
    /// When the system does not let them be ended.
    pub fn drain<'c>(
        children: impl IntoIterator<Item = &'c Child>,
        limit: Duration,
    ) -> Result<Vec<Option<ExitStatus>>> {
        let children: Vec<&Child> = children.into_iter().collect();
        for child in &children {
            match child.terminate() {
                Ok(()) | Err(Error::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let deadline = Instant::now() + limit;
        let ended = |child: &Child| {
            let status = child.wait_timeout(deadline.saturating_duration_since(Instant::now()))?;
            if status.is_none() {
                child.kill9()?;
            }
            Ok(status)
        };
        children.into_iter().map(ended).collect()
    }

    /// Waits until a line of its output holds `words`, and returns that line; `None` if it ended or `limit` passed first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn wait_for_line(&self, words: &str, limit: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + limit;
        loop {
            // Asked before reading: what it wrote before it ended is then in the text.
            let over = !self.is_running() || Instant::now() >= deadline;
            let text = self.output()?;
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(line) = complete.lines().find(|line| line.contains(words)) {
                return Ok(Some(line.to_owned()));
            }
            if over {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has written so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn output(&self) -> Result<String> {
        read_from(&self.log, self.log_start).map_err(Error::file("read", &self.log))
    }

    /// The end of what it has written, at most 4 KiB, for error messages.
    pub fn tail(&self) -> String {
        let length = fs::metadata(&self.log).map_or(0, |data| data.len());
        let from = length.saturating_sub(TAIL_BYTES).max(self.log_start);
        read_from(&self.log, from).unwrap_or_default().trim_end().to_owned()
    }

    /// That it ended before it was ready.
    pub(crate) fn ended(&self, status: ExitStatus) -> Error {
        let (name, status) = (self.name.clone(), status.to_string());
        Error::Ended { name, status, log: self.log.clone(), tail: self.tail() }
    }

    /// That it is not ready after this time, and what it says.
    pub(crate) fn not_ready(&self, waited: Duration, said: &str) -> Error {
        let (name, said) = (self.name.clone(), said.trim().replace('\n', "; "));
        Error::NotReady { name, said, waited_s: waited.as_secs(), log: self.log.clone(), tail: self.tail() }
    }

    fn reap(&self, reaped: &mut Reaped) -> Result<Option<ExitStatus>> {
        if reaped.status.is_none() {
            reaped.status = reaped.process.try_wait().map_err(|source| self.signal_error(source))?;
        }
        Ok(reaped.status)
    }

    fn lock(&self) -> MutexGuard<'_, Reaped> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn signal_error(&self, source: io::Error) -> Error {
        Error::Signal { name: self.name.clone(), pid: self.pid.as_raw(), source }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nothing can be reported from here; the kernel's signal at our own end is the second net.
        let _ = self.kill9();
    }
}

fn read_from(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
