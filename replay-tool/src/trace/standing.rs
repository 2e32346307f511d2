//! Where the saga stands at the end of the timeline, and what it is waiting for.

use domain::saga::{Order, Phase, evolve, outstanding};
use schemas::{Awaiting, Message, MessageType, OrderEvent, ServiceName, Time, TopicName};

use super::hop::{Hop, Mark};
use super::timeline::Timeline;
use crate::log::Channel;

/// Where the saga stands.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// Its events lead here.
    Order { order: Box<Order>, waiting: Option<Waiting> },
    /// Every command was refused or set aside, or none was taken so far.
    NoOrder { words: String },
    /// Its events contradict each other, or some are missing.
    Broken { words: String },
}

/// What an order waits for.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) awaiting: Awaiting,
    /// The service that has to answer.
    pub(crate) from: ServiceName,
    /// The names of the messages that would be an answer.
    pub(crate) replies: Vec<&'static str>,
    /// The name of the command that asks for it.
    pub(crate) request: &'static str,
    /// Its index in the timeline; none where it is not there.
    pub(crate) request_step: Option<usize>,
    /// An answer that lies in the topic and that the order service has not acted on.
    pub(crate) reply_step: Option<usize>,
    /// Since when.
    pub(crate) since: Time,
    /// Until when; none where it waits without a limit.
    pub(crate) deadline: Option<Time>,
    /// Whether the answering service has read beyond the request, as its tables say; none where they were not asked.
    pub(crate) is_request_taken: Option<bool>,
}

impl Standing {
    /// From the events in the timeline. `is_taken` says whether a topic's reader has read beyond a record.
    pub(crate) fn of(timeline: &Timeline, is_taken: impl Fn(&Hop) -> Option<bool>) -> Standing {
        let mut events: Vec<(i64, &OrderEvent)> = Vec::new();
        for step in timeline.steps.iter().filter(|step| step.hop.counts()) {
            if let (Some(Message::OrderEvent(event)), Some(version)) = (&step.hop.message, step.hop.version()) {
                events.push((version, event));
            }
        }
        events.sort_by_key(|(version, _)| *version);
        match events.into_iter().try_fold(None, |state, (_, event)| evolve(state, event)) {
            Ok(Some(order)) => {
                let waiting = waiting(&order, timeline, is_taken);
                Standing::Order { order: Box::new(order), waiting }
            }
            Ok(None) => Standing::NoOrder { words: without_order(timeline) },
            Err(inconsistent) => Standing::Broken { words: inconsistent.to_string() },
        }
    }
}

impl Waiting {
    /// Where the wait hangs, in words.
    pub(crate) fn obstacle(&self, timeline: &Timeline) -> String {
        let spot = |index: usize| timeline.steps.get(index).map_or_else(String::new, |step| step.hop.place());
        if let Some(reply) = self.reply_step {
            return format!("an answer lies at {}; the order service has not acted on it", spot(reply));
        }
        let Some(request) = self.request_step else {
            return format!("{} is not in the topics", self.request);
        };
        let is_unpublished = timeline.steps.get(request).is_some_and(|step| matches!(step.hop.mark, Mark::Unpublished));
        let (name, place, from) = (self.request, spot(request), self.from);
        match self.is_request_taken {
            _ if is_unpublished => format!("{name} is committed and not yet published to {place}"),
            Some(false) => format!("{name} lies at {place}; the {from} service has not taken it"),
            Some(true) => format!("{name} at {place} was taken by the {from} service, which has not answered yet"),
            None => format!("{name} was sent (#{}, {place}); no answer of the {from} service is there", request + 1),
        }
    }
}

fn waiting(order: &Order, timeline: &Timeline, is_taken: impl Fn(&Hop) -> Option<bool>) -> Option<Waiting> {
    let (Phase::Forward(awaiting) | Phase::Undoing(awaiting)) = order.phase() else { return None };
    let request = outstanding(order)?;
    let from = request.topic().read_by()?;
    let request_step = timeline
        .last_where(|hop| hop.message.as_ref().is_some_and(|message| message.message_type() == request.message_type()));
    let replies: Vec<&'static str> = replies(awaiting).iter().map(|kind| kind.name()).collect();
    let reply_step = timeline.last_where(|hop| replies.contains(&hop.name.as_str()));
    let is_request_taken = request_step.and_then(|index| is_taken(&timeline.steps[index].hop));
    Some(Waiting {
        awaiting,
        from,
        replies,
        request: request.name(),
        request_step,
        reply_step,
        since: order.changed_at,
        deadline: order.deadline(),
        is_request_taken,
    })
}

/// The messages that answer.
const fn replies(awaiting: Awaiting) -> &'static [MessageType] {
    match awaiting {
        Awaiting::StockReservation => &[MessageType::StockReserved, MessageType::StockRejected],
        Awaiting::PaymentAuthorization => &[MessageType::PaymentAuthorized, MessageType::PaymentDeclined],
        Awaiting::PaymentCapture => &[MessageType::PaymentCaptured, MessageType::PaymentCaptureFailed],
        Awaiting::StockCommit => &[MessageType::StockCommitted, MessageType::StockCommitRefused],
        Awaiting::PaymentVoid => &[MessageType::PaymentVoided],
        Awaiting::StockRelease => &[MessageType::StockReleased],
    }
}

/// Why there is none.
fn without_order(timeline: &Timeline) -> String {
    let has = |wanted: &dyn Fn(&Hop) -> bool| timeline.steps.iter().any(|step| wanted(&step.hop));
    let refused = timeline.last_where(|hop| hop.name == MessageType::OrderRejected.name());
    if let Some(refused) = refused.and_then(|index| timeline.steps.get(index)) {
        return format!("there is no such order: {}", refused.hop.detail);
    }
    if has(&|hop| hop.mark == Mark::Waiting) {
        return "there is no such order so far: what was sent for it waits behind an open transaction".to_owned();
    }
    let letter = timeline.steps.iter().rfind(|step| step.hop.mark == Mark::DeadLetter);
    if let Some(letter) = letter {
        return format!(
            "there is no such order: what was sent for it is among the dead letters; replay-tool dead-letters show '{}'",
            letter.hop.place()
        );
    }
    if has(&|hop| hop.channel == Channel::Messages(TopicName::OrderCommands)) {
        return "there is no such order so far: the order service has not answered its command".to_owned();
    }
    "there is no such order, only messages about it".to_owned()
}
