//! Supervised processes: output, signals, ends.

mod processes;
mod scripts;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use dev_stack::{Child, Error};
use processes::Process;
use scripts::{forget, log, shell};

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn what_it_writes_is_in_its_log_and_a_line_can_be_waited_for() {
    let log = log("output");
    for round in ["first", "second"] {
        let child =
            Child::spawn(shell(&format!("echo {round}; echo listening on port 7 >&2; sleep 60")), "writer", &log)
                .unwrap();
        assert_eq!(child.wait_for_line("listening", LIMIT).unwrap().unwrap(), "listening on port 7");
        // Not what its predecessor wrote into the same file.
        assert_eq!(child.output().unwrap(), format!("{round}\nlistening on port 7\n"));
        child.kill9().unwrap();
        assert!(child.wait_for_line("never", LIMIT).unwrap().is_none());
    }
    assert!(fs::read_to_string(&log).unwrap().starts_with("first"));
    forget(&log);
}

#[test]
fn it_gets_the_signals_and_its_end_is_seen() {
    let log = log("signals");
    // It starts nothing while it waits: a shell that is stopped between fork and exec of a child never stands.
    let script = "trap 'kill $!; echo draining; exit 7' TERM; sleep 600 & echo up; while :; do wait; done";
    let child = Child::spawn(shell(script), "worker", &log).unwrap();
    child.wait_for_line("up", LIMIT).unwrap().unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap().contains(") T ");
    child.stop().unwrap();
    processes::wait_until("it stands", LIMIT, state);
    child.terminate().unwrap();
    assert!(child.wait_timeout(Duration::from_millis(100)).unwrap().is_none(), "a stopped process does not drain");
    child.cont().unwrap();
    assert_eq!(child.wait_timeout(LIMIT).unwrap().unwrap().code(), Some(7));
    assert!(child.tail().ends_with("draining"));
    assert!(!child.is_running());
    assert!(matches!(child.terminate(), Err(Error::NotRunning { .. })));
    child.kill9().unwrap();
    forget(&log);
}

#[test]
fn dropping_it_kills_its_whole_group() {
    let log = log("group");
    let child = Child::spawn(shell("sleep 600 & sleep 600 & echo up; wait"), "parent", &log).unwrap();
    child.wait_for_line("up", LIMIT).unwrap().unwrap();
    let tree = Process::tree(child.pid());
    assert_eq!(tree.len(), 3);
    drop(child);
    processes::wait_until_gone(&tree, LIMIT);
    forget(&log);
}

#[test]
fn it_outlives_the_thread_that_asked_for_it() {
    let log = log("thread");
    let child = thread::scope(|scope| {
        let spawn = scope.spawn(|| {
            Child::spawn(shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.02; done"), "survivor", &log)
        });
        spawn.join().unwrap().unwrap()
    });
    child.wait_for_line("up", LIMIT).unwrap().unwrap();
    assert!(child.is_running());
    child.terminate().unwrap();
    assert_eq!(child.wait_timeout(LIMIT).unwrap().unwrap().code(), Some(3));
    forget(&log);
}

#[test]
fn a_program_that_does_not_exist_is_an_error() {
    let log = log("missing");
    let error = Child::spawn(Command::new("/nowhere/program"), "nothing", &log).unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error}");
    forget(&log);
}
