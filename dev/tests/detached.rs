//! The program `dev-stack`: up, status, env, down; and its processes killed one by one.

mod processes;

use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Output, Stdio};
use std::time::Duration;

use dev_stack::{Detached, dev_folder};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use processes::Process;

const LIMIT: Duration = Duration::from_secs(15);

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(dev_folder().join(format!("test-{name}-{}", process::id())))
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev-stack"));
        command.args(verb).arg("--folder").arg(&self.0);
        command
    }

    fn run(&self, verb: &[&str]) -> Output {
        self.command(verb).output().expect("the program")
    }

    fn report(&self) -> Option<dev_stack::Report> {
        Detached::new(Some(self.0.clone())).report()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failed test leaves no server either.
        self.run(&["down", "--remove-data"]);
        let _ = fs::remove_file(self.0.with_extension("turn.lock"));
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn up_status_env_down_and_up_again_with_the_same_data() {
    let folder = Folder::new("up-and-down");
    assert_eq!(folder.run(&["status"]).status.code(), Some(3));
    assert_eq!(folder.run(&["env"]).status.code(), Some(3));

    let up = folder.run(&["up"]);
    assert!(up.status.success(), "{up:?}");
    let report = folder.report().unwrap();
    let lines = format!("export KAFKA_BROKERS='{}'\nexport DATABASE_URL='{}'\n", report.brokers, report.database_url);
    assert_eq!(text(&up.stdout), lines);
    assert_eq!(text(&folder.run(&["env"]).stdout), lines);
    assert_eq!(text(&folder.run(&["up"]).stdout), lines, "it is up already");
    let status = folder.run(&["status"]);
    assert!(status.status.success());
    assert_eq!(text(&status.stdout).matches(" answers").count(), 2, "{status:?}");
    let file = |name: &str| fs::read_to_string(folder.0.join(name)).unwrap();
    let cluster = file("kafka/data/meta.properties");

    let tree = Process::tree(report.supervisor_pid);
    assert!(tree.len() > 3, "{tree:?}");
    kill(Pid::from_raw(report.kafka_pid), Signal::SIGKILL).unwrap();
    processes::wait_until("status says so", LIMIT, || folder.run(&["status"]).status.code() == Some(3));
    assert!(folder.run(&["down"]).status.success());
    processes::wait_until_gone(&tree, Duration::ZERO);
    assert!(text(&folder.run(&["down"]).stderr).contains("No stack was up"));

    assert!(folder.run(&["up"]).status.success());
    assert_eq!(file("kafka/data/meta.properties"), cluster);
    let tree = Process::tree(folder.report().unwrap().supervisor_pid);
    assert!(folder.run(&["down", "--remove-data"]).status.success());
    processes::wait_until_gone(&tree, Duration::ZERO);
    assert!(!folder.0.exists());
}

#[test]
fn a_killed_supervisor_takes_its_servers_along() {
    let folder = Folder::new("killed-supervisor");
    assert!(folder.run(&["up"]).status.success());
    let supervisor = folder.report().unwrap().supervisor_pid;
    let tree = Process::tree(supervisor);
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    processes::wait_until_gone(&tree, LIMIT);
    assert!(folder.report().is_none());
    assert_eq!(folder.run(&["status"]).status.code(), Some(3));
}

#[test]
fn up_killed_half_way_leaves_nothing() {
    let folder = Folder::new("killed-up");
    let mut up = folder.command(&["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = i32::try_from(up.id()).unwrap();
    // `up`, the supervisor, and a first server.
    processes::wait_until("a server is starting", LIMIT, || Process::tree(pid).len() >= 3);
    let tree = Process::tree(pid);
    up.kill().unwrap();
    up.wait().unwrap();
    processes::wait_until_gone(&tree, LIMIT);
    processes::wait_until("nothing works in the folder", LIMIT, || processes_in(&folder.0).is_empty());
    assert!(folder.report().is_none());
}

/// Processes that work in this folder or below.
fn processes_in(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("processes").filter_map(|entry| Some(entry.ok()?.path()));
    let inside = entries.filter(|path| fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)));
    inside.map(|path| path.display().to_string()).collect()
}
