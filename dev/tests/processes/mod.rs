//! Looking at processes and shared memory from outside, as an operator would.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// A process by its id and start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    parent: i32,
    start_time: u64,
    state: char,
}

impl Process {
    pub(crate) fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: fields[0].chars().next()?,
            parent: fields[1].parse().ok()?,
            start_time: fields[19].parse().ok()?,
        })
    }

    pub(crate) fn still_runs(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.start_time == self.start_time && !matches!(now.state, 'Z' | 'X'))
    }

    /// It and everything below it.
    pub(crate) fn tree(pid: i32) -> Vec<Self> {
        let all: Vec<Self> = fs::read_dir("/proc")
            .expect("processes")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Self::find)
            .collect();
        let mut tree: Vec<Self> = Self::find(pid).into_iter().collect();
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|process| process.pid) {
            tree.extend(all.iter().filter(|process| process.parent == parent));
            next += 1;
        }
        tree
    }
}

/// Waits until none of these runs any more; fails with those that do.
pub(crate) fn wait_until_gone(processes: &[Process], limit: Duration) {
    let deadline = Instant::now() + limit;
    loop {
        let left: Vec<&Process> = processes.iter().filter(|process| process.still_runs()).collect();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "still running: {left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(what: &str, limit: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
