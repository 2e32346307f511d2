//! Two instances of every worker as processes, and the supervisor that starts again what has ended.
//!
//! The supervisor is a thread, as systemd is a process: it knows nothing of the faults but that an instance is to be away
//! for a while. Logs are bounded: what is too long is kept once as `.old` and begun anew.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use dev_stack::{Child, Daemon};
use schemas::ServiceName;

use super::site::{Site, instance_name};
use crate::error::{BenchError, Doing, Result};
use crate::measure::memory_of;

/// Instances of every service.
const INSTANCES: usize = 2;
/// How long `migrate` and `topics create` may take.
const SET_UP_LIMIT: Duration = Duration::from_secs(60);
/// How long draining may take before a worker is killed.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks of the supervisor.
const SUPERVISION: Duration = Duration::from_millis(100);
/// An instance that ends right after its start is not started more often than this.
const RESTART_PAUSE: Duration = Duration::from_millis(700);
/// From here on a log is begun anew.
const LONGEST_LOG_BYTES: u64 = 64 << 20;
/// What of our own environment the workers get; all else of theirs is in their settings.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "LD_LIBRARY_PATH"];

/// All workers.
pub(crate) struct Fleet {
    workers: Arc<Vec<Worker>>,
    /// What ended without being asked to, and how.
    surprises: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    supervisor: JoinHandle<Result<()>>,
}

/// One instance.
struct Worker {
    service: ServiceName,
    name: String,
    address: SocketAddr,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    process: Option<Daemon>,
    /// Not before this moment it is started again.
    away_until: Option<Instant>,
    started: Option<Instant>,
}

/// Memory of one worker in bytes.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Memory {
    /// The worker.
    pub(crate) worker: String,
    /// Proportional set size.
    pub(crate) bytes: u64,
}

impl Fleet {
    /// Migrates, makes the topics, and starts everything and the supervisor.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        for service in ServiceName::ALL {
            set_up(site, service, &["migrate"])?;
        }
        set_up(site, ServiceName::Order, &["topics", "create"])?;
        let mut workers = Vec::new();
        for service in ServiceName::ALL {
            for number in 1..=INSTANCES {
                let port = dev_stack::free_port().map_err(BenchError::other)?;
                workers.push(Worker {
                    service,
                    name: instance_name(service, number),
                    address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                    slot: Mutex::default(),
                });
            }
        }
        let (workers, surprises, is_over) = (Arc::new(workers), Arc::default(), Arc::new(AtomicBool::new(false)));
        let supervision = Supervision {
            workers: workers.clone(),
            surprises: Arc::clone(&surprises),
            is_over: is_over.clone(),
            folder: site.folder().to_owned(),
            settings: site.settings_file(),
        };
        let supervisor = std::thread::Builder::new().name("supervisor".into()).spawn(move || supervision.run());
        Ok(Fleet { workers, surprises, is_over, supervisor: supervisor.doing("starting the supervisor")? })
    }

    /// The name of the worker that a number picks.
    pub(crate) fn name(&self, pick: usize) -> &str {
        &self.picked(pick).name
    }

    /// Every reason why a worker is not ready, worker by worker.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let obstacle = |worker: &Worker| match dev_stack::get(worker.address, "/readyz") {
            Ok((200, _)) => None,
            Ok((_, body)) => Some(format!("{}: {}", worker.name, body.trim().replace('\n', "; "))),
            Err(error) => Some(format!("{}: no answer: {error}", worker.name)),
        };
        self.workers.iter().filter_map(obstacle).collect()
    }

    /// Fails when the supervisor has.
    pub(crate) fn check(&self) -> Result<()> {
        if self.supervisor.is_finished() { Err(BenchError::other("the supervisor has ended")) } else { Ok(()) }
    }

    /// SIGKILL; it is away for so long before the supervisor starts it again.
    pub(crate) fn kill(&self, pick: usize, away: Duration) -> Result<()> {
        let mut slot = self.picked(pick).slot();
        slot.away_until = Some(Instant::now() + away);
        let Some(process) = slot.process.take() else { return Ok(()) };
        process.kill9().map_err(BenchError::other)?;
        drop(slot);
        sleep(away);
        Ok(())
    }

    /// SIGSTOP for so long.
    pub(crate) fn pause(&self, pick: usize, length: Duration) -> Result<()> {
        let signal = |signal: fn(&Child) -> dev_stack::Result<()>| {
            let slot = self.picked(pick).slot();
            slot.process.as_ref().map_or(Ok(()), |process| signal(process)).map_err(BenchError::other)
        };
        signal(Child::stop)?;
        sleep(length);
        signal(Child::cont)
    }

    /// SIGTERM; waits until it has drained.
    pub(crate) fn terminate(&self, pick: usize) -> Result<()> {
        let worker = self.picked(pick);
        let process = {
            let mut slot = worker.slot();
            // What took its place before it has drained would be a rival under the same id.
            slot.away_until = Some(Instant::now() + 2 * DRAIN_LIMIT);
            slot.process.take()
        };
        let Some(process) = process else { return Ok(()) };
        let ended = Child::drain([&*process], DRAIN_LIMIT).map_err(BenchError::other)?;
        match ended.first().copied().flatten() {
            Some(status) if status.success() => {}
            Some(status) => self.surprise(format!("{} ended with {status} after SIGTERM", worker.name)),
            None => self.surprise(format!("{} did not drain within {DRAIN_LIMIT:?} after SIGTERM", worker.name)),
        }
        drop(process);
        worker.slot().away_until = None;
        Ok(())
    }

    /// What an operator does in the end: all workers are killed, and started again by the supervisor.
    pub(crate) fn restart_all(&self) -> Result<()> {
        (0..self.workers.len()).try_for_each(|worker| self.kill(worker, Duration::ZERO))
    }

    /// What every worker uses now.
    pub(crate) fn memory(&self) -> Vec<Memory> {
        let of = |worker: &Worker| {
            let pid = worker.slot().process.as_ref().and_then(|process| u32::try_from(process.pid()).ok());
            Memory { worker: worker.name.clone(), bytes: pid.map_or(0, memory_of) }
        };
        self.workers.iter().map(of).collect()
    }

    /// Ends all workers, with what ended or drained other than it should during the whole run.
    pub(crate) fn stop(self) -> Result<Vec<String>> {
        self.is_over.store(true, Ordering::Release);
        self.supervisor.join().map_err(|_| BenchError::other("the supervisor panicked"))??;
        for worker in self.workers.iter() {
            drop(worker.slot().process.take());
        }
        Ok(std::mem::take(&mut *self.surprises.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn picked(&self, pick: usize) -> &Worker {
        &self.workers[pick % self.workers.len()]
    }

    fn surprise(&self, what: String) {
        self.surprises.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

impl Worker {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the supervisor works with.
struct Supervision {
    workers: Arc<Vec<Worker>>,
    surprises: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    folder: std::path::PathBuf,
    settings: std::path::PathBuf,
}

impl Supervision {
    fn run(&self) -> Result<()> {
        while !self.is_over.load(Ordering::Acquire) {
            for worker in self.workers.iter() {
                self.look_after(worker)?;
            }
            sleep(SUPERVISION);
        }
        Ok(())
    }

    fn look_after(&self, worker: &Worker) -> Result<()> {
        let mut slot = worker.slot();
        if let Some(process) = slot.process.as_ref() {
            let Some(status) = process.try_wait().map_err(BenchError::other)? else { return Ok(()) };
            let last = process.tail().lines().last().unwrap_or_default().to_owned();
            let what = format!("{} ended by itself ({status}): {last}", worker.name);
            self.surprises.lock().unwrap_or_else(PoisonError::into_inner).push(what);
            slot.process = None;
        }
        let now = Instant::now();
        let is_away = slot.away_until.is_some_and(|until| now < until);
        if is_away || slot.started.is_some_and(|started| now < started + RESTART_PAUSE) {
            return Ok(());
        }
        let log = self.folder.join(format!("{}.log", worker.name));
        bound(&log)?;
        let mut command = command(worker.service, &self.settings)?;
        command.args(["run", "--instance-id", &worker.name, "--listen", &worker.address.to_string()]);
        let process = Daemon::spawn(command, worker.name.as_str(), &log, worker.address);
        slot.process = Some(process.map_err(BenchError::other)?);
        slot.started = Some(now);
        Ok(())
    }
}

/// Begins a log anew that has become too long; the last one is kept.
fn bound(log: &Path) -> Result<()> {
    if fs::metadata(log).is_ok_and(|file| file.len() > LONGEST_LOG_BYTES) {
        fs::rename(log, log.with_extension("log.old")).doing("putting a long log aside")?;
    }
    Ok(())
}

fn set_up(site: &Site, service: ServiceName, arguments: &[&str]) -> Result<()> {
    let name = format!("{}-{}", service.as_str(), arguments[0]);
    let mut command = command(service, &site.settings_file())?;
    command.args(arguments);
    let log = site.folder().join(format!("{name}.log"));
    let process = Child::spawn(command, name, &log).map_err(BenchError::other)?;
    process.wait_success(SET_UP_LIMIT).map_err(BenchError::other)
}

/// This program as a service.
fn command(service: ServiceName, settings: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().doing("finding this program")?);
    command.args(["daemon", service.as_str(), "--config"]).arg(settings).env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    Ok(command)
}
