//! The faults by name, and how many duplicates each may leave behind.

use std::fmt;
use std::str::FromStr;

/// What is done to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// kill -9 of the leading relay, of the other, or of both.
    RelayKill,
    /// SIGSTOP of the leading relay until another leads, then SIGCONT.
    RelayPause,
    /// kill -9 of writers, in the middle of their commits.
    WriterKill,
    WriterPause,
    ConsumerKill,
    /// SIGSTOP of the consumer while another takes its place, then SIGCONT.
    ConsumerPause,
    /// Database sessions ended by an administrator: the leader's, some, or all.
    Backends,
    BrokerKill,
    PostgresKill,
    /// The broker stands still, the relay is killed with messages in flight, the broker goes on.
    InFlight,
    /// An older copy of the writers' database is put back.
    Restore,
    /// A topic is deleted and made anew.
    TopicAnew,
}

impl Fault {
    pub(crate) const ALL: [Self; 12] = [
        Self::RelayKill,
        Self::RelayPause,
        Self::WriterKill,
        Self::WriterPause,
        Self::ConsumerKill,
        Self::ConsumerPause,
        Self::Backends,
        Self::BrokerKill,
        Self::PostgresKill,
        Self::InFlight,
        Self::Restore,
        Self::TopicAnew,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RelayKill => "relay-kill",
            Self::RelayPause => "relay-pause",
            Self::WriterKill => "writer-kill",
            Self::WriterPause => "writer-pause",
            Self::ConsumerKill => "consumer-kill",
            Self::ConsumerPause => "consumer-pause",
            Self::Backends => "backends",
            Self::BrokerKill => "broker-kill",
            Self::PostgresKill => "postgres-kill",
            Self::InFlight => "in-flight",
            Self::Restore => "restore",
            Self::TopicAnew => "topic-anew",
        }
    }

    /// How many producers may still deliver after somebody else has looked where the topics stand; none if unlimited.
    /// Each can leave as many duplicates as may be in flight. A process that was killed delivers nothing any more.
    pub(crate) fn zombies(self) -> Option<u64> {
        match self {
            Self::RelayKill | Self::WriterKill | Self::WriterPause | Self::ConsumerKill | Self::ConsumerPause => {
                Some(0)
            }
            // The leader lives on without its session, or its requests wait in the sockets of a broker that stands still.
            Self::RelayPause | Self::Backends | Self::BrokerKill | Self::PostgresKill | Self::InFlight => Some(1),
            // Sessions end twice: for the copy and for putting it back.
            Self::Restore => Some(2),
            // Everything that the table holds is published again.
            Self::TopicAnew => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|fault| fault.as_str() == name);
        found.ok_or_else(|| format!("there is no fault `{name}`; there are {}", names()))
    }
}
