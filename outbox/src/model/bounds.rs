//! What is explored: how much of each thing may happen, and which rules are broken on purpose.
//!
//! A scenario is a set of small bounds under which everything else is open: all orders of all steps. Several scenarios
//! with a few faults each cover more than one with all of them could within the same number of states.

use crate::planted::PlantedBug;

/// A rule of the protocol that is left out, to see that the model needs it. Beside [`PlantedBug`], whose bugs are also
/// planted into the running code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Mutant {
    /// Lane locks are released before the commit becomes visible.
    LockReleasedEarly,
    /// A relay takes messages from memory of transactions that began before it led.
    MemoryAcrossTerms,
    /// A take-over believes the stored position without reading the topic.
    TailUnread,
    /// A new epoch begins right after the table's end, whatever the topic holds.
    EpochBelowTopic,
    /// A new epoch begins without the lane's lock.
    EpochWithoutLock,
    /// Acknowledgements are believed although their offsets say that the broker lost what came before.
    CutIgnored,
    /// A take-over compares under the number of pruned rows that it read when it began.
    PrunedReadEarly,
}

/// What differs from the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Variant {
    pub(super) bug: Option<PlantedBug>,
    pub(super) mutant: Option<Mutant>,
}

impl Variant {
    pub(super) fn is(self, bug: PlantedBug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn lacks(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// How many faults of each kind are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Faults {
    /// A process dies: its relay, and its writers' open transactions.
    pub(super) kills: u8,
    /// A leader's session is ended while the process lives on, paused or cut off: from then on it is a zombie.
    pub(super) fences: u8,
    /// The producer fails: what it has not sent is purged.
    pub(super) failures: u8,
    /// A writer rolls back.
    pub(super) rollbacks: u8,
    /// The database goes back to an older state, once a state was set aside.
    pub(super) restores: u8,
    /// The broker loses the end of a log.
    pub(super) lost_tails: u8,
    /// Rows that are published are truncated.
    pub(super) truncations: u8,
    /// The broker deletes the beginning of a log.
    pub(super) retentions: u8,
    /// The consumer dies between taking and committing.
    pub(super) consumer_crashes: u8,
}

/// How the consumer is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Following {
    /// As what it has taken once it has read the log: enough where logs only grow.
    Whole,
    /// Record by record, between all other steps.
    Stepwise,
    /// Once, at the end, by a consumer that has never read before.
    Late,
}

/// A scenario.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) name: &'static str,
    /// Number of lanes.
    pub(super) lanes: usize,
    /// Per writer, its transactions: for each the lanes of its messages. Writer `w` lives in process `w` modulo the
    /// number of relays.
    pub(super) writers: Vec<Vec<Vec<usize>>>,
    /// Processes with a relay each.
    pub(super) relays: usize,
    /// Rows that one read brings per lane.
    pub(super) batch: usize,
    pub(super) faults: Faults,
    pub(super) following: Following,
    /// Whether what the old leader had in flight may arrive after a restored database was taken over.
    pub(super) late_after_restore: bool,
}

impl Bounds {
    /// One lane, two processes, two writers with a message each, nothing fails.
    pub(super) fn plain(name: &'static str) -> Self {
        Self {
            name,
            lanes: 1,
            writers: vec![vec![vec![0]], vec![vec![0]]],
            relays: 2,
            batch: 2,
            faults: Faults::default(),
            following: Following::Whole,
            late_after_restore: true,
        }
    }

    /// Transactions of a writer, by the lanes of their messages.
    pub(super) fn transaction(&self, writer: usize, at: usize) -> Option<&[usize]> {
        self.writers.get(writer)?.get(at).map(Vec::as_slice)
    }

    /// Number of the first message of a transaction; messages are numbered through, from 1.
    pub(super) fn first_message(&self, writer: usize, at: usize) -> u8 {
        let before = self.writers.iter().take(writer).flatten().map(Vec::len).sum::<usize>();
        let own = self.writers.get(writer).map_or(0, |all| all.iter().take(at).map(Vec::len).sum::<usize>());
        u8::try_from(before + own + 1).unwrap()
    }
}
