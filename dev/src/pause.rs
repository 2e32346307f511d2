//! A pause of a server: it and its processes stopped, and a guard that does not let the pause outlive us.
//!
//! The kernel's signal at our death does not reach the backends of Postgres, which have sessions of their own, and a
//! stopped process cannot notice that its postmaster is gone. So a shell waits on a pipe that only we hold: a line means
//! that we went on; its bare end means that we died, and then the shell kills what is stopped.

use std::io::Write;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::Child;
use crate::error::{Error, Result};
use crate::process_table::Process;
use crate::spawner::{self, ParentDeath, RunAs};

const STANDS_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Pause {
    name: String,
    /// The server's process first, then its children.
    stopped: Vec<Process>,
    guard: process::Child,
}

impl Pause {
    pub(crate) fn begin(child: &Child, log: &Path) -> Result<Self> {
        let server = Pid::from_raw(child.pid());
        child.stop()?;
        // Once the server stands, it has no new children: the list is then complete.
        wait_until_it_stands(server);
        let mut stopped: Vec<Process> = Process::find(server).into_iter().collect();
        for worker in Process::children(server) {
            signal(child.name(), worker.pid, Signal::SIGSTOP)?;
            stopped.push(worker);
        }
        match guard(&stopped) {
            Ok(guard) => Ok(Self { name: child.name().to_owned(), stopped, guard }),
            Err(error) => {
                go_on(child.name(), &stopped)?;
                Err(Error::file("start the guard of", log)(error))
            }
        }
    }

    pub(crate) fn end(mut self) -> Result<()> {
        self.dismiss_guard();
        go_on(&self.name, &self.stopped)
    }

    fn dismiss_guard(&mut self) {
        let Some(mut pipe) = self.guard.stdin.take() else { return };
        // Only a guard that is gone could refuse it, and then it does no harm.
        let _ = pipe.write_all(b"resumed\n");
        drop(pipe);
        let _ = self.guard.wait();
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.dismiss_guard();
    }
}

fn wait_until_it_stands(pid: Pid) {
    let deadline = Instant::now() + STANDS_LIMIT;
    while Process::find(pid).is_some_and(|process| process.state != 'T') && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The guard gets the ids as arguments: nothing is quoted.
fn guard(stopped: &[Process]) -> std::io::Result<process::Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "read -r line || kill -KILL \"$@\"", "pause-guard"]);
    command.args(stopped.iter().map(|process| process.pid.to_string()));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    spawner::spawn(command, RunAs::Ourselves, ParentDeath::GoOn)
}

fn go_on(name: &str, stopped: &[Process]) -> Result<()> {
    // Workers first, so that the server finds them as it left them.
    for process in stopped.iter().rev() {
        if process.still_runs() {
            signal(name, process.pid, Signal::SIGCONT)?;
        }
    }
    Ok(())
}

fn signal(name: &str, pid: Pid, signal: Signal) -> Result<()> {
    match kill(pid, signal) {
        // It ended by itself.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Error::Signal { name: name.to_owned(), pid: pid.as_raw(), source: errno.into() }),
    }
}
