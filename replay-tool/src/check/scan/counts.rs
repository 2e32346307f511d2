//! How many records were read, and what they were to the check.

use serde::Serialize;

/// What was read of the topics, dead letters included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MessageCounts {
    /// Records read.
    pub read: u64,
    /// Messages of the services up to the cut, each once.
    pub delivered: u64,
    /// Commands of clients and operators that the services have taken, bad ones included.
    pub commands: u64,
    /// Repetitions of a service's messages; consumers drop them.
    pub duplicates: u64,
    /// Messages of an epoch that a restored database has ended.
    pub void: u64,
    /// Messages of the services after the cut: the pipeline was running on.
    pub after_cut: u64,
    /// Records of strangers on topics that only a service writes.
    pub strangers: u64,
}

impl MessageCounts {
    /// Another topic's as well.
    pub(super) fn add(&mut self, other: &MessageCounts) {
        let MessageCounts { read, delivered, commands, duplicates, void, after_cut, strangers } = other;
        self.read += read;
        self.delivered += delivered;
        self.commands += commands;
        self.duplicates += duplicates;
        self.void += void;
        self.after_cut += after_cut;
        self.strangers += strangers;
    }
}
