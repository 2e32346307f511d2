//! What a new leader does first: find out, for every lane, what its topic partition holds already.
//!
//! Stored positions lag, so each topic partition is read from there to its end, and every record is compared with its
//! row. The decision is in [`super::resume`]; here is what feeds it, and what carries it out. Lanes whose stored
//! position is not where it should be (records lost, topic made anew) are read again from further back, in growing
//! steps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::cut;
use crate::epochs::Epochs;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::log::{Bounds, Partition, Range};
use crate::planted::PlantedBug;
use crate::relay::acked::Acked;
use crate::relay::restore::{NewEpoch, begin_epoch};
use crate::relay::restored::{OnRestore, Restored};
use crate::relay::resume::{Decision, FIRST_STEP_BACK, Facts, Resume, Seen, Stored};
use crate::relay::session::Session;
use crate::relay::setback::{Setback, set_back};
use crate::relay::tail::{Found, REQUEST_TIMEOUT, Stretch, TailReader};
use crate::relay::{RelayConfig, RelayError, RelayStatus, matching};
use crate::sql;
use crate::store::Outbox;

/// How long the closing of a client is waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A lane that is ready to be published.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) lane: Lane,
    pub(crate) place: Partition,
    pub(crate) epochs: Epochs,
    pub(crate) done: Acked,
}

/// What a take-over gives.
#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) lanes: Vec<Ready>,
    /// The closing of the consumer that was needed; to be awaited some time.
    pub(crate) closing: tokio::task::JoinHandle<()>,
}

/// A lane as the database knows it.
#[derive(Debug)]
struct Known {
    lane: Lane,
    place: Partition,
    pruned: i64,
    epochs: Epochs,
    stored: Option<Stored>,
}

/// How far the topics are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// To their ends.
    Whole,
    /// To the first message that the database does not hold; to their ends if there is none.
    FirstDifference,
}

/// What was found out of all lanes; nothing is changed yet.
pub(crate) struct Survey {
    known: Vec<Known>,
    folds: Vec<Resume>,
    bounds: Vec<Bounds>,
    difference: Option<Restored>,
    closing: tokio::task::JoinHandle<()>,
}

/// Reads where all lanes stand.
pub(crate) async fn survey(
    outbox: &Outbox,
    config: &RelayConfig,
    session: &Session,
    depth: Depth,
) -> Result<Survey, RelayError> {
    let schema = &outbox.config().schema;
    let topics = load_topics(session, schema).await?;
    let known = load(session, schema, &topics).await?;
    let source = outbox.config().source.clone();
    let kafka = config.kafka.clone();
    let places: Vec<Partition> = known.iter().map(|lane| lane.place.clone()).collect();
    let counts: Vec<(Arc<str>, i32)> = topics.into_values().collect();
    let (reader, bounds) = blocking(session, move || {
        let reader = TailReader::new(&kafka, &source)?;
        reader.check_topics(&counts, REQUEST_TIMEOUT)?;
        let bounds = reader.bounds(&places)?;
        Ok((reader, bounds))
    })
    .await?;
    let reader = Arc::new(reader);
    let mut tails = Tails { outbox, session, reader, known: &known, bounds: &bounds, depth, difference: None };
    let folds = tails.fold_all().await?;
    let (reader, difference) = (tails.reader, tails.difference);
    // Closing a consumer takes a while and blocks; publishing need not wait for it.
    let closing = tokio::task::spawn_blocking(move || drop(reader));
    Ok(Survey { known, folds, bounds, difference, closing })
}

impl Survey {
    /// Every lane with the epoch that it is in, and what is decided about it.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (Lane, &Partition, &Epochs, &Resume)> {
        self.known.iter().zip(&self.folds).map(|(lane, fold)| (lane.lane, &lane.place, &lane.epochs, fold))
    }

    /// A message that the database does not hold, if there is any.
    pub(crate) fn difference(&self) -> Option<Restored> {
        self.difference.clone()
    }

    /// Waits for what reading has left behind.
    pub(crate) async fn close(self) -> Result<(), RelayError> {
        close(self.closing).await
    }
}

/// Waits until a client is closed, but not for ever: one that hangs is left alone.
pub(crate) async fn close(closing: tokio::task::JoinHandle<()>) -> Result<(), RelayError> {
    match tokio::time::timeout(CLOSE_TIMEOUT, closing).await {
        Ok(closed) => closed.map_err(|_| RelayError::Panicked),
        Err(_) => {
            tracing::warn!("a Kafka client does not close; it is left behind");
            Ok(())
        }
    }
}

/// Reads where all lanes stand, and begins new epochs where the table was restored; or refuses to, if that is wanted.
pub(crate) async fn take_over(
    outbox: &Outbox,
    config: &RelayConfig,
    session: &Session,
    status: &RelayStatus,
) -> Result<TakenOver, RelayError> {
    let depth = match config.on_restore {
        OnRestore::BeginEpoch => Depth::Whole,
        OnRestore::Hold => Depth::FirstDifference,
    };
    let Survey { known, folds, bounds, difference, closing } = survey(outbox, config, session, depth).await?;
    if let (OnRestore::Hold, Some(restored)) = (config.on_restore, difference) {
        session.alive(close(closing)).await??;
        return Err(RelayError::Restored(restored));
    }
    let decisions: Vec<Decision> = known.iter().zip(&folds).map(|(lane, fold)| decided(outbox, fold, lane)).collect();
    let setbacks: Vec<Setback> = known.iter().zip(&decisions).filter_map(|(lane, of)| setback(lane, *of)).collect();
    if !set_back(session, &outbox.config().schema, &setbacks).await? {
        return Err(RelayError::ShapeChanged);
    }
    let decided = decisions.into_iter().zip(bounds.iter().map(|bounds| bounds.high)).collect();
    let lanes = carry_out(session, &outbox.config().schema, status, &known, decided).await?;
    Ok(TakenOver { lanes, closing })
}

/// The lane's position if it is saved beyond what the topic partition holds.
fn setback(lane: &Known, decision: Decision) -> Option<Setback> {
    let Decision::Resume { after, offset } = decision else { return None };
    let holds = Acked { sequence: after, offset, end: offset.map_or(0, |offset| offset + 1) };
    let (epoch, _) = lane.epochs.of(after);
    lane.stored.is_some_and(|stored| stored.sequence > after).then_some(Setback {
        lane: lane.lane,
        epoch,
        holds,
        pruned: lane.pruned,
    })
}

/// What is decided about a lane. A planted bug trusts the stored position even where the topic does not have it.
fn decided(outbox: &Outbox, fold: &Resume, lane: &Known) -> Decision {
    let decision = fold.decide();
    if !outbox.config().planted.is(PlantedBug::PositionBeforeAck) {
        return decision;
    }
    match (decision, lane.stored) {
        (Decision::Resume { after, offset }, Some(stored)) => {
            Decision::Resume { after: after.max(stored.sequence), offset }
        }
        _ => decision,
    }
}

/// The reading of all lanes' tails.
struct Tails<'t> {
    outbox: &'t Outbox,
    session: &'t Session,
    reader: Arc<TailReader>,
    known: &'t [Known],
    bounds: &'t [Bounds],
    depth: Depth,
    difference: Option<Restored>,
}

impl Tails<'_> {
    /// Reads every lane until it can be decided, further back where that is needed. Each round reads ten times as far, so
    /// it ends at the logs' starts.
    async fn fold_all(&mut self) -> Result<Vec<Resume>, RelayError> {
        let mut folds: Vec<Resume> = Vec::with_capacity(self.known.len());
        let mut stretches = Vec::with_capacity(self.known.len());
        for (slot, (lane, bounds)) in self.known.iter().zip(self.bounds).enumerate() {
            let (fold, stretch) = self.begin(slot, lane, bounds, None);
            folds.push(fold);
            stretches.push(stretch);
        }
        let mut step_back = FIRST_STEP_BACK;
        loop {
            self.fold(&mut folds, stretches).await?;
            stretches = Vec::new();
            if self.is_enough() {
                return Ok(folds);
            }
            for (slot, (lane, bounds)) in self.known.iter().zip(self.bounds).enumerate() {
                if folds[slot].decide() == Decision::Unanchored {
                    tracing::warn!(topic = %lane.place.topic, partition = lane.place.partition, step_back,
                        "the stored position is not in the topic; reading further back");
                    let (fold, stretch) = self.begin(slot, lane, bounds, Some(step_back));
                    folds[slot] = fold;
                    stretches.push(stretch);
                }
            }
            if stretches.is_empty() {
                return Ok(folds);
            }
            step_back = step_back.saturating_mul(10);
        }
    }

    /// The fold of a lane and what is to be read for it.
    fn begin(&self, slot: usize, lane: &Known, bounds: &Bounds, step_back: Option<i64>) -> (Resume, Stretch) {
        let (facts, from) = Facts::of(lane.epochs.clone(), lane.pruned, lane.stored, *bounds, step_back);
        let planted = self.outbox.config().planted.is(PlantedBug::ResumeAfterMaximum);
        (
            Resume::new(facts, planted),
            Stretch { slot, range: Range { place: lane.place.clone(), from, until: bounds.high } },
        )
    }

    fn is_enough(&self) -> bool {
        self.depth == Depth::FirstDifference && self.difference.is_some()
    }

    /// Reads the stretches and feeds the folds.
    async fn fold(&mut self, folds: &mut [Resume], stretches: Vec<Stretch>) -> Result<(), RelayError> {
        let (sender, mut receiver) = mpsc::channel(2);
        let reader = Arc::clone(&self.reader);
        let reading = tokio::task::spawn_blocking(move || reader.read(&stretches, &sender));
        let folded = self.take_all(folds, &mut receiver).await;
        // A reader whose records nobody takes any more stops by itself.
        drop(receiver);
        let read = self.session.alive(reading).await?.map_err(|_| RelayError::Panicked)?;
        folded.and(read)
    }

    async fn take_all(
        &mut self,
        folds: &mut [Resume],
        from: &mut mpsc::Receiver<Vec<Found>>,
    ) -> Result<(), RelayError> {
        while let Some(found) = self.session.alive(from.recv()).await? {
            self.compare(folds, &found).await?;
            if self.is_enough() {
                break;
            }
        }
        Ok(())
    }

    /// Compares records with their rows, by primary key, and lets the folds observe them.
    async fn compare(&mut self, folds: &mut [Resume], found: &[Found]) -> Result<(), RelayError> {
        let quoted = sql::quoted_schema(&self.outbox.config().schema)?;
        let lanes: Vec<Lane> = found.iter().filter_map(|one| self.known.get(one.slot)).map(|lane| lane.lane).collect();
        let sequences: Vec<i64> = found.iter().map(|one| one.sequence).collect();
        let statement = matching::statement(&quoted);
        let rows = self.session.query("comparing records with rows", &statement, &[&lanes, &sequences]).await?;
        let matches = matching::matches(found, &rows);
        for (one, row) in found.iter().zip(matches) {
            if let Some(fold) = folds.get_mut(one.slot) {
                fold.observe(Seen { offset: one.offset, epoch: one.epoch, sequence: one.sequence }, row);
                if self.difference.is_none() && fold.has_diverged() {
                    self.difference = self.known.get(one.slot).map(|lane| restored(lane, one));
                }
            }
        }
        Ok(())
    }
}

fn restored(lane: &Known, found: &Found) -> Restored {
    let Partition { topic, partition } = &lane.place;
    let (offset, epoch, sequence) = (found.offset, found.epoch, found.sequence);
    Restored { topic: topic.to_string(), partition: *partition, offset, epoch, sequence }
}

/// Begins the epochs that were decided; the rest is only copied. With each decision comes the end of its log.
async fn carry_out(
    session: &Session,
    schema: &str,
    status: &RelayStatus,
    known: &[Known],
    decided: Vec<(Decision, i64)>,
) -> Result<Vec<Ready>, RelayError> {
    let mut ready = Vec::with_capacity(known.len());
    for (lane, (decision, end)) in known.iter().zip(decided) {
        let mut epochs = lane.epochs.clone();
        let done = match decision {
            Decision::Resume { after, offset } => Acked { sequence: after, offset, end },
            Decision::NewEpoch { epoch, last_equal, above } => {
                let new = NewEpoch { lane: lane.lane, epoch, last_equal, above };
                let begun = begin_epoch(session, schema, new).await?;
                tracing::error!(topic = %lane.place.topic, partition = lane.place.partition, epoch, last_equal,
                    first = begun.first, "the outbox is not the one that was published from: a new epoch begins");
                status.add_epoch_change();
                epochs.push(begun);
                Acked { sequence: begun.first - 1, offset: None, end }
            }
            Decision::Unanchored => return Err(RelayError::Panicked),
        };
        ready.push(Ready { lane: lane.lane, place: lane.place.clone(), epochs, done });
    }
    Ok(ready)
}

/// All topics of the outbox, whoever registered them: id, name, partition count.
async fn load_topics(session: &Session, schema: &str) -> Result<HashMap<i32, (Arc<str>, i32)>, OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    let text = format!("select id::int4, name, partitions from {quoted}.outbox_topics");
    let rows = session.query("reading the outbox's topics", &text, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (Arc::from(row.get::<_, &str>(1)), row.get(2)))).collect())
}

/// All lanes with their epochs and stored positions, ascending.
async fn load(
    session: &Session,
    schema: &str,
    topics: &HashMap<i32, (Arc<str>, i32)>,
) -> Result<Vec<Known>, OutboxError> {
    let quoted = sql::quoted_schema(schema)?;
    let mut epochs = cut::epochs_of(&session.query("reading epochs", &cut::epochs_sql(&quoted), &[]).await?);
    let lanes_sql = format!(
        "select l.lane, l.topic_id::int4, l.partition, l.pruned, p.epoch, p.sequence, p.kafka_offset \
         from {quoted}.outbox_lanes l left join {quoted}.outbox_positions p using (lane) order by l.lane"
    );
    let rows = session.query("reading lanes", &lanes_sql, &[]).await?;
    let lanes = rows.iter().filter_map(|row| {
        let (topic, _) = topics.get(&row.get(1))?;
        let lane: Lane = row.get(0);
        let stored =
            row.get::<_, Option<i64>>(4).map(|epoch| Stored { epoch, sequence: row.get(5), offset: row.get(6) });
        Some(Known {
            lane,
            place: Partition { topic: Arc::clone(topic), partition: row.get(2) },
            pruned: row.get(3),
            epochs: epochs.remove(&lane).unwrap_or_default(),
            stored,
        })
    });
    Ok(lanes.collect())
}

/// Runs blocking work while the session goes on showing that this leader lives.
async fn blocking<T: Send + 'static>(
    session: &Session,
    work: impl FnOnce() -> Result<T, RelayError> + Send + 'static,
) -> Result<T, RelayError> {
    session.alive(tokio::task::spawn_blocking(work)).await?.map_err(|_| RelayError::Panicked)?
}
