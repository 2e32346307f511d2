//! Reading `/proc`: is a process still that process, is it a zombie, who are its children.
//!
//! A process id alone says little, because ids come round again; with the start time it is an identity.

use std::fs;

use nix::unistd::Pid;

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) state: char,
    /// Clock ticks since boot; with the pid it names one process for good.
    pub(crate) start_time: u64,
}

impl Process {
    /// The process with this id, if there is one (zombies included).
    pub(crate) fn find(pid: Pid) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(pid, &text)
    }

    fn parse(pid: Pid, stat: &str) -> Option<Self> {
        // The program's name comes in brackets and may itself hold brackets and spaces.
        let after_name = &stat[stat.rfind(')')? + 1..];
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it has ended and only waits for its parent to notice.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// Whether this very process still runs.
    pub(crate) fn still_runs(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.start_time == self.start_time && !now.is_zombie())
    }

    /// Its direct children.
    pub(crate) fn children(pid: Pid) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id| Self::find(Pid::from_raw(id)))
            .filter(|process| process.parent == pid)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) S) (b) Z 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3";
        let process = Process::parse(Pid::from_raw(42), stat).unwrap();
        assert_eq!(process.parent, Pid::from_raw(7));
        assert_eq!(process.start_time, 98765);
        assert!(process.is_zombie());
    }

    #[test]
    fn this_process_runs_and_another_start_time_is_another_process() {
        let ours = Process::find(nix::unistd::getpid()).unwrap();
        assert!(ours.still_runs());
        assert!(!Process { start_time: ours.start_time + 1, ..ours }.still_runs());
    }
}
