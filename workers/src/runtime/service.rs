//! What a service gives to the runtime: its topics, its rows, its decisions.
//!
//! `load`, `decide`, `save` run inside the one transaction of a batch, in this order; `decide` is pure and sees no client.

use std::collections::BTreeSet;
use std::future::Future;

use domain::decision::Outcome;
use outbox::Transaction;
use schemas::{MessageType, ServiceName, Time, TopicName};
use tokio_postgres::Client;

use super::emitter::Emitter;
use super::failure::Failure;
use super::item::{Body, Cause};

/// The partition numbers that an instance owns in all topics of its service.
pub type Lanes = BTreeSet<i32>;

/// One of the three services.
pub trait Service: Send + Sync + 'static {
    /// Which one.
    const NAME: ServiceName;
    /// The topics that it reads. The first one's feed stands for the lane of a signal.
    const INPUTS: &'static [TopicName] = Self::NAME.inputs();
    /// What comes from inside: a passed deadline, a provider's answer.
    type Signal: Send + Sync + Clone + std::fmt::Debug + 'static;
    /// Its prepared statements, per connection.
    type Statements: Send + Sync;
    /// The aggregates that a batch touches.
    type Batch: Send;
    /// What is to be done once a batch is committed.
    type FollowUp: Send;
    /// What is looked up by the clock.
    type Query: Send + 'static;
    /// What comes of it.
    type Found: Send + 'static;

    /// Whether it handles messages of this `ce_type`.
    fn handles(ce_type: &str) -> bool {
        MessageType::of_ce_type(ce_type).is_some_and(|known| Self::INPUTS.contains(&known.topic()))
    }

    /// The lane of a signal.
    fn lane_of(signal: &Self::Signal) -> i32;

    /// What caused a signal: the message that the wait began with.
    fn cause_of(_signal: &Self::Signal) -> Cause {
        Cause::default()
    }

    /// Prepare every statement of a lane transaction on a new connection.
    fn prepare(&self, client: &Client) -> impl Future<Output = Result<Self::Statements, tokio_postgres::Error>> + Send;

    /// Lock and read what these inputs touch, ascending.
    fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Self::Statements,
        inputs: &[&Body<Self::Signal>],
    ) -> impl Future<Output = Result<Self::Batch, Failure>> + Send;

    /// Decide one input in memory.
    ///
    /// # Errors
    /// Only what can never be decided (a history that contradicts itself): the input is isolated.
    fn decide(
        &self,
        batch: &mut Self::Batch,
        input: &Body<Self::Signal>,
        now: Time,
        emitter: &mut Emitter,
    ) -> Result<Outcome, Failure>;

    /// Defer the writes.
    fn save(
        &self,
        batch: Self::Batch,
        statements: &Self::Statements,
        tx: &mut Transaction<'_>,
    ) -> Result<Self::FollowUp, Failure>;

    /// The batch is committed: start what follows (a provider call).
    fn committed(&mut self, follow_up: Self::FollowUp);

    /// The next thing from inside; waits for ever where there is none.
    fn signal(&mut self) -> impl Future<Output = Self::Signal> + Send;

    /// Whether so much is under way that no further message should be taken.
    fn is_saturated(&self) -> bool {
        false
    }

    /// These lanes are ours now, and no others: resume what is open in them.
    fn assigned(&mut self, client: &Client, lanes: &Lanes) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What to look up by the clock. Called every half second, and only while no look-up is under way.
    fn query(&mut self, now: Time, wanted: Wanted) -> Self::Query;

    /// Look it up, beside the loop: transactions of these lanes are committed meanwhile, so what is found may be history.
    fn look_up(client: &Client, query: Self::Query) -> impl Future<Output = Result<Self::Found, Failure>> + Send;

    /// What was found, while the lanes are still the same: the signals that are due. They are fired only after their lanes
    /// have read what is in their topics now, and have to hold whatever happened since the look.
    fn found(&mut self, found: Self::Found) -> Vec<Self::Signal>;
}

/// What a look-up is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Lanes in which to find what is due by the clock: none, or those where nothing found before still waits.
    pub due: Lanes,
    /// At most so many signals of a lane.
    pub due_limit: i64,
    /// The lanes that the gauges show, if they are wanted.
    pub gauges: Option<Lanes>,
}
