//! What a service gives to the runtime: its topics, its rows, its decisions.
//!
//! One batch is one transaction: `load`, then `decide` once an input, then `save`, then the commit, then `committed`. Whatever
//! fails in it is rolled back and run again, in part or as a whole, here or in another instance: until the commit a service
//! must not do anything that a rollback does not undo.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

use crate::database::Database;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use outbox::Transaction;
use tokio_postgres::Client;

use crate::contract::Contract;
use crate::emitter::Emitter;
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::feeds::Lanes;
use crate::item::{Body, Cause, Item};

/// The messages of a service's contract.
pub type MessageOf<S> = <<S as Service>::Contract as Contract>::Message;
/// The topics of a service's contract.
pub type TopicOf<S> = <<S as Service>::Contract as Contract>::Topic;
/// A topic partition of a service.
pub(crate) type IdOf<S> = FeedId<TopicOf<S>>;
/// What a service decides about.
pub(crate) type BodyOf<S> = Body<<S as Service>::Input, <S as Service>::Signal>;
/// One step of a service's batch.
pub(crate) type ItemOf<S> = Item<TopicOf<S>, BodyOf<S>>;

/// A service: an exactly-once consumer with tables of its own.
pub trait Service: Sized + Send + Sync + 'static {
    /// Its name: a metric label, and part of the ids of what it sends.
    const NAME: &'static str;
    /// The messages that it exchanges.
    type Contract: Contract;
    /// The topics that it reads, each with the same number of partitions. The first one's feed stands for the lane of a
    /// signal.
    const INPUTS: &'static [TopicOf<Self>] = <Self::Contract as Contract>::TOPICS;
    /// What of the contract's messages it decides about; the message itself where it decides about all.
    type Input: Send + Sync + 'static;
    /// What comes from inside: a passed deadline, a provider's answer. `Infallible` where nothing does.
    type Signal: Signal;
    /// Its prepared statements, per connection.
    type Statements: Send + Sync;
    /// The aggregates that a batch touches.
    type Batch: Send;
    /// What is to be done once a batch is committed.
    type FollowUp: Send;
    /// What is found by the clock.
    type Found: Send + 'static;

    /// What this service makes of a message of the topics that it reads; `None` where it is not for it: then it is skipped.
    ///
    /// Called once a record, while a batch is gathered. Must not block.
    fn narrow(message: MessageOf<Self>) -> Option<Self::Input>;

    /// Prepare every statement of a lane transaction.
    ///
    /// Called on each new connection, before its first batch and outside of any transaction.
    fn prepare(&self, client: &Client) -> impl Future<Output = Result<Self::Statements, tokio_postgres::Error>> + Send;

    /// Lock and read all rows that these inputs touch.
    ///
    /// Called first in the transaction, in one round trip with the lock on the positions, which goes before. `inputs` are in
    /// the order in which they will be decided, several of one aggregate among them. Locks must be taken in one order
    /// everywhere (ascending by key, table by table in a fixed order), or two instances wait for each other; statements must
    /// be sent in the first poll, so that they travel together. Must write nothing.
    ///
    /// # Errors
    /// [`Failure::Retry`] runs the batch again; [`Failure::Poison`] halves it until the culprit is alone.
    fn load(
        &self,
        tx: &Transaction<'_>,
        statements: &Self::Statements,
        inputs: &[&Body<Self::Input, Self::Signal>],
    ) -> impl Future<Output = Result<Self::Batch, Failure>> + Send;

    /// The batch for these inputs as far as memory knows it, without a look at any row; none where memory does not suffice. What it
    /// is made of may be taken out of memory: `committed` puts it back, and what is not committed is not to be remembered.
    ///
    /// Asked first, unless memory was wrong of late. It spares the round trip in which `load` locks and reads, so that the whole
    /// transaction is one statement; a service under way with its aggregates knows most of them. Nothing may be taken on trust:
    /// `save` must add, for every aggregate that came from here, a change that compares it, or looks that its row is as
    /// remembered or missing ([`Working::into_writes`](crate::Working::into_writes) tells which). Where the commit refuses one, or
    /// `decide` fails, the same inputs are run again with `load`.
    fn recall(&mut self, _inputs: &[&Body<Self::Input, Self::Signal>]) -> Option<Self::Batch> {
        None
    }

    /// Forget what `recall` remembers: other instances may have changed it.
    fn forget(&mut self) {}

    /// Decide one input in memory, and say what became of it: a metric label, one of few.
    ///
    /// Called once an input, in order, each seeing in `batch` what the inputs before it have changed. Must be pure: no clock
    /// but `now`, no chance, no I/O; the same batch may be decided again after a rollback. What is to be sent goes to
    /// `emitter`.
    ///
    /// # Errors
    /// Only what can never be decided (a history that contradicts itself), as [`Failure::Poison`]: the input is isolated.
    /// A business refusal is no error but a message.
    fn decide(
        &self,
        batch: &mut Self::Batch,
        input: &Body<Self::Input, Self::Signal>,
        now: Timestamp,
        emitter: &mut Emitter<Self::Contract>,
    ) -> Result<&'static str, Failure>;

    /// Add the changes ([`Transaction::change`]): they are carried out with the commit, behind the move of the positions.
    ///
    /// Called once after the last `decide`. Each says how many rows it must meet, and must not meet another row than was loaded.
    /// Must not start anything outside: the transaction may still fail.
    fn save(
        &self,
        batch: Self::Batch,
        statements: &Self::Statements,
        tx: &mut Transaction<'_>,
    ) -> Result<Self::FollowUp, Failure>;

    /// Start what follows from a batch (a provider call).
    ///
    /// Called right after the commit, in the engine's loop: must not block. Not called again after a crash: what has to be
    /// done for certain must be found in the rows, by `assigned` and `look_up`.
    fn committed(&mut self, _follow_up: Self::FollowUp) {}

    /// The next thing from inside; waits for ever where there is none.
    ///
    /// Must be cancel-safe: the engine drops the future whenever a record comes first. A signal that cannot be committed is
    /// dropped, so it has to come again by itself.
    fn signal(&mut self) -> impl Future<Output = Self::Signal> + Send {
        std::future::pending()
    }

    /// Whether so much is under way that no record should be taken for now. Signals still are.
    fn is_saturated(&self) -> bool {
        false
    }

    /// These lanes are this instance's now, and no others: give up the work of lanes that left, resume what is open.
    ///
    /// Called after each rebalance that gives partitions, before the first record of them; called again when it failed with
    /// [`Failure::Retry`]. Not called when partitions are taken away: what is under way then must not be believed before the
    /// rows say so.
    fn assigned(&mut self, _database: &Database, _lanes: &Lanes) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }

    /// Look up by the clock what is due and what gauges show; `None` where there is nothing to look up.
    ///
    /// Called every half second, and only while no look-up is under way. The future runs beside the loop: transactions of
    /// these lanes are committed meanwhile, so what it finds may be history. It is given up when the lanes change.
    fn look_up(
        &mut self,
        _database: &Database,
        _now: Timestamp,
        _wanted: Wanted,
    ) -> Option<BoxFuture<'static, Result<Self::Found, Failure>>> {
        None
    }

    /// What a look-up has found: the signals that are due.
    ///
    /// Called while the lanes are still the ones that were asked for. A signal fires only after its lane has read what is in
    /// its topics now, and has to hold whatever happened since the look: `decide` must judge it by the rows.
    fn found(&mut self, _found: Self::Found) -> Vec<Self::Signal> {
        Vec::new()
    }
}

/// What comes from inside a service.
pub trait Signal: Send + Sync + Clone + Debug + 'static {
    /// The lane whose rows it touches: it is decided only while that lane is this instance's.
    fn lane(&self) -> i32;

    /// What caused it: the message that the wait began with.
    fn cause(&self) -> Cause {
        Cause::default()
    }

    /// The key of the records that it belongs to. While that key is parked it is not decided: an answer that waits there may have
    /// come before it. It is dropped, and has to come again by itself. None: it waits for no key.
    fn key(&self) -> Option<&[u8]> {
        None
    }
}

impl Signal for Infallible {
    fn lane(&self) -> i32 {
        match *self {}
    }
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
