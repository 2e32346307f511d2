//! The one place where processes are created, and the only `unsafe` here.
//!
//! Every process gets a group of its own and a signal for the day its parent dies. Linux sends that signal when the
//! *thread* that forked ends, so all forking happens on one thread that lives as long as this process; a thread of a
//! runtime's pool would take servers down with it whenever the pool shrinks.

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, getpid, getppid, setgid, setgroups, setsid, setuid};

/// As whom a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// As we do.
    Ourselves,
    /// As ourselves for the file system, but as `nobody` in its own eyes: Postgres refuses to run as root.
    UserNamespace,
    /// As another user; only root can ask for it.
    User(Uid, Gid),
}

/// What becomes of a process when its parent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParentDeath {
    /// It gets this signal. SIGKILL reaches even a stopped process.
    Signal(Signal),
    /// It gets this signal, and starts a session of its own so that no terminal reaches it.
    SignalOutsideSession(Signal),
    /// It goes on. Only for the guard whose very job is to outlive us.
    GoOn,
}

struct Request {
    command: Command,
    run_as: RunAs,
    parent_death: ParentDeath,
    reply: SyncSender<io::Result<Child>>,
}

static SPAWNER: Mutex<Option<SyncSender<Request>>> = Mutex::new(None);

/// Creates a process on the spawning thread.
pub(crate) fn spawn(command: Command, run_as: RunAs, parent_death: ParentDeath) -> io::Result<Child> {
    let gone = || io::Error::other("the spawning thread has ended");
    let (reply, answer) = sync_channel(1);
    spawner()?.send(Request { command, run_as, parent_death, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn spawner() -> io::Result<SyncSender<Request>> {
    let mut slot = SPAWNER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(sender) = slot.as_ref() {
        return Ok(sender.clone());
    }
    let (sender, requests) = sync_channel(16);
    thread::Builder::new().name("spawner".to_owned()).spawn(move || serve(&requests))?;
    *slot = Some(sender.clone());
    Ok(sender)
}

fn serve(requests: &Receiver<Request>) {
    // Ends only with the process: the sender lives in a static.
    for Request { mut command, run_as, parent_death, reply } in requests {
        let plan = Plan::new(run_as, parent_death);
        if !matches!(parent_death, ParentDeath::SignalOutsideSession(_)) {
            command.process_group(0);
        }
        // SAFETY: between fork and exec only async-signal-safe system calls may run and nothing may allocate.
        // `Plan::apply` makes system calls alone, on memory that was prepared before the fork.
        unsafe {
            command.pre_exec(move || plan.apply());
        }
        // Nobody waits for the answer any more: the Child is dropped, and the process ends with us.
        let _ = reply.send(command.spawn());
    }
}

/// What the new process does to itself before it becomes the program; prepared before the fork.
struct Plan {
    parent: Pid,
    run_as: RunAs,
    parent_death: ParentDeath,
    uid_map: Vec<u8>,
    gid_map: Vec<u8>,
}

impl Plan {
    fn new(run_as: RunAs, parent_death: ParentDeath) -> Self {
        Self {
            parent: getpid(),
            run_as,
            parent_death,
            uid_map: format!("65534 {} 1\n", geteuid()).into_bytes(),
            gid_map: format!("65534 {} 1\n", getegid()).into_bytes(),
        }
    }

    fn apply(&self) -> io::Result<()> {
        // A mask inherited from us would make the program deaf to the signals that stop it.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        match self.run_as {
            RunAs::Ourselves => {}
            RunAs::UserNamespace => {
                unshare(CloneFlags::CLONE_NEWUSER)?;
                write_whole(c"/proc/self/setgroups", b"deny")?;
                write_whole(c"/proc/self/uid_map", &self.uid_map)?;
                write_whole(c"/proc/self/gid_map", &self.gid_map)?;
            }
            RunAs::User(uid, gid) => {
                setgroups(&[])?;
                setgid(gid)?;
                setuid(uid)?;
            }
        }
        // Last: a change of user clears the signal.
        let signal = match self.parent_death {
            ParentDeath::GoOn => return Ok(()),
            ParentDeath::Signal(signal) => signal,
            ParentDeath::SignalOutsideSession(signal) => {
                setsid()?;
                signal
            }
        };
        set_pdeathsig(signal)?;
        // The parent may have died before the signal was ordered.
        if getppid() != self.parent {
            return Err(io::Error::from_raw_os_error(nix::errno::Errno::ECANCELED as i32));
        }
        Ok(())
    }
}

fn write_whole(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let written = nix::unistd::write(&file, bytes)?;
    if written == bytes.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(nix::errno::Errno::EIO as i32)) }
}
