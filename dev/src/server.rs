//! One server of the stack: started, asked whether it answers, killed, paused, brought back on the same port.
//!
//! What differs between Kafka and Postgres is in `Kind`; how their processes are made and watched is the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::access::Access;
use crate::child::Child;
use crate::error::{Error, Result};
use crate::kafka_wire::Door;
use crate::pause::Pause;
use crate::process_table::Process;
use crate::spawner::{ParentDeath, RunAs};
use crate::{kafka_acls, kafka_probe, postgres_data, postgres_probe};

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Kafka,
    Postgres,
}

/// How a server's process is made, each time anew.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Its working folder; its data and its log are in there.
    pub(crate) folder: PathBuf,
    /// The data folder.
    pub(crate) data: PathBuf,
    pub(crate) port: u16,
    /// How a secured broker is asked for its readiness; none: in the open.
    pub(crate) access: Option<Access>,
    pub(crate) run_as: RunAs,
}

/// A server that this process started and answers for.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    /// Before the process: what is paused goes on before it is ended.
    pause: Option<Pause>,
    child: Option<Child>,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(launch: Launch) -> Result<Self> {
        let child = launch.spawn()?;
        let server = Self { launch, process: Mutex::new(Running { pause: None, child: Some(child) }) };
        server.wait_ready()?;
        Ok(server)
    }

    /// `Kafka` or `Postgres`.
    pub fn name(&self) -> &'static str {
        self.launch.kind.name()
    }

    /// The loopback address that clients use. It stays the same over restarts.
    pub fn address(&self) -> SocketAddr {
        self.launch.address()
    }

    /// The process id, if it runs.
    pub fn pid(&self) -> Option<i32> {
        let running = self.lock();
        running.child.as_ref().filter(|child| child.is_running()).map(Child::pid)
    }

    /// How users get into the broker, if it is a secured one.
    ///
    /// # Errors
    /// [`Error::NotSecured`] otherwise.
    pub fn access(&self) -> Result<&Access> {
        self.launch.access.as_ref().ok_or(Error::NotSecured)
    }

    /// Adds permissions to a secured broker, given as command lines of Kafka's own tool: `kafka-acls --add …`; how many.
    ///
    /// # Errors
    /// When a line is none of these, or the broker does not take them.
    pub fn add_acls(&self, commands: &str) -> Result<usize> {
        kafka_acls::add(&Door::Secured(self.access()?.clone()), commands)
    }

    /// The file that gets its log.
    pub fn log_file(&self) -> PathBuf {
        self.launch.log()
    }

    /// The folder that has its data.
    pub fn data_folder(&self) -> &Path {
        &self.launch.data
    }

    /// SIGKILL, at once, to it and all its processes; waits until they are gone. Its data stay as they were.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it had ended before.
    pub fn kill(&self) -> Result<()> {
        let mut running = self.lock();
        let Some(child) = running.child.take().filter(Child::is_running) else { return Err(self.not_running()) };
        // The backends of Postgres are in sessions of their own, out of reach of a signal to the group.
        let workers = Process::children(nix::unistd::Pid::from_raw(child.pid()));
        child.kill9()?;
        for worker in &workers {
            if worker.still_runs() {
                // It may end by itself between the look and the signal.
                let _ = nix::sys::signal::kill(worker.pid, Signal::SIGKILL);
            }
        }
        running.pause = None;
        let deadline = Instant::now() + STOP_LIMIT;
        while workers.iter().any(Process::still_runs) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// SIGSTOP to it and all its processes. They go on by [`Server::resume`]; should this process die first, they end.
    ///
    /// # Errors
    /// [`Error::NotRunning`] if it has ended.
    pub fn pause(&self) -> Result<()> {
        let mut running = self.lock();
        if running.pause.is_some() {
            return Ok(());
        }
        let Some(child) = running.child.as_ref().filter(|child| child.is_running()) else {
            return Err(self.not_running());
        };
        running.pause = Some(Pause::begin(child, &self.launch.log())?);
        Ok(())
    }

    /// SIGCONT after [`Server::pause`]; without one it does nothing.
    ///
    /// # Errors
    /// When the signal is refused.
    pub fn resume(&self) -> Result<()> {
        self.lock().pause.take().map_or(Ok(()), Pause::end)
    }

    /// Ends it as its manual says, so that it has nothing to recover when it comes back; after 10 s it is killed.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop(&self) -> Result<()> {
        self.stop_with(self.launch.kind.stop_signal())
    }

    /// Ends it at once and leaves its data to be recovered: Postgres' immediate shutdown, for Kafka the same as a kill.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop_at_once(&self) -> Result<()> {
        self.stop_with(self.launch.kind.discard_signal())
    }

    /// Ends it and leaves nothing of it outside its folder; its data need not be clean.
    pub(crate) fn discard(&self) -> Result<()> {
        self.stop_with(self.launch.kind.discard_signal())?;
        if self.launch.kind == Kind::Postgres {
            postgres_data::release_shared_memory(&self.launch.data);
        }
        Ok(())
    }

    /// Starts it again on the same port and data, after [`Server::kill`], [`Server::stop`] or a crash, and waits until it
    /// answers. If it still runs it is stopped first.
    ///
    /// # Errors
    /// When it ends again or does not answer.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        // Backends of a Postgres that was killed by somebody else need a moment to notice; until then it refuses to start.
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            self.lock().child = Some(self.launch.spawn()?);
            match self.wait_ready() {
                Err(Error::Ended { tail, .. }) if postgres_data::is_in_use(&tail) && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(100));
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits until it answers its protocol, at most 60 s.
    ///
    /// # Errors
    /// When it has ended, or does not answer; with the end of its log.
    pub fn wait_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut pause = Duration::from_millis(10);
        loop {
            if let Some(ended) = self.how_it_ended()? {
                return Err(ended);
            }
            if self.launch.answers() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let no_answer = |child: &Child| child.not_ready(READY_LIMIT, "no answer");
                return Err(self.lock().child.as_ref().map_or_else(|| self.not_running(), no_answer));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(80));
        }
    }

    /// Whether it answers its protocol right now.
    pub fn is_ready(&self) -> bool {
        self.launch.answers()
    }

    fn how_it_ended(&self) -> Result<Option<Error>> {
        let running = self.lock();
        let Some(child) = running.child.as_ref() else { return Ok(Some(self.not_running())) };
        Ok(child.try_wait()?.map(|status| child.ended(status)))
    }

    fn stop_with(&self, signal: Signal) -> Result<()> {
        let mut running = self.lock();
        if let Some(pause) = running.pause.take() {
            pause.end()?;
        }
        let Some(child) = running.child.take() else { return Ok(()) };
        match child.signal(signal) {
            Ok(()) => {}
            Err(Error::NotRunning { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        if child.wait_timeout(STOP_LIMIT)?.is_none() {
            let (name, pid) = (self.name(), child.pid());
            eprintln!("{name} (process {pid}) did not end within {} s and is killed", STOP_LIMIT.as_secs());
            child.kill9()?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn not_running(&self) -> Error {
        Error::NotRunning { name: self.name().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be reported from here; the kernel's signal at our own end is the second net.
        let _ = self.discard();
    }
}

impl Launch {
    fn spawn(&self) -> Result<Child> {
        if self.kind == Kind::Postgres {
            postgres_data::forget_dead_postmaster(&self.data)?;
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        let parent_death = ParentDeath::Signal(self.kind.parent_death_signal());
        Child::spawn_as(command, self.kind.name().to_owned(), &self.log(), self.run_as, parent_death)
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn door(&self) -> Door {
        self.access.clone().map_or_else(|| Door::Open(self.address()), Door::Secured)
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.kind.name().to_ascii_lowercase()))
    }

    fn answers(&self) -> bool {
        match self.kind {
            Kind::Kafka => kafka_probe::live_brokers(&self.door(), PROBE_LIMIT).is_ok_and(|brokers| brokers > 0),
            Kind::Postgres => postgres_probe::takes_connections(self.address(), PROBE_LIMIT).unwrap_or(false),
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Kafka => "Kafka",
            Kind::Postgres => "Postgres",
        }
    }

    fn stop_signal(self) -> Signal {
        match self {
            Kind::Kafka => Signal::SIGTERM,
            Kind::Postgres => Signal::SIGINT,
        }
    }

    /// Postgres gives its shared memory back at SIGQUIT, at once and without a checkpoint; SIGKILL would leave it behind.
    fn discard_signal(self) -> Signal {
        match self {
            Kind::Kafka => Signal::SIGKILL,
            Kind::Postgres => Signal::SIGQUIT,
        }
    }

    /// As for discarding: and at SIGQUIT the postmaster ends its backends too, even busy ones.
    fn parent_death_signal(self) -> Signal {
        self.discard_signal()
    }
}
