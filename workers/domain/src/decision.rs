//! What the pure cores of all three services return: a decision as a value, and the error of a history that cannot be.
//!
//! A decision says what to emit and how to count it. It never holds the new state: that is always `evolve` of the event,
//! live and in a replay, so that the two cannot disagree.

use schemas::Message;

/// What a service decided about one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<E> {
    /// What happened to the own aggregate; it is emitted before the commands. With `Outcome::Applied` it is new and has
    /// to be folded into the state; with any other outcome it repeats what is recorded or touches no aggregate.
    pub event: Option<E>,
    /// What is asked of other services because of the event, in this order.
    pub commands: Vec<Message>,
    /// What became of the input.
    pub outcome: Outcome,
}

impl<E> Decision<E> {
    /// The state changes by this event.
    pub fn applied(event: impl Into<E>, commands: Vec<Message>) -> Self {
        Decision { event: Some(event.into()), commands, outcome: Outcome::Applied }
    }

    /// The command is repeated; so is what became of it.
    pub fn repeated(event: impl Into<E>) -> Self {
        Decision { event: Some(event.into()), commands: Vec::new(), outcome: Outcome::Repeated }
    }

    /// The command is refused by an event that touches no aggregate.
    pub fn rejected(event: impl Into<E>) -> Self {
        Decision { event: Some(event.into()), commands: Vec::new(), outcome: Outcome::Rejected }
    }

    /// Nothing is emitted and nothing changes.
    pub fn silent(outcome: Outcome) -> Self {
        Decision { event: None, commands: Vec::new(), outcome }
    }

    /// The event that changes the state, when one does.
    pub fn change(&self) -> Option<&E> {
        match self.outcome {
            Outcome::Applied => self.event.as_ref(),
            Outcome::Pending
            | Outcome::Repeated
            | Outcome::NoEffect
            | Outcome::Rejected
            | Outcome::Late
            | Outcome::Unknown => None,
        }
    }
}

impl<E: Into<Message>> Decision<E> {
    /// Everything to emit, the event first.
    pub fn messages(self) -> impl Iterator<Item = Message> {
        self.event.into_iter().map(Into::into).chain(self.commands)
    }
}

/// What became of an input; a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The aggregate changed.
    Applied,
    /// A provider has to be asked first; nothing changed yet.
    Pending,
    /// The command had been carried out before; its recorded outcome is emitted again.
    Repeated,
    /// Nothing was left to do.
    NoEffect,
    /// Refused by an event; no aggregate changed.
    Rejected,
    /// A reply that nobody waits for any more.
    Late,
    /// A reply about something that this service does not know.
    Unknown,
}

impl Outcome {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Applied => "applied",
            Outcome::Pending => "pending",
            Outcome::Repeated => "repeated",
            Outcome::NoEffect => "no_effect",
            Outcome::Rejected => "rejected",
            Outcome::Late => "late",
            Outcome::Unknown => "unknown",
        }
    }
}

/// An event that cannot follow the state: the history has a gap or is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} of version {event_version} cannot follow {aggregate} {id} at version {version}: {why}")]
pub struct Inconsistent {
    /// What kind of aggregate, as in "order".
    pub aggregate: &'static str,
    /// Which one.
    pub id: String,
    /// The state's version; 0 where there is none.
    pub version: i64,
    /// The event's name.
    pub event: &'static str,
    /// The event's version.
    pub event_version: i64,
    /// What is wrong.
    pub why: Contradiction,
}

/// What is wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Versions are missing in between.
    #[error("versions are missing")]
    Gap,
    /// The aggregate has another id.
    #[error("it belongs to another aggregate")]
    OtherAggregate,
    /// The state does not allow it.
    #[error("the state ({0}) does not allow it")]
    Impossible(&'static str),
    /// A sum does not fit into 64 bits.
    #[error("a sum does not fit into 64 bits")]
    Overflow,
}

/// How an event stands to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// It is the next one.
    Next,
    /// It is already in the state: emitted again.
    Old,
}

/// An event on its way into a state: whose it claims to be, and what the state is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transition<'a> {
    /// What kind of aggregate.
    pub(crate) aggregate: &'static str,
    /// The id in the event.
    pub(crate) id: &'a str,
    /// The id and version of the state, where there is one.
    pub(crate) state: Option<(&'a str, i64)>,
    /// The event's name.
    pub(crate) event: &'static str,
    /// The event's version.
    pub(crate) event_version: i64,
}

impl Transition<'_> {
    /// Whether the event is the next one, an old one, or none that can be.
    pub(crate) fn judge(&self) -> Result<Follows, Inconsistent> {
        if self.state.is_some_and(|(id, _)| id != self.id) {
            return Err(self.contradicts(Contradiction::OtherAggregate));
        }
        let version = self.version();
        if self.event_version <= version {
            Ok(Follows::Old)
        } else if self.event_version - 1 == version {
            Ok(Follows::Next)
        } else {
            Err(self.contradicts(Contradiction::Gap))
        }
    }

    /// The error that says so.
    pub(crate) fn contradicts(&self, why: Contradiction) -> Inconsistent {
        Inconsistent {
            aggregate: self.aggregate,
            id: self.id.to_owned(),
            version: self.version(),
            event: self.event,
            event_version: self.event_version,
            why,
        }
    }

    fn version(&self) -> i64 {
        self.state.map_or(0, |(_, version)| version)
    }
}
