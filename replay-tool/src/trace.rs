//! Everything that happened to one order, over all topics and the outboxes: one timeline, and where the saga stands.
//!
//! Records are looked for where they lie, not where their key should lie: clients have partitioners of their own. What waits
//! behind an open transaction is looked for too.

mod gather;
mod hop;
mod json;
mod mermaid;
mod standing;
mod text;
mod timeline;
mod words;

use std::collections::HashMap;
use std::ops::ControlFlow;

use schemas::{Codec, OrderId, ServiceName, TopicName, partitioner};

use gather::{Gathering, Parked, channels};
use hop::{Hop, Mark};
pub(crate) use json::json;
pub(crate) use mermaid::mermaid;
use standing::Standing;
pub(crate) use text::text;
use timeline::Timeline;

use crate::error::{ReplayError, UnreadableRun};
use crate::log::{Channel, OpenTransaction, Range};
use crate::progress::Progress;
use crate::snapshot::{OutboxRow, ServiceView};
use crate::source::Source;

/// What to look for, and where.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) source: Source,
    pub(crate) order_id: OrderId,
    pub(crate) codec: Codec,
    /// Whether to look only into the partition where the id belongs.
    pub(crate) home_only: bool,
    /// What the services' databases say; empty where they are not asked. Taken before the topics are read.
    pub(crate) views: Vec<ServiceView>,
    /// What could not be asked.
    pub(crate) unread: Vec<Unread>,
}

/// A service whose tables were to be read and could not be.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) service: ServiceName,
    pub(crate) reason: String,
}

/// What happened to an order.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) order_id: OrderId,
    pub(crate) timeline: Timeline,
    pub(crate) standing: Standing,
    /// Whose tables it lacks: what they have committed and not published, and what they have taken, is not in it.
    pub(crate) unread: Vec<Unread>,
    /// The transactions that records of the order wait behind.
    pub(crate) open_transactions: Vec<OpenTransaction>,
    /// Records that nobody can read, which may have been the order's.
    pub(crate) unreadable: Vec<UnreadableRun>,
}

impl Trace {
    /// Whether nobody has ever heard of the order.
    pub(crate) fn is_unknown(&self) -> bool {
        self.timeline.steps.is_empty()
    }

    /// Whether there is such an order.
    pub(crate) fn has_order(&self) -> bool {
        matches!(self.standing, Standing::Order { .. })
    }
}

/// Read the topics. Blocks.
pub(crate) fn trace(question: Question) -> Result<Trace, ReplayError> {
    let Question { source, order_id, codec, home_only, views, unread } = question;
    let mut gathering = Gathering::new(order_id.clone(), codec.clone(), parked(&source, &views));
    let plans = plans(&source, &order_id, home_only)?;
    let progress = Progress::new("reading", plans.iter().flat_map(|(_, ranges)| ranges).map(length).sum());
    for (channel, ranges) in plans {
        for range in &ranges {
            gathering.begin(channel, range.partition, range.from);
        }
        source.read(channel, &ranges, &mut |record| {
            gathering.take(channel, record);
            progress.add(1);
            ControlFlow::Continue(())
        })?;
    }
    progress.finish();
    let open_transactions = read_waiting(&source, &mut gathering)?;
    let mut unreadable = Vec::new();
    for channel in channels() {
        unreadable.extend(source.unreadable(channel)?);
    }
    for row in views.iter().flat_map(|view| &view.rows) {
        gathering.take_row(hop_of_row(row, &codec));
    }
    let timeline = Timeline::arrange(gathering.finish());
    let is_taken = |hop: &Hop| {
        let reader = hop.channel.reader()?;
        let view = views.iter().find(|view| view.service == reader)?;
        let resume = view.inbox.resume(&source.topic(hop.channel), hop.partition);
        hop.offset.map(|offset| offset < resume && hop.mark != Mark::Parked)
    };
    let standing = Standing::of(&timeline, is_taken);
    Ok(Trace { order_id, timeline, standing, unread, open_transactions, unreadable })
}

/// What the readers of the topics have parked, as their tables say.
fn parked(source: &Source, views: &[ServiceView]) -> HashMap<TopicName, Parked> {
    let of = |topic: TopicName| {
        let reader = topic.read_by()?;
        let inbox = &views.iter().find(|view| view.service == reader)?.inbox;
        let restorations = inbox.restorations_of(&source.topic(Channel::Messages(topic)));
        Some((topic, Parked { places: inbox.parked(topic), restorations }))
    };
    TopicName::by_order().filter_map(of).collect()
}

/// What nobody is given yet, of every partition; the transactions that records of the order wait behind.
fn read_waiting(source: &Source, gathering: &mut Gathering) -> Result<Vec<OpenTransaction>, ReplayError> {
    let Some(lookout) = source.lookout()? else { return Ok(Vec::new()) };
    let mut waited_for = Vec::new();
    for channel in channels() {
        for open in lookout.look(channel)?.open {
            let mut is_ours = false;
            lookout.read(channel, &open, &mut |record| {
                is_ours |= gathering.take_waiting(channel, record);
                ControlFlow::Continue(())
            })?;
            waited_for.extend(is_ours.then_some(open));
        }
    }
    Ok(waited_for)
}

/// What to read of each channel, up to its end as it is now.
fn plans(source: &Source, order_id: &OrderId, home_only: bool) -> Result<Vec<(Channel, Vec<Range>)>, ReplayError> {
    let mut plans = Vec::new();
    for channel in channels() {
        let bounds = source.bounds(channel)?;
        let count = i32::try_from(bounds.len()).unwrap_or(i32::MAX);
        let home = (count > 0).then(|| partitioner::partition_of(order_id.as_str().as_bytes(), count));
        let is_read = |partition: i32| match channel {
            Channel::DeadLetters(_) => true,
            Channel::Messages(_) => !home_only || Some(partition) == home,
        };
        plans.push((channel, Range::all(&bounds).into_iter().filter(|range| is_read(range.partition)).collect()));
    }
    Ok(plans)
}

fn length(range: &Range) -> u64 {
    u64::try_from(range.until - range.from).unwrap_or(0)
}

fn hop_of_row(row: &OutboxRow, codec: &Codec) -> Hop {
    let (Channel::Messages(topic) | Channel::DeadLetters(topic)) = row.channel;
    let message = row.payload.as_deref().and_then(|payload| codec.decode(topic, payload).ok());
    let is_letter = matches!(row.channel, Channel::DeadLetters(_));
    let told = message.as_ref().map_or_else(String::new, client::detail);
    Hop {
        channel: row.channel,
        partition: row.partition,
        offset: None,
        time: Some(row.time.into()),
        broker_time: None,
        name: message.as_ref().map_or("a record", |message| message.name()).to_owned(),
        detail: if is_letter { "a dead letter".to_owned() } else { told },
        message: message.filter(|_| !is_letter),
        id: Some(row.id.to_string()),
        causation: row.causation.clone(),
        source: Some(row.position.source.clone()),
        trace_parent: None,
        position: Some(row.position.clone()),
        made_of: None,
        mark: Mark::Unpublished,
    }
}
