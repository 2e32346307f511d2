//! CPU time and memory of processes, read from `/proc`.
//!
//! A server is counted with all its children, living and reaped (Postgres answers every connection with a process of
//! its own); our own process is counted without its children, because those are the servers. Memory is sampled as PSS,
//! so that shared buffers count once; Linux only, as the rest of the development stack.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// A process to be measured.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name in the report.
    pub(crate) name: String,
    /// Its process id.
    pub(crate) pid: u32,
    /// Whether its descendants belong to it.
    pub(crate) with_children: bool,
}

impl Target {
    /// A process and all that it starts.
    pub(crate) fn tree(name: impl Into<String>, pid: u32) -> Self {
        Target { name: name.into(), pid, with_children: true }
    }

    /// This very process, without what it started.
    pub(crate) fn own(name: impl Into<String>) -> Self {
        Target { name: name.into(), pid: std::process::id(), with_children: false }
    }
}

/// The fields of `/proc/<pid>/stat` that count here, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own_ticks: u64,
    reaped_ticks: u64,
}

/// All living processes at one moment.
pub(crate) struct Snapshot {
    stats: HashMap<u32, Stat>,
    children: HashMap<u32, Vec<u32>>,
}

/// Clock ticks per second as `/proc` reports them: fixed at 100 in Linux' interface to user space.
const TICKS_PER_SECOND: u64 = 100;

impl Snapshot {
    /// Reads `/proc`. Processes that end meanwhile are left out.
    pub(crate) fn take() -> Self {
        let mut stats = HashMap::new();
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())) {
            let Ok(text) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
            let Some(stat) = parse_stat(&text) else { continue };
            children.entry(stat.parent).or_default().push(pid);
            stats.insert(pid, stat);
        }
        Snapshot { stats, children }
    }

    /// CPU time used by the target so far, user and system, in milliseconds (resolution 10 ms).
    pub(crate) fn cpu_ms(&self, target: &Target) -> u64 {
        let ticks: u64 = self
            .members(target)
            .iter()
            .filter_map(|pid| self.stats.get(pid))
            .map(|stat| stat.own_ticks + if target.with_children { stat.reaped_ticks } else { 0 })
            .sum();
        ticks * 1000 / TICKS_PER_SECOND
    }

    /// Memory of the target now: proportional set size in bytes, or resident size where the kernel refuses it.
    pub(crate) fn memory_bytes(&self, target: &Target) -> u64 {
        self.members(target).iter().map(|pid| memory_of(*pid)).sum()
    }

    /// The target's process id if it is just that one process.
    pub(crate) fn single(&self, target: &Target) -> Option<u32> {
        (self.members(target).len() == 1).then_some(target.pid)
    }

    fn members(&self, target: &Target) -> Vec<u32> {
        let mut members = vec![target.pid];
        if target.with_children {
            let mut next = 0;
            while let Some(pid) = members.get(next).copied() {
                members.extend(self.children.get(&pid).into_iter().flatten());
                next += 1;
            }
        }
        members
    }
}

/// The highest resident size of a single process since its start or since `forget_peak`, in bytes.
pub(crate) fn peak_bytes(pid: u32) -> Option<u64> {
    field_kib(&format!("/proc/{pid}/status"), "VmHWM:").map(|kib| kib * 1024)
}

/// Starts the peak anew. Needs the same user; without it the peak stays that of the whole life.
pub(crate) fn forget_peak(pid: u32) {
    let path = format!("/proc/{pid}/clear_refs");
    if Path::new(&path).exists() {
        let _refused = fs::write(path, "5");
    }
}

/// Memory of one process now: proportional set size in bytes, or resident size where the kernel refuses it; 0 if it is gone.
pub(crate) fn memory_of(pid: u32) -> u64 {
    let kib = field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
        .or_else(|| field_kib(&format!("/proc/{pid}/status"), "VmRSS:"));
    kib.unwrap_or(0) * 1024
}

/// Resident size of one process now, in bytes; 0 if it is gone.
pub(crate) fn resident_of(pid: u32) -> u64 {
    field_kib(&format!("/proc/{pid}/status"), "VmRSS:").unwrap_or(0) * 1024
}

fn field_kib(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The name stands in brackets and may hold spaces and brackets itself, so fields count from the last bracket.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own_ticks: number(11)? + number(12)?,
        reaped_ticks: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) b) c) S 7 42 42 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 1 0 5 1 1";
        assert_eq!(parse_stat(text), Some(Stat { parent: 7, own_ticks: 33, reaped_ticks: 77 }));
    }

    #[test]
    fn own_work_is_seen_and_a_reaped_child_counts_for_the_tree_only() {
        let own = Target::own("test");
        let tree = Target::tree("test", std::process::id());
        let before = Snapshot::take();
        let mut busy = std::process::Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        assert!(busy.status().unwrap().success());
        let after = Snapshot::take();
        let used_by = |target: &Target| after.cpu_ms(target).saturating_sub(before.cpu_ms(target));
        assert!(used_by(&tree) >= used_by(&own) + 20, "{} {}", used_by(&tree), used_by(&own));
        assert!(after.memory_bytes(&own) > 100_000);
        assert!(peak_bytes(own.pid).unwrap() > 100_000);
    }
}
