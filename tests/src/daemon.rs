//! One daemon as a process: started, asked, killed, paused, ended.
//!
//! The address is the one that it logs, so that no port has to be guessed. Its log stays in one file over restarts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dev_stack::Child;
use schemas::ServiceName;

use crate::{LONG, Outcome, reading, trouble, until};

/// How long a subcommand may take that ends by itself.
const SUBCOMMAND_LIMIT: Duration = Duration::from_secs(90);

/// A running daemon. Waiting for it is asynchronous here, unlike in `dev_stack`: a test does other things meanwhile.
pub struct Daemon {
    process: dev_stack::Daemon,
}

/// How a process ended that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All that it printed and logged.
    pub output: String,
}

/// How to start daemons: the program, and what every instance is told.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) read_only_root: bool,
}

/// Leaves one folder writable, sees that nothing else is, and becomes the program, in `/` and without a home. A new user
/// namespace forgets that the program shall end with its parent, so that is said again.
const READ_ONLY: &str = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro / || exit 90; cd /; unset HOME TMPDIR; \
                         touch \"$2.written\" 2>/dev/null && exit 91; shift; \
                         exec setpriv --pdeathsig KILL \"$@\"";

impl Program {
    /// Starts an instance and waits until it has logged its address; not until it is ready.
    pub(crate) async fn start(&self, service: ServiceName, name: &str, arguments: &[String]) -> Outcome<Daemon> {
        let log = self.folder.join(format!("{name}.log"));
        let (command, name) = (self.command(service, arguments), name.to_owned());
        let started = tokio::task::spawn_blocking(move || {
            dev_stack::Daemon::spawn_announced(command, name, &log, "listening service=", LONG)
        });
        Ok(Daemon { process: started.await?? })
    }

    /// Runs what ends by itself.
    pub(crate) async fn run(&self, service: ServiceName, name: &str, arguments: &[String]) -> Outcome<Finished> {
        let child = Child::spawn(self.command(service, arguments), name, &self.folder.join(format!("{name}.log")))?;
        tokio::task::spawn_blocking(move || finished(&child, SUBCOMMAND_LIMIT)).await?
    }

    fn command(&self, service: ServiceName, arguments: &[String]) -> Command {
        let mut command = if self.read_only_root {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c", READ_ONLY, "sh"]);
            command.arg(&self.folder).arg(&self.path);
            command
        } else {
            Command::new(&self.path)
        };
        command.arg(service.as_str()).args(arguments).current_dir(&self.folder);
        // What the tests' own environment says is not for the daemons: they get their settings from here.
        for (name, _) in std::env::vars_os() {
            if !["PATH", "HOME", "TMPDIR", "RUST_BACKTRACE", "LD_LIBRARY_PATH"].iter().any(|kept| name == *kept) {
                command.env_remove(name);
            }
        }
        command
    }
}

fn finished(child: &Child, limit: Duration) -> Outcome<Finished> {
    let Some(status) = child.wait_timeout(limit)? else {
        return Err(trouble(format!("{} still runs after {limit:?}; its log ends:\n{}", child.name(), child.tail())));
    };
    Ok(Finished { code: status.code(), output: child.output()? })
}

impl Daemon {
    /// Its name.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// What `/readyz` says: the status, and a line per obstacle.
    pub async fn readiness(&self) -> Outcome<(u16, String)> {
        self.get("/readyz").await
    }

    /// What an endpoint answers.
    pub async fn get(&self, path: &str) -> Outcome<(u16, String)> {
        let (address, path) = (self.process.address(), path.to_owned());
        Ok(tokio::task::spawn_blocking(move || dev_stack::get(address, &path)).await??)
    }

    /// Waits until it is ready.
    pub async fn await_ready(&self) -> Outcome {
        let what = format!("{} is ready", self.name());
        let looked = until(&what, LONG, async || {
            if !self.is_running() {
                return Err(trouble("it has ended"));
            }
            match self.readiness().await? {
                (200, _) => Ok(()),
                (_, obstacles) => Err(trouble(obstacles)),
            }
        });
        looked.await.map_err(|error| error.during(&format!("its log ends:\n{}\n", self.tail())))
    }

    /// The partition numbers that it says it owns.
    pub async fn lanes(&self) -> Outcome<Vec<i32>> {
        match self.readiness().await? {
            (200, body) => {
                let first = body.lines().next().unwrap_or_default();
                let list = first.rsplit_once('[').and_then(|(_, list)| list.strip_suffix(']'));
                let list = list.ok_or_else(|| trouble(format!("no lanes in {body:?}")))?;
                Ok(list.split(", ").filter_map(|number| number.parse().ok()).collect())
            }
            (_, obstacles) => Err(trouble(obstacles)),
        }
    }

    /// The sum of a metric's series that have these labels, as it is scraped now.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Outcome<f64> {
        let (_, body) = self.get("/metrics").await?;
        Ok(reading(&body, name, labels))
    }

    /// SIGKILL; it is gone when this returns.
    pub fn kill9(self) -> Outcome {
        Ok(self.process.kill9()?)
    }

    /// SIGSTOP.
    pub fn pause(&self) -> Outcome {
        Ok(self.process.stop()?)
    }

    /// SIGCONT.
    pub fn resume(&self) -> Outcome {
        Ok(self.process.cont()?)
    }

    /// SIGTERM; does not wait.
    pub fn terminate(&self) -> Outcome {
        Ok(self.process.terminate()?)
    }

    /// Waits for its end.
    pub async fn finish(self, limit: Duration) -> Outcome<Finished> {
        tokio::task::spawn_blocking(move || finished(&self.process, limit)).await?
    }

    /// Waits until a line of its log holds these words, since it was started; gives the line.
    pub async fn await_log(&self, words: &str) -> Outcome<String> {
        until(&format!("{} logs {words:?}", self.name()), LONG, async || {
            let output = self.process.output()?;
            let found = output.lines().find(|line| line.contains(words));
            found.map(str::to_owned).ok_or_else(|| trouble("no such line"))
        })
        .await
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        self.process.tail()
    }

    /// Where its log is.
    pub fn log_file(&self) -> &Path {
        self.process.log_file()
    }
}
