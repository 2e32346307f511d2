//! A term of leadership: publish what was committed, lane by lane, gapless, until something breaks or it shall stop.
//!
//! Two sources feed one stream per lane: messages of this process from memory, everything else from the table. Only the
//! next expected sequence is ever sent, whichever source brings it, so they cannot get in each other's way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::OutboxError;
use crate::hint::Hint;
use crate::planted::PlantedBug;
use crate::relay::cursor::{Batch, Cursor, Pending, Wanted};
use crate::relay::listener::Listener;
use crate::relay::publisher::{Acked, Publisher, concerns_one_lane};
use crate::relay::session::Session;
use crate::relay::status::{HeldLane, RelayStatus};
use crate::relay::stop::Stop;
use crate::relay::takeover::Ready;
use crate::relay::wire::{Record, Wire};
use crate::relay::{RelayConfig, RelayError};
use crate::store::Outbox;

/// Messages between two looks at the fence.
const FENCE_EVERY: u32 = 256;
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How long a stopping leader waits for acknowledgements.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a lane is held whose messages the broker refuses.
const HOLD: Duration = Duration::from_secs(10);

/// A lane and the next sequence to send on it.
struct Lane {
    ready: Ready,
    next: i64,
    /// The table may hold something from `next` on.
    dirty: bool,
    held: Option<Held>,
}

/// Why and until when a lane is not published.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    until: Instant,
    reason: String,
}

/// Lanes held by slot, kept from one term to the next.
pub(crate) type HeldLanes = std::collections::HashMap<usize, Held>;

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
    lanes: Vec<Lane>,
    /// Slot of each lane number.
    slots: std::collections::HashMap<crate::lanes::Lane, usize>,
    cursor: Arc<Cursor>,
    publisher: Publisher,
    wire: Wire,
    saved: Vec<Acked>,
    tasks: JoinSet<Result<Done, OutboxError>>,
    reading: bool,
    saving: bool,
    counting: bool,
    reported: u64,
    since_fence: u32,
}

impl<'t> Term<'t> {
    pub(crate) fn new(
        outbox: &'t Outbox,
        config: &'t RelayConfig,
        session: Arc<Session>,
        status: &'t RelayStatus,
        ready: Vec<Ready>,
        held: &mut HeldLanes,
    ) -> Result<Self, RelayError> {
        let done: Vec<Acked> = ready.iter().map(|lane| lane.done).collect();
        let publisher = Publisher::new(config, outbox.config().max_message_bytes, done.clone())
            .map_err(RelayError::kafka("creating the producer"))?;
        let slots = ready.iter().enumerate().map(|(slot, lane)| (lane.lane, slot)).collect();
        held.retain(|_, held| held.until > Instant::now());
        let lanes = ready.into_iter().enumerate().map(|(slot, ready)| Lane {
            next: ready.epochs.after(ready.done.sequence),
            ready,
            dirty: true,
            held: held.get(&slot).cloned(),
        });
        Ok(Self {
            lanes: lanes.collect(),
            slots,
            cursor: Arc::new(Cursor::new(&outbox.config().schema, config.batch_bytes)?),
            publisher,
            wire: Wire::new(&outbox.config().source, &outbox.config().content_type),
            saved: done,
            tasks: JoinSet::new(),
            reading: false,
            saving: false,
            counting: false,
            reported: 0,
            since_fence: FENCE_EVERY,
            outbox,
            config,
            session,
            status,
        })
    }

    /// Publishes until asked to stop (`Ok`) or until something breaks. A failed delivery is noted in `held` if it
    /// concerns one lane alone.
    pub(crate) async fn publish(
        &mut self,
        listener: &Listener,
        stop: &mut Stop,
        held: &mut HeldLanes,
    ) -> Result<(), RelayError> {
        let result = self.serve(listener, stop).await;
        if let Some(failure) = self.publisher.failure() {
            if concerns_one_lane(&failure.error) {
                let reason = format!("the broker refuses a message: {}", failure.error);
                held.insert(failure.slot, Held { until: Instant::now() + HOLD, reason });
            }
            let (topic, partition) = self
                .lanes
                .get(failure.slot)
                .map_or_else(Default::default, |lane| (lane.ready.place.topic.to_string(), lane.ready.place.partition));
            return Err(RelayError::Delivery { topic, partition, source: failure.error });
        }
        result?;
        self.drain().await
    }

    /// Ends what still runs in the background and gives the producer back, which takes a while to end.
    pub(crate) async fn end(mut self) -> Publisher {
        self.tasks.shutdown().await;
        self.publisher
    }

    async fn serve(&mut self, listener: &Listener, stop: &mut Stop) -> Result<(), RelayError> {
        let mut polls = ticks(self.config.poll_interval);
        let mut saves = ticks(self.config.position_interval);
        let mut counts = ticks(COUNT_EVERY);
        let hints = Arc::clone(&self.outbox.shared.hints);
        self.show_held();
        while !stop.is_asked() && self.publisher.failure().is_none() {
            self.read_dirty();
            tokio::select! {
                () = stop.asked() => {}
                () = hints.handed() => self.take_hints().await?,
                () = listener.heard() => self.mark_heard(listener),
                () = self.publisher.failed() => {}
                Some(done) = self.tasks.join_next() => self.take_done(done.map_err(|_| RelayError::Panicked)??).await?,
                _ = polls.tick() => self.lanes.iter_mut().for_each(|lane| lane.dirty = true),
                _ = saves.tick() => self.save(),
                _ = counts.tick() => self.count(),
            }
        }
        Ok(())
    }

    /// Starts reading lanes that may have something, unless that is going on.
    fn read_dirty(&mut self) {
        if self.reading {
            return;
        }
        let mut wanted = Wanted::default();
        for (slot, lane) in self.lanes.iter_mut().enumerate() {
            let held = lane.held.as_ref().is_some_and(|held| held.until > Instant::now());
            if lane.dirty && !held {
                lane.dirty = false;
                wanted.slots.push(i32::try_from(slot).unwrap_or(i32::MAX));
                wanted.lanes.push(lane.ready.lane);
                wanted.after.push(lane.next - 1);
            }
        }
        let lanes = i64::try_from(wanted.slots.len()).unwrap_or(i64::MAX);
        if lanes > 0 {
            wanted.rows_per_lane = (i64::from(self.config.batch_rows) / lanes).max(32);
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
                self.status.set_pending(pending.messages, pending.oldest);
                self.counting = false;
                let epochs: usize = self.lanes.iter().map(|lane| lane.ready.epochs.count()).sum();
                let known = (i64::try_from(self.lanes.len()), i64::try_from(epochs));
                if known == (Ok(pending.shape.0), Ok(pending.shape.1)) { Ok(()) } else { Err(RelayError::ShapeChanged) }
            }
        }
    }

    /// Publishes rows of the table. Reading goes on meanwhile with what comes after them.
    async fn publish_rows(&mut self, batch: Batch) -> Result<(), RelayError> {
        self.reading = false;
        let mut rows_of: Vec<(i64, i64)> = vec![(0, 0); self.lanes.len()];
        for row in &batch.rows {
            let slot = slot_of(row)?;
            if let Some((count, last)) = rows_of.get_mut(slot) {
                *count += 1;
                *last = row.try_get(1).map_err(OutboxError::database("reading an outbox row"))?;
            }
        }
        let next: Vec<i64> = self.lanes.iter().map(|lane| lane.next).collect();
        for slot in &batch.wanted.slots {
            let slot = usize::try_from(*slot).unwrap_or(usize::MAX);
            let Some((count, last)) = rows_of.get(slot).copied() else { continue };
            if let Some(lane) = self.lanes.get_mut(slot)
                && (!batch.complete || count >= batch.wanted.rows_per_lane)
            {
                lane.dirty = true;
                // Only for the next read; put back below, because these rows are not sent yet.
                lane.next = lane.next.max(last + 1);
            }
        }
        self.read_dirty();
        for (lane, next) in self.lanes.iter_mut().zip(next) {
            lane.next = next;
        }
        for row in &batch.rows {
            let slot = slot_of(row)?;
            let record = Record::from_row(row)?;
            if !self.send(slot, &record, true).await? && self.lanes[slot].held.is_none() {
                self.hold_for_gap(slot, record.sequence);
            }
        }
        Ok(())
    }

    /// Publishes messages of this process.
    async fn take_hints(&mut self) -> Result<(), RelayError> {
        let handed = self.outbox.shared.hints.take();
        for lane in handed.lanes {
            self.mark(lane);
        }
        let mut hints = handed.hints;
        // Commits of one lane may be handed over in another order than that of their sequences.
        hints.sort_unstable_by_key(|hint| (hint.lane, hint.sequence));
        for Hint { lane, sequence, message } in hints {
            let Some(slot) = self.slots.get(&lane).copied() else { continue };
            if !self.send(slot, &Record::from_message(sequence, &message), false).await? {
                self.lanes[slot].dirty = true;
            }
        }
        Ok(())
    }

    /// Sends a record if it is the lane's next; passes over what was sent or is void. False if something is missing
    /// before it, or the lane is held.
    async fn send(&mut self, slot: usize, record: &Record<'_>, from_table: bool) -> Result<bool, RelayError> {
        let planted = self.outbox.config().planted;
        let Some(lane) = self.lanes.get(slot) else { return Ok(true) };
        if record.sequence < lane.next || lane.ready.epochs.is_void(record.sequence) {
            return Ok(true);
        }
        let skips = planted.is(PlantedBug::CursorWithoutLock) && from_table
            || planted.is(PlantedBug::HintSkipsGap) && !from_table;
        if lane.held.is_some() || (record.sequence > lane.next && !skips) {
            return Ok(false);
        }
        self.wait_for_room().await?;
        let lane = &mut self.lanes[slot];
        let (epoch, first) = lane.ready.epochs.of(record.sequence);
        let headers = self.wire.headers(record, epoch, first)?;
        let place = &lane.ready.place;
        self.publisher
            .send(slot, &place.topic, place.partition, record, headers)
            .map_err(RelayError::kafka("handing a message to the producer"))?;
        lane.next = lane.ready.epochs.after(record.sequence);
        Ok(true)
    }

    /// Waits until the producer takes more, and until leadership was proved recently enough.
    async fn wait_for_room(&mut self) -> Result<(), RelayError> {
        let mut waited = false;
        while !self.publisher.has_room() {
            waited = true;
            if let Some(failure) = self.publisher.failure() {
                return Err(RelayError::kafka("publishing")(failure.error));
            }
            tokio::select! {
                () = self.publisher.progress() => {}
                () = tokio::time::sleep(self.config.fence_age / 3) => self.session.beat().await?,
            }
        }
        self.since_fence += 1;
        if waited || self.since_fence >= FENCE_EVERY {
            self.since_fence = 0;
            if !self.session.is_fresh(self.config.fence_age) {
                self.session.beat().await?;
            }
        }
        Ok(())
    }

    fn mark(&mut self, lane: crate::lanes::Lane) {
        if let Some(slot) = self.slots.get(&lane) {
            self.lanes[*slot].dirty = true;
        }
    }

    fn mark_heard(&mut self, listener: &Listener) {
        let heard = listener.take();
        if heard.everything {
            self.lanes.iter_mut().for_each(|lane| lane.dirty = true);
        }
        for lane in heard.lanes {
            self.mark(lane);
        }
    }

    /// The table itself has a gap: rows were deleted, or written past this crate. Sending on would hide it.
    fn hold_for_gap(&mut self, slot: usize, found: i64) {
        let lane = &mut self.lanes[slot];
        let reason = format!("the table lacks sequence {}; it goes on with {found}", lane.next);
        tracing::error!(topic = %lane.ready.place.topic, partition = lane.ready.place.partition, reason, "lane held");
        lane.held = Some(Held { until: Instant::now() + HOLD, reason });
        self.show_held();
    }

    fn show_held(&self) {
        let held = self.lanes.iter().filter_map(|lane| {
            let reason = lane.held.as_ref()?.reason.clone();
            let place = &lane.ready.place;
            Some(HeldLane { topic: place.topic.to_string(), partition: place.partition, reason })
        });
        self.status.set_held(held.collect());
    }

    /// Lets lanes go whose time is over, and starts saving positions if they have moved.
    fn save(&mut self) {
        let now = Instant::now();
        let mut released = false;
        for lane in &mut self.lanes {
            if lane.held.as_ref().is_some_and(|held| held.until <= now) {
                lane.held = None;
                lane.dirty = true;
                released = true;
            }
        }
        if released {
            self.show_held();
        }
        self.report();
        if !self.saving {
            let acked = self.publisher.acked();
            if let Some(save) = self.saving_of(&acked) {
                let session = Arc::clone(&self.session);
                let save = Arc::clone(&self.cursor).save(session, save);
                self.tasks.spawn(async move { save.await.map(|()| Done::Saved(acked)) });
                self.saving = true;
            }
        }
    }

    /// Lanes whose position has moved since it was saved.
    fn saving_of(&self, acked: &[Acked]) -> Option<Vec<(crate::lanes::Lane, i64, Acked)>> {
        let moved = self.lanes.iter().zip(acked).zip(&self.saved).filter(|((_, acked), saved)| acked != saved);
        let moved: Vec<_> =
            moved.map(|((lane, acked), _)| (lane.ready.lane, lane.ready.epochs.of(acked.sequence).0, *acked)).collect();
        (!moved.is_empty()).then_some(moved)
    }

    fn count(&mut self) {
        if !self.counting {
            let lanes = self.lanes.iter().map(|lane| lane.ready.lane).collect();
            let acked = self.publisher.acked();
            let next =
                self.lanes.iter().zip(acked).map(|(lane, acked)| lane.ready.epochs.after(acked.sequence)).collect();
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
        if let Some(save) = self.saving_of(&acked) {
            Arc::clone(&self.cursor).save(Arc::clone(&self.session), save).await?;
        }
        Ok(())
    }
}

fn slot_of(row: &tokio_postgres::Row) -> Result<usize, OutboxError> {
    let slot: i32 = row.try_get(0).map_err(OutboxError::database("reading an outbox row"))?;
    usize::try_from(slot).map_err(|_| OutboxError::CorruptRow { what: "slot" })
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
