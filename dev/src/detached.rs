//! A stack that outlives the command which started it: `up`, `down`, `status`, `env`.
//!
//! A small supervisor process owns the servers, so they end with it whatever kills it. Until it has reported that they
//! answer it is itself tied to `up`. What it reports is a file that appears at once and whole, and names the supervisor
//! by id and start time, so that a leftover file is never mistaken for a running stack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::error::{Error, Result};
use crate::kafka_wire::Door;
use crate::process_table;
use crate::project;
use crate::spawner::{self, ParentDeath, RunAs};
use crate::stack::{Profile, Stack, StackConfig};
use crate::{kafka_acls, kafka_probe, postgres_probe};

/// The first start may fetch the broker.
const UP_LIMIT: Duration = Duration::from_secs(900);
const DOWN_LIMIT: Duration = Duration::from_secs(30);
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A stack that is or may be up in a folder.
#[derive(Debug, Clone)]
pub struct Detached {
    folder: PathBuf,
}

/// What the supervisor reports once both servers answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The bootstrap servers.
    pub brokers: String,
    /// The superuser's URL of the database `postgres`.
    pub database_url: String,
    /// The supervisor's process id.
    pub supervisor_pid: i32,
    supervisor_start_time: u64,
    /// The broker's process id.
    pub kafka_pid: i32,
    /// Postgres' process id.
    pub postgres_pid: i32,
    /// How users get into the broker, if it is a secured one.
    pub kafka_access: Option<Access>,
    kafka_address: std::net::SocketAddr,
    postgres_address: std::net::SocketAddr,
}

impl Detached {
    /// The stack of this folder; by default it is `.dev/up` of the workspace.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder: folder
                .map_or_else(|| project::dev_folder().join("up"), |path| project::absolute(&path).unwrap_or(path)),
        }
    }

    /// Starts it, unless it is up already, and returns when both servers answer. `users`: those of a secured broker.
    ///
    /// # Errors
    /// When the supervisor ends before that, with what it wrote.
    pub fn up(&self, profile: Profile, users: &[String]) -> Result<Report> {
        let _turn = self.take_turn()?;
        if let Some(report) = self.report() {
            return Ok(report);
        }
        self.forget()?;
        let mut supervisor = self.spawn_supervisor(profile, users)?;
        let deadline = Instant::now() + UP_LIMIT;
        loop {
            let ended = supervisor.try_wait().map_err(Error::file("watch the supervisor in", &self.folder))?;
            if let Some(report) = self.report() {
                return Ok(report);
            }
            if let Some(status) = ended {
                let tail = self.complaints();
                return Err(Error::Detached(format!("the stack did not start ({status}): {tail}")));
            }
            if Instant::now() >= deadline {
                return Err(Error::Detached(format!("the stack is not up after {} s", UP_LIMIT.as_secs())));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and removes its data if asked to. Returns whether it was up.
    ///
    /// # Errors
    /// When the supervisor does not go away.
    pub fn down(&self, remove_data: bool) -> Result<bool> {
        let _turn = self.take_turn()?;
        let report = self.report();
        if let Some(report) = &report {
            let supervisor = Pid::from_raw(report.supervisor_pid);
            let failed = |errno: nix::errno::Errno| Error::Signal {
                name: "the supervisor".to_owned(),
                pid: report.supervisor_pid,
                source: errno.into(),
            };
            kill(supervisor, Signal::SIGTERM).map_err(failed)?;
            if !report.wait_for_end(DOWN_LIMIT) {
                // Its servers end with it.
                let (pid, limit) = (report.supervisor_pid, DOWN_LIMIT.as_secs());
                eprintln!("the supervisor (process {pid}) did not end within {limit} s and is killed");
                kill(supervisor, Signal::SIGKILL).map_err(failed)?;
                if !report.wait_for_end(DOWN_LIMIT) {
                    return Err(failed(nix::errno::Errno::EBUSY));
                }
            }
        }
        self.forget()?;
        if remove_data {
            project::remove_folder(&self.folder)?;
        }
        Ok(report.is_some())
    }

    /// What the supervisor wrote since the last `up`: complaints, and which server had to be killed.
    pub fn complaints(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default().trim().to_owned()
    }

    /// What the supervisor reported, if it lives.
    pub fn report(&self) -> Option<Report> {
        let text = fs::read_to_string(self.file()).ok()?;
        let report: Report = serde_json::from_str(&text).ok()?;
        report.supervisor_lives().then_some(report)
    }

    /// The supervisor's own work: holds the stack until it is told to end. Returns when the servers have ended.
    ///
    /// # Errors
    /// When the stack cannot be started or ended.
    pub fn supervise(&self, profile: Profile, users: &[String]) -> Result<()> {
        let (sender, events) = sync_channel(4);
        forward_signals(sender.clone())?;
        let kafka_users = users.to_vec();
        let config = StackConfig { profile, kafka_users, keep_data: true, ..StackConfig::in_folder(&self.folder) };
        // On a thread of its own, so that a signal is heard while servers are still starting.
        let start = move || sender.send(Event::Started(Box::new(Stack::start(config))));
        thread::Builder::new().name("start".to_owned()).spawn(start).map_err(spawn_failed)?;
        let stack = match events.recv() {
            Ok(Event::Started(stack)) => (*stack)?,
            // Half-started servers end with this process.
            Ok(Event::Signalled) | Err(_) => return Ok(()),
        };
        // From now on the stack outlives `up`; before the report, because `up` may end right after it.
        nix::sys::prctl::set_pdeathsig(None).map_err(|errno| spawn_failed(errno.into()))?;
        self.write_report(&stack)?;
        loop {
            match events.recv_timeout(Duration::from_secs(1)) {
                Ok(Event::Started(_)) => {}
                // Asking for their ids also buries servers that have ended.
                Err(RecvTimeoutError::Timeout) => {
                    let _ = (stack.kafka()?.pid(), stack.postgres()?.pid());
                }
                Ok(Event::Signalled) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        stack.stop()?;
        self.forget()
    }

    fn spawn_supervisor(&self, profile: Profile, users: &[String]) -> Result<Process> {
        fs::create_dir_all(&self.folder).map_err(Error::file("create", &self.folder))?;
        let log = self.log();
        let output = fs::File::create(&log).map_err(Error::file("create", &log))?;
        let errors = output.try_clone().map_err(Error::file("open", &log))?;
        let program = std::env::current_exe().map_err(Error::file("find", "the program of this process"))?;
        let mut command = Command::new(program);
        command.arg("supervise").arg("--folder").arg(&self.folder).arg("--profile").arg(profile.as_str());
        users.iter().for_each(|user| {
            command.arg("--user").arg(user);
        });
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        spawner::spawn(command, RunAs::Ourselves, ParentDeath::SignalOutsideSession(Signal::SIGTERM))
            .map_err(spawn_failed)
    }

    fn write_report(&self, stack: &Stack) -> Result<()> {
        let pid = nix::unistd::getpid();
        let ended = |name: &str| Error::NotRunning { name: name.to_owned() };
        let report = Report {
            brokers: stack.brokers(),
            database_url: stack.database_url(),
            supervisor_pid: pid.as_raw(),
            supervisor_start_time: process_table::Process::find(pid).map_or(0, |process| process.start_time),
            kafka_pid: stack.kafka()?.pid().ok_or_else(|| ended("Kafka"))?,
            postgres_pid: stack.postgres()?.pid().ok_or_else(|| ended("Postgres"))?,
            kafka_access: stack.kafka()?.access().ok().cloned(),
            kafka_address: stack.kafka()?.address(),
            postgres_address: stack.postgres()?.address(),
        };
        let text = serde_json::to_string_pretty(&report).map_err(|error| Error::Detached(error.to_string()))?;
        let partial = self.folder.join("up.json.partial");
        fs::write(&partial, text).map_err(Error::file("write", &partial))?;
        fs::rename(&partial, self.file()).map_err(Error::file("rename", &partial))
    }

    fn forget(&self) -> Result<()> {
        match fs::remove_file(self.file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", self.file())(error))
            }
            _ => Ok(()),
        }
    }

    /// `up` and `down` of one folder follow one another.
    fn take_turn(&self) -> Result<fs::File> {
        let name = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let beside = self.folder.parent().unwrap_or_else(|| Path::new("."));
        project::lock(&beside.join(format!("{name}.turn.lock")), UP_LIMIT)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("up.json")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("supervisor.log")
    }
}

impl Report {
    /// Whether the broker answers now.
    pub fn kafka_answers(&self) -> bool {
        kafka_probe::live_brokers(&self.door(), PROBE_LIMIT).is_ok_and(|brokers| brokers > 0)
    }

    /// Adds permissions to a secured broker, given as command lines of Kafka's own tool: `kafka-acls --add …`; how many.
    ///
    /// # Errors
    /// When a line is none of these, the broker is not secured, or does not take them.
    pub fn add_acls(&self, commands: &str) -> Result<usize> {
        if self.kafka_access.is_none() {
            return Err(Error::NotSecured);
        }
        kafka_acls::add(&self.door(), commands)
    }

    fn door(&self) -> Door {
        self.kafka_access.clone().map_or(Door::Open(self.kafka_address), Door::Secured)
    }

    /// Whether Postgres takes connections now.
    pub fn postgres_answers(&self) -> bool {
        postgres_probe::takes_connections(self.postgres_address, PROBE_LIMIT).unwrap_or(false)
    }

    fn supervisor_lives(&self) -> bool {
        let supervisor = process_table::Process::find(Pid::from_raw(self.supervisor_pid));
        supervisor.is_some_and(|process| process.start_time == self.supervisor_start_time && !process.is_zombie())
    }

    fn wait_for_end(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.supervisor_lives() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

enum Event {
    Started(Box<Result<Stack>>),
    Signalled,
}

/// Turns SIGTERM, SIGINT and SIGHUP into events. Must run before other threads exist, which inherit the mask.
fn forward_signals(events: SyncSender<Event>) -> Result<()> {
    let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().map_err(|errno| spawn_failed(errno.into()))?;
    let wait = move || {
        while signals.wait().is_ok() {
            if events.send(Event::Signalled).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(spawn_failed)?;
    Ok(())
}

fn spawn_failed(source: std::io::Error) -> Error {
    Error::Spawn { name: "the supervisor".to_owned(), source }
}
