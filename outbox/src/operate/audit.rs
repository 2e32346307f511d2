//! Table against topics: is every committed message in its topic, once, in order, unchanged to the last header, and
//! nothing else?
//!
//! Reads the topics from where the range begins and compares every record with its row. What a consumer would get that
//! takes nothing but the next message decides: a message that came too late is in order again once everything after it
//! was repeated too. Changes nothing; locks nothing; memory is bounded by the number of gaps.

mod lane;
mod report;
mod tables;

use std::sync::Arc;

use deadpool_postgres::ClientWrapper;
use rdkafka::ClientConfig;
use tokio::sync::mpsc;

pub use report::{AuditReport, Finding, FindingKind, LaneAudit, Run};

use self::lane::{LaneFold, MAX_INTERVALS, Start};
use self::tables::LaneRow;
use super::{OperateError, Selection};
use crate::database::Database;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::log::{Bounds, Partition, Range};
use crate::relay::resume::Seen;
use crate::relay::tail::{Found, Stretch, TailReader};
use crate::relay::wire::Wire;
use crate::relay::{RelayError, matching};
use crate::{migrate, sql};

/// How much earlier than a row's own time its record may have been published: clocks differ, and the time is the writer's.
const CLOCK_MARGIN_MS: i64 = 600_000;

/// What to audit. Made by [`AuditConfig::new`]; the fields may then be changed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditConfig {
    /// Database schema of the outbox.
    pub schema: String,
    /// Any librdkafka properties: brokers, TLS, SASL.
    pub kafka: ClientConfig,
    /// Only messages whose time is not older. Default: all that the table still holds.
    pub since: Option<jiff::Timestamp>,
    /// Only these lanes. Default: all.
    pub selection: Selection,
}

impl AuditConfig {
    /// Everything that the table still holds.
    pub fn new(schema: impl Into<String>, kafka: ClientConfig) -> Self {
        Self { schema: schema.into(), kafka, since: None, selection: Selection::default() }
    }
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Offsets passed.
    pub done: i64,
    /// Offsets to pass, as far as is known.
    pub total: i64,
}

/// A lane under audit.
struct Audited {
    row: LaneRow,
    place: Partition,
    bounds: Bounds,
    from: i64,
    fold: LaneFold,
}

/// Compares tables and topics; `progress` is told now and then how far it is.
///
/// # Errors
/// When database or topics cannot be read. What the comparison finds is no error.
pub async fn audit(
    database: &Database,
    config: &AuditConfig,
    mut progress: impl FnMut(Progress),
) -> Result<AuditReport, OperateError> {
    let quoted = sql::quoted_schema(&config.schema)?;
    let client = super::connect(database, &config.schema).await?;
    migrate::check(&client, &config.schema).await?;
    let (source, content_type) = tables::read_identity(&client, &config.schema, &quoted).await?;
    // First what is published, then where the topics end: so whatever counts as published lies before that end.
    let rows = tables::read_lanes(&client, &quoted, config).await?;
    if rows.is_empty() {
        return Err(OperateError::NoSuchLane(config.selection.to_string()));
    }
    let (reader, mut lanes) = begin(config, source.clone(), rows).await?;
    let mut walk = Walk {
        client: &client,
        statement: matching::full_statement(&quoted),
        wire: Wire::new(&source, &content_type),
        reader: Arc::new(reader),
        progress: &mut progress,
        done: 0,
    };
    let all: Vec<usize> = (0..lanes.len()).collect();
    walk.read(&mut lanes, &all).await?;
    // A writer's own time may be far from that of its commit: what seems lost is looked for from the beginning.
    let again: Vec<usize> = (0..lanes.len()).filter(|index| lanes[*index].seems_broken()).collect();
    for index in &again {
        lanes[*index].begin_at_low();
    }
    walk.read(&mut lanes, &again).await?;
    let mut holes = tables::read_holes(&client, &quoted, config).await?;
    let lanes = lanes.iter().map(|lane| report::lane(lane, holes.remove(&lane.row.number).unwrap_or_default()));
    Ok(AuditReport::new(&config.schema, source, config.since, lanes.collect()))
}

/// Asks where the topics begin and end, and where the range begins in each.
async fn begin(
    config: &AuditConfig,
    source: String,
    rows: Vec<LaneRow>,
) -> Result<(TailReader, Vec<Audited>), OperateError> {
    let mut kafka = config.kafka.clone();
    // Comparing is slower than fetching: what is fetched ahead only takes memory.
    for (name, value) in [("queued.max.messages.kbytes", "1024"), ("queued.min.messages", "1000")] {
        if kafka.get(name).is_none() {
            kafka.set(name, value);
        }
    }
    let work = move || {
        let reader = TailReader::new(&kafka, &source)?.with_headers();
        let mut topics: Vec<(Arc<str>, i32)> =
            rows.iter().map(|row| (Arc::clone(&row.topic), row.partitions)).collect();
        topics.dedup();
        reader.check_topics(&topics, crate::kafka::ANSWER_WAIT)?;
        let place = |row: &LaneRow| Partition { topic: Arc::clone(&row.topic), partition: row.partition };
        let places: Vec<Partition> = rows.iter().map(place).collect();
        let bounds = reader.bounds(&places)?;
        let times = rows.iter().map(|row| row.first_time_ms.unwrap_or(0).saturating_sub(CLOCK_MARGIN_MS).max(0));
        let starts = reader.offsets_at(&places.iter().cloned().zip(times).collect::<Vec<_>>())?;
        let lanes = rows.into_iter().zip(places).zip(bounds.into_iter().zip(starts));
        let lanes = lanes.map(|((row, place), (bounds, start))| Audited::new(row, place, bounds, start));
        Ok::<_, RelayError>((reader, lanes.collect()))
    };
    Ok(tokio::task::spawn_blocking(work).await.map_err(|_| RelayError::Panicked)??)
}

impl Audited {
    /// `start`: where records of the range's time begin; without it there are none that young.
    fn new(row: LaneRow, place: Partition, bounds: Bounds, start: Option<i64>) -> Self {
        let start = match (row.first_time_ms, row.published_offset) {
            // Without a row to compare only what comes after the last known record can be wrong.
            (None, Some(published)) => published,
            (Some(_) | None, _) => start.unwrap_or(bounds.high),
        };
        let from = start.clamp(bounds.low, bounds.high.max(bounds.low));
        let fold = LaneFold::new(Self::start(&row, bounds, from));
        Self { row, place, bounds, from, fold }
    }

    fn start(row: &LaneRow, bounds: Bounds, from: i64) -> Start {
        let begins_later = from == bounds.low && bounds.low > 0;
        Start { epochs: row.epochs.clone(), after: row.after, begins_later }
    }

    fn seems_broken(&self) -> bool {
        self.from > self.bounds.low && self.fold.outcome(self.row.published) != lane::Outcome::default()
    }

    fn begin_at_low(&mut self) {
        self.from = self.bounds.low;
        self.fold = LaneFold::new(Self::start(&self.row, self.bounds, self.from));
    }
}

/// The reading of the topics.
struct Walk<'w> {
    client: &'w ClientWrapper,
    statement: String,
    wire: Wire,
    reader: Arc<TailReader>,
    progress: &'w mut dyn FnMut(Progress),
    done: i64,
}

impl Walk<'_> {
    /// Reads these lanes from where they begin to their ends, and feeds their folds.
    async fn read(&mut self, lanes: &mut [Audited], which: &[usize]) -> Result<(), OperateError> {
        if which.is_empty() {
            return Ok(());
        }
        let stretch = |slot: &usize| {
            let lane = &lanes[*slot];
            Stretch {
                slot: *slot,
                range: Range { place: lane.place.clone(), from: lane.from, until: lane.bounds.high },
            }
        };
        let stretches: Vec<Stretch> = which.iter().map(stretch).collect();
        let total = self.done + stretches.iter().map(|Stretch { range, .. }| range.until - range.from).sum::<i64>();
        let mut reached: Vec<i64> = lanes.iter().map(|lane| lane.from).collect();
        let (sender, mut receiver) = mpsc::channel(2);
        let reader = Arc::clone(&self.reader);
        let reading = tokio::task::spawn_blocking(move || reader.read(&stretches, &sender));
        let mut folded = Ok(());
        while let Some(found) = receiver.recv().await {
            folded = self.compare(lanes, &found).await;
            if folded.is_err() {
                break;
            }
            for one in &found {
                self.done += one.offset + 1 - reached[one.slot];
                reached[one.slot] = one.offset + 1;
            }
            (self.progress)(Progress { done: self.done, total });
        }
        // A reader whose records nobody takes any more stops by itself.
        drop(receiver);
        let read = reading.await.map_err(|_| RelayError::Panicked)?;
        folded?;
        read?;
        self.done = total;
        (self.progress)(Progress { done: total, total });
        Ok(())
    }

    /// Compares records with their rows, by primary key.
    async fn compare(&mut self, lanes: &mut [Audited], found: &[Found]) -> Result<(), OperateError> {
        let numbers: Vec<Lane> = found.iter().map(|one| lanes[one.slot].row.number).collect();
        let sequences: Vec<i64> = found.iter().map(|one| one.sequence).collect();
        let failed = || OutboxError::database("comparing records with rows");
        let statement = self.client.prepare_cached(&self.statement).await.map_err(failed())?;
        let rows = self.client.query(&statement, &[&numbers, &sequences]).await.map_err(failed())?;
        let matches = matching::full_matches(found, &rows, &mut self.wire, |slot| &lanes[slot].row.epochs)?;
        for (one, row) in found.iter().zip(matches) {
            let lane = &mut lanes[one.slot];
            lane.fold.observe(Seen { offset: one.offset, epoch: one.epoch, sequence: one.sequence }, row);
            if lane.fold.is_too_broken() {
                let place = &lane.place;
                let (topic, partition) = (place.topic.to_string(), place.partition);
                return Err(OperateError::TooBroken { topic, partition, limit: MAX_INTERVALS });
            }
        }
        Ok(())
    }
}
