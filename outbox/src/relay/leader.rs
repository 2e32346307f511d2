//! A term of leadership: publish what was committed, lane by lane, gapless, until something breaks or it shall stop.
//!
//! Two sources feed one stream per lane: messages of this process from memory, everything else from the table. Only the
//! next expected sequence is ever sent, whichever source brings it, so they cannot get in each other's way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::OutboxError;
use crate::hint::Hint;
use crate::planted::PlantedBug;
use crate::relay::acked::Acked;
use crate::relay::board::{Board, Held, HeldLanes};
use crate::relay::course::Offer;
use crate::relay::cursor::{Batch, Cursor, Pending};
use crate::relay::fence::{FENCE_EVERY, Fence};
use crate::relay::listener::Listener;
use crate::relay::memory::Memory;
use crate::relay::pace::Pace;
use crate::relay::publisher::{Cause, Failure, Publisher, concerns_one_lane};
use crate::relay::session::Session;
use crate::relay::stall::Stall;
use crate::relay::status::{RelayStatus, Stalled};
use crate::relay::stop::Stop;
use crate::relay::takeover::Ready;
use crate::relay::wire::{Record, Wire};
use crate::relay::{RelayConfig, RelayError};
use crate::store::Outbox;

const COUNT_EVERY: Duration = Duration::from_secs(1);
/// Acknowledgements take that long only when something is wrong.
const TELL_STALL_AFTER: Duration = Duration::from_secs(3);
/// How long a stopping leader waits for acknowledgements.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// What a background task of the term brings.
enum Done {
    Read(Batch),
    Saved(Vec<Acked>),
    Counted(Pending),
}

/// The term.
pub(crate) struct Term<'t> {
    outbox: &'t Outbox,
    config: &'t RelayConfig,
    session: Arc<Session>,
    status: &'t RelayStatus,
    board: Board,
    cursor: Arc<Cursor>,
    publisher: Publisher,
    wire: Wire,
    saved: Vec<Acked>,
    tasks: JoinSet<Result<Done, OutboxError>>,
    reading: bool,
    saving: bool,
    counting: bool,
    reported: u64,
    fence: Fence,
    pace: Pace,
    sent: u64,
    stall: &'t mut Stall,
    held: &'t mut HeldLanes,
}

impl<'t> Term<'t> {
    pub(crate) fn new(
        outbox: &'t Outbox,
        config: &'t RelayConfig,
        session: Arc<Session>,
        status: &'t RelayStatus,
        ready: Vec<Ready>,
        publisher: Publisher,
        memory: &'t mut Memory,
    ) -> Result<Self, RelayError> {
        let done: Vec<Acked> = ready.iter().map(|lane| lane.done).collect();
        memory.stall.begin();
        publisher.begin(done.clone());
        Ok(Self {
            board: Board::new(ready, &memory.held),
            cursor: Arc::new(Cursor::new(&outbox.config().schema, config.batch_bytes)?),
            publisher,
            wire: Wire::new(&outbox.config().source, &outbox.config().content_type),
            saved: done,
            tasks: JoinSet::new(),
            reading: false,
            saving: false,
            counting: false,
            reported: 0,
            fence: Fence::new(FENCE_EVERY),
            pace: Pace::new(config.longest_pace, Instant::now()),
            sent: 0,
            stall: &mut memory.stall,
            held: &mut memory.held,
            outbox,
            config,
            session,
            status,
        })
    }

    /// Publishes until asked to stop (`Ok`) or until something breaks. A failed delivery is remembered for the next term
    /// if it concerns one lane alone.
    pub(crate) async fn publish(&mut self, listener: &Listener, stop: &mut Stop) -> Result<(), RelayError> {
        let result = self.serve(listener, stop).await;
        if let Some(failure) = self.publisher.failure() {
            // A refusal is an answer: the brokers are there.
            self.stall.clear();
            if let Cause::NotTaken { error, message } = &failure.cause
                && concerns_one_lane(error)
            {
                let reason = format!("the broker refuses a message ({message}): {error}");
                let held = Held::now(reason, Some(message.as_ref().clone()), self.config.hold);
                self.held.insert(failure.slot, held);
            }
            return Err(self.error_of(failure));
        }
        result?;
        self.drain().await
    }

    fn error_of(&self, failure: Failure) -> RelayError {
        let place = self.board.get(failure.slot).map(|lane| &lane.ready.place);
        let (topic, partition) = place.map_or_else(Default::default, |at| (at.topic.to_string(), at.partition));
        match failure.cause {
            Cause::NotTaken { error: source, message } => RelayError::Delivery { topic, partition, message, source },
            Cause::LogBeganAnew => RelayError::LogBeganAnew { topic, partition },
        }
    }

    /// Ends what still runs in the background and gives the producer back, which takes a while to end.
    pub(crate) async fn end(mut self) -> Publisher {
        self.report();
        self.tasks.shutdown().await;
        self.publisher
    }

    async fn serve(&mut self, listener: &Listener, stop: &mut Stop) -> Result<(), RelayError> {
        let mut polls = ticks(self.config.poll_interval);
        let mut saves = ticks(self.config.position_interval);
        let mut counts = ticks(COUNT_EVERY);
        let hints = Arc::clone(&self.outbox.shared.hints);
        self.show_held();
        // While this is set, what is committed gathers.
        let mut gathering: Option<tokio::time::Instant> = None;
        while !stop.is_asked() && self.publisher.failure().is_none() {
            self.read_dirty();
            tokio::select! {
                () = stop.asked() => {}
                () = hints.handed(), if gathering.is_none() => {
                    self.take_hints().await?;
                    gathering = self.gather();
                }
                () = listener.heard(), if gathering.is_none() => {
                    self.mark_heard(listener);
                    gathering = self.gather();
                }
                () = until(gathering), if gathering.is_some() => gathering = None,
                () = self.publisher.failed() => {}
                Some(done) = self.tasks.join_next() => self.take_done(done.map_err(|_| RelayError::Panicked)??).await?,
                _ = polls.tick() => self.board.mark_all(),
                _ = saves.tick() => {
                    self.look_for_stall()?;
                    self.save();
                }
                _ = counts.tick() => self.count(),
            }
        }
        Ok(())
    }

    /// Until when what is committed next shall gather, by the rate of late.
    fn gather(&mut self) -> Option<tokio::time::Instant> {
        let wait = self.pace.sent(std::mem::take(&mut self.sent), Instant::now());
        (!wait.is_zero()).then(|| tokio::time::Instant::now() + wait)
    }

    /// Starts reading lanes that may have something, unless that is going on.
    fn read_dirty(&mut self) {
        if self.reading {
            return;
        }
        if let Some(wanted) = self.board.choose(self.config.batch_rows) {
            let read = Arc::clone(&self.cursor).read(Arc::clone(&self.session), wanted);
            self.tasks.spawn(async move { read.await.map(Done::Read) });
            self.reading = true;
        }
    }

    async fn take_done(&mut self, done: Done) -> Result<(), RelayError> {
        match done {
            Done::Read(batch) => self.publish_rows(batch).await,
            Done::Saved(saved) => {
                self.saved = saved;
                self.saving = false;
                Ok(())
            }
            Done::Counted(pending) => {
                if pending.messages == 0 {
                    self.stall.clear();
                }
                self.status.set_pending(pending.messages, pending.oldest);
                self.counting = false;
                let (lanes, epochs) = self.board.shape();
                let known = (i64::try_from(lanes), i64::try_from(epochs));
                if known == (Ok(pending.shape.0), Ok(pending.shape.1)) { Ok(()) } else { Err(RelayError::ShapeChanged) }
            }
        }
    }

    /// Publishes rows of the table. Reading goes on meanwhile with what comes after them.
    async fn publish_rows(&mut self, batch: Batch) -> Result<(), RelayError> {
        self.reading = false;
        let mut rows: HashMap<usize, (i64, i64)> = HashMap::with_capacity(batch.wanted.slots.len());
        for row in &batch.rows {
            let of_lane = rows.entry(slot_of(row)?).or_default();
            of_lane.0 += 1;
            of_lane.1 = row.try_get(1).map_err(OutboxError::database("reading an outbox row"))?;
        }
        self.board.took(&batch.wanted, &rows, batch.complete);
        self.read_dirty();
        for row in &batch.rows {
            let slot = slot_of(row)?;
            let record = Record::from_row(row)?;
            if !self.send(slot, &record, true).await? && !self.board.is_held(slot) {
                self.hold_for_gap(slot, record.sequence);
            }
        }
        Ok(())
    }

    /// Publishes messages of this process.
    async fn take_hints(&mut self) -> Result<(), RelayError> {
        let handed = self.outbox.shared.hints.take();
        for lane in handed.lanes {
            self.board.mark(lane);
        }
        let mut hints = handed.hints;
        // Commits of one lane may be handed over in another order than that of their sequences.
        hints.sort_unstable_by_key(|hint| (hint.lane, hint.sequence));
        for Hint { lane, sequence, message } in hints {
            let Some(slot) = self.board.slot_of(lane) else { continue };
            if !self.send(slot, &Record::from_message(sequence, &message), false).await? {
                self.board.mark_slot(slot);
            }
        }
        Ok(())
    }

    /// Sends a record if it is the lane's next; passes over what was sent or is void. False if something is missing
    /// before it, or the lane is held.
    async fn send(&mut self, slot: usize, record: &Record<'_>, from_table: bool) -> Result<bool, RelayError> {
        let planted = self.outbox.config().planted;
        let Some(lane) = self.board.get(slot) else { return Ok(true) };
        let skips = planted.is(PlantedBug::CursorWithoutLock) && from_table
            || planted.is(PlantedBug::HintSkipsGap) && !from_table;
        match lane.offer(record.sequence, skips) {
            Offer::Send => {}
            Offer::Pass => return Ok(true),
            Offer::Missing => return Ok(false),
        }
        self.wait_for_room().await?;
        let Some(lane) = self.board.get(slot) else { return Ok(true) };
        let headers = self.wire.headers(record, &lane.ready.epochs)?;
        let place = &lane.ready.place;
        self.publisher
            .send(slot, &place.topic, place.partition, record, headers)
            .map_err(RelayError::kafka("handing a message to the producer"))?;
        self.board.sent(slot, record.sequence);
        self.sent += 1;
        Ok(true)
    }

    /// Waits until the producer takes more, and until leadership was proved recently enough.
    async fn wait_for_room(&mut self) -> Result<(), RelayError> {
        let mut waited = false;
        while !self.publisher.has_room() {
            waited = true;
            if let Some(failure) = self.publisher.failure() {
                return Err(self.error_of(failure));
            }
            tokio::select! {
                () = self.publisher.progress() => {}
                () = tokio::time::sleep(self.config.fence_age / 3) => self.session.beat().await?,
            }
            self.look_for_stall()?;
        }
        if self.fence.looks(waited) && !self.session.is_fresh(self.config.fence_age) {
            self.session.beat().await?;
        }
        Ok(())
    }

    /// Tells of messages in flight that are not acknowledged, and ends the term when that lasts.
    fn look_for_stall(&mut self) -> Result<(), RelayError> {
        let now = Instant::now();
        self.stall.look(self.publisher.acknowledged(), self.publisher.is_idle(), now);
        let lasts = self.stall.lasts(now);
        if lasts < TELL_STALL_AFTER {
            self.status.set_stalled(None);
            return Ok(());
        }
        let reason = self.publisher.said();
        self.status.set_stalled(Some(Stalled { lasts, reason: reason.clone() }));
        let is_over = self.stall.of_producer(now) >= self.config.renew_producer_after;
        if is_over { Err(RelayError::NothingAcknowledged { lasts, reason }) } else { Ok(()) }
    }

    fn mark_heard(&mut self, listener: &Listener) {
        let heard = listener.take();
        if heard.everything {
            self.board.mark_all();
        }
        for lane in heard.lanes {
            self.board.mark(lane);
        }
    }

    /// The table itself has a gap: rows were deleted, or written past this crate. Sending on would hide it.
    fn hold_for_gap(&mut self, slot: usize, found: i64) {
        let Some(lane) = self.board.get(slot) else { return };
        let reason = format!("the table lacks sequence {}; it continues with {found}", lane.next());
        tracing::error!(topic = %lane.ready.place.topic, partition = lane.ready.place.partition, reason, "lane held");
        self.board.hold(slot, reason, self.config.hold);
        self.show_held();
    }

    fn show_held(&self) {
        self.status.set_held(self.board.held());
    }

    /// Lets lanes go whose time is over, and starts saving positions if they have moved.
    fn save(&mut self) {
        if self.board.release() {
            self.show_held();
        }
        self.report();
        if !self.saving {
            let planted = self.outbox.config().planted.is(PlantedBug::PositionBeforeAck);
            let acked = self.publisher.acked();
            let acked = if planted { self.board.sent_so_far(&acked) } else { acked };
            let moved = self.board.moved(&acked, &self.saved);
            if !moved.is_empty() {
                let session = Arc::clone(&self.session);
                let save = Arc::clone(&self.cursor).save(session, moved);
                self.tasks.spawn(async move { save.await.map(|()| Done::Saved(acked)) });
                self.saving = true;
            }
        }
    }

    fn count(&mut self) {
        if !self.counting {
            let (lanes, next) = self.board.pending(&self.publisher.acked());
            let count = Arc::clone(&self.cursor).pending(Arc::clone(&self.session), lanes, next);
            self.tasks.spawn(async move { count.await.map(Done::Counted) });
            self.counting = true;
        }
    }

    /// Counts new acknowledgements into the metrics.
    fn report(&mut self) {
        let acknowledged = self.publisher.acknowledged();
        if acknowledged > self.reported {
            self.status.add_published(acknowledged - self.reported);
            self.reported = acknowledged;
        }
        for duration in self.publisher.measured() {
            self.status.meters().publish_duration.record(duration);
        }
    }

    /// Waits for what is in flight and saves where it ended, so that the next leader finds nothing to repeat.
    async fn drain(&mut self) -> Result<(), RelayError> {
        let until = Instant::now() + DRAIN_TIMEOUT;
        while !self.publisher.is_idle() && self.publisher.failure().is_none() && Instant::now() < until {
            tokio::select! {
                () = self.publisher.progress() => {}
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
        self.tasks.shutdown().await;
        self.report();
        let acked = self.publisher.acked();
        let moved = self.board.moved(&acked, &self.saved);
        if !moved.is_empty() {
            Arc::clone(&self.cursor).save(Arc::clone(&self.session), moved).await?;
        }
        Ok(())
    }
}

fn slot_of(row: &tokio_postgres::Row) -> Result<usize, OutboxError> {
    let slot: i32 = row.try_get(0).map_err(OutboxError::database("reading an outbox row"))?;
    usize::try_from(slot).map_err(|_| OutboxError::CorruptRow { what: "slot" })
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
