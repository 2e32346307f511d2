//! Where a chaos run takes place: servers and a database of its own, a folder for logs, and what happens to the servers.
//!
//! Blocking, as starting and stopping processes is. The servers' data go with the run; the folder stays when it failed.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use dev_stack::{Server, Stack, StackConfig};
use schemas::ServiceName;

use crate::error::{BenchError, Doing, Result};

/// How often a server that is slow to come back is waited for, a minute each time.
const PATIENCE: u32 = 5;
/// What Kafka logs when its group coordinator cannot write any more.
const COORDINATOR_FAULT: &str = "No in-memory snapshot for epoch";
/// Faults of the simulated provider; none of them, or of their combinations, leaves an order that needs a person.
const SIMULATOR: &str = "\
decline_per_million = 30000
capture_failure_per_million = 5000
timeout_before_effect_per_million = 10000
timeout_after_effect_per_million = 10000
server_error_per_million = 20000
conflict_per_million = 10000
latency_min_ms = 5
latency_max_ms = 80
timeout_ms = 500
";

/// The servers and the folder.
pub(crate) struct Site {
    stack: Stack,
    folder: PathBuf,
    database_url: String,
    partitions: u16,
}

impl Site {
    /// Starts both servers and writes the services' settings.
    pub(crate) fn start(seed: u64, partitions: u16) -> Result<Self> {
        let folder = dev_stack::dev_folder().join(format!("chaos-{seed}-{}", std::process::id()));
        fs::create_dir_all(&folder).doing("making the folder of the run")?;
        let stack = Stack::start(StackConfig::in_project()).map_err(BenchError::other)?;
        let database_url = stack.new_database("chaos").map_err(BenchError::other)?;
        let site = Site { stack, folder, database_url, partitions };
        fs::write(site.settings_file(), site.settings(seed)).doing("writing the services' settings")?;
        Ok(site)
    }

    fn settings(&self, seed: u64) -> String {
        format!(
            "brokers = {:?}\ndatabase_url = {:?}\npartitions = {}\n[simulator]\nseed = {seed}\nstatement = {:?}\n{SIMULATOR}",
            self.brokers(),
            self.database_url,
            self.partitions,
            self.statement(),
        )
    }

    /// The configuration of every service.
    pub(crate) fn settings_file(&self) -> PathBuf {
        self.folder.join("settings.toml")
    }

    /// What the provider says that it did.
    pub(crate) fn statement(&self) -> PathBuf {
        self.folder.join("statement.jsonl")
    }

    /// The folder of the run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kafka's address.
    pub(crate) fn brokers(&self) -> String {
        self.stack.brokers()
    }

    /// The database of the three services.
    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Partitions of every topic.
    pub(crate) fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The broker.
    pub(crate) fn kafka(&self) -> Result<&Server> {
        self.stack.kafka().map_err(BenchError::other)
    }

    /// The database server.
    pub(crate) fn postgres(&self) -> Result<&Server> {
        self.stack.postgres().map_err(BenchError::other)
    }

    /// How long Kafka's log is.
    pub(crate) fn kafka_log_bytes(&self) -> Result<u64> {
        Ok(fs::metadata(self.kafka()?.log_file()).doing("looking at Kafka's log")?.len())
    }

    /// What Kafka has logged since its log was so long, if it is that its own group coordinator is out of order.
    ///
    /// Kafka 4.3.0, killed by SIGKILL, can start with a coordinator that takes no group's writes until the broker is started
    /// again: no client of any kind gets partitions meanwhile.
    pub(crate) fn coordinator_fault(&self, since_bytes: u64) -> Result<Option<String>> {
        let mut log = File::open(self.kafka()?.log_file()).doing("opening Kafka's log")?;
        log.seek(SeekFrom::Start(since_bytes)).doing("reading Kafka's log")?;
        let mut text = Vec::new();
        log.read_to_end(&mut text).doing("reading Kafka's log")?;
        Ok(coordinator_fault(&String::from_utf8_lossy(&text)))
    }

    /// Ends the servers; the folder stays, with their logs in it, if anybody is to look at it.
    pub(crate) fn stop(self, keep_folder: bool) -> Result<()> {
        if keep_folder {
            for server in [self.kafka()?, self.postgres()?] {
                let log = server.log_file();
                let name = log.file_name().unwrap_or_default();
                fs::copy(&log, self.folder.join(name)).doing("keeping a server's log")?;
            }
        } else {
            fs::remove_dir_all(&self.folder).doing("removing the folder of the run")?;
        }
        self.stack.stop().map_err(BenchError::other)
    }
}

/// The line that tells of it.
fn coordinator_fault(log: &str) -> Option<String> {
    log.lines().find(|line| line.contains("CoordinatorRuntime") && line.contains(COORDINATOR_FAULT)).map(str::to_owned)
}

/// One of the ways to end a server ([`Server::kill`], [`Server::stop`], [`Server::stop_at_once`]), and a restart after a while.
/// Returns when it answers again.
pub(crate) fn take_down(
    server: &Server,
    how: impl FnOnce(&Server) -> dev_stack::Result<()>,
    length: Duration,
) -> Result<()> {
    how(server).map_err(BenchError::other)?;
    sleep(length);
    start_again(server)
}

/// SIGSTOP, and SIGCONT after a while. Returns when it answers again.
pub(crate) fn pause(server: &Server, length: Duration) -> Result<()> {
    server.pause().map_err(BenchError::other)?;
    sleep(length);
    server.resume().map_err(BenchError::other)?;
    wait_ready(server)
}

fn start_again(server: &Server) -> Result<()> {
    match server.restart() {
        Err(dev_stack::Error::NotReady { .. }) => wait_ready(server),
        outcome => outcome.map_err(BenchError::other),
    }
}

/// Recovery takes a server as long as it takes; the clock of the workers runs from its end.
fn wait_ready(server: &Server) -> Result<()> {
    let mut waited = 1;
    loop {
        match server.wait_ready() {
            Err(dev_stack::Error::NotReady { .. }) if waited < PATIENCE => waited += 1,
            outcome => return outcome.map_err(BenchError::other),
        }
    }
}

/// A service's name in the names of its instances and logs.
pub(crate) fn instance_name(service: ServiceName, number: usize) -> String {
    format!("{}-{number}", service.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_that_cannot_write_is_told_from_one_that_loads_again() {
        let log = "[12] INFO CoordinatorRuntime - Finished loading of metadata from __consumer_offsets-0\n\
                   [13] ERROR CoordinatorRuntime - is out of sync with the underlying log. It will be reloaded\n";
        assert_eq!(coordinator_fault(log), None);
        let broken =
            "[14] ERROR CoordinatorRuntime - Writing records failed due to: No in-memory snapshot for epoch 7.";
        assert_eq!(coordinator_fault(&format!("{log}{broken}\nat java")), Some(broken.to_owned()));
    }
}
