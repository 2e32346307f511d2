//! Where the saga stands at the end of the timeline, and all that it is waiting for.

use domain::saga::{Order, Phase, RefundState, ReturnState, Stage, Step, evolve, outstanding};
use schemas::{InventoryCommand, Message, MessageType, OrderEvent, PaymentCommand, ServiceName, Time, TopicName};

use super::hop::{Hop, Mark};
use super::timeline::Timeline;
use crate::log::Channel;
use crate::particulars::change_of;

/// Where the saga stands.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// Its events lead here.
    Order { order: Box<Order>, waits: Waits },
    /// Every command was refused or set aside, or none was taken so far.
    NoOrder { words: String },
    /// Its events contradict each other, or some are missing.
    Broken { words: String },
}

/// All that an order waits for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits {
    /// For replies of services: first that on its way, then those for refunds and returns beside it.
    pub(crate) replies: Vec<Waiting>,
    /// For commands.
    pub(crate) commands: Vec<WaitingForCommand>,
}

/// A reply that an order waits for.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    /// Whether the order goes no further without it.
    pub(crate) is_on_its_way: bool,
    /// The step; beside the order's way the refund or the return.
    pub(crate) awaiting: String,
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

/// A command that an order waits for.
#[derive(Debug, Clone)]
pub(crate) struct WaitingForCommand {
    /// The commands that it takes, in words.
    pub(crate) awaiting: String,
    /// Why it waits.
    pub(crate) why: String,
    /// Since when.
    pub(crate) since: Time,
    /// Until when; none where it waits without a limit.
    pub(crate) until: Option<Time>,
    /// What happens then.
    pub(crate) then: &'static str,
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
        match events.iter().try_fold(None, |state, (_, event)| evolve(state, event)) {
            Ok(Some(order)) => {
                let waits = Waits {
                    replies: waits_for_replies(&order, timeline, is_taken),
                    commands: waits_for_commands(&order, &events),
                };
                Standing::Order { order: Box::new(order), waits }
            }
            Ok(None) => Standing::NoOrder { words: without_order(timeline) },
            Err(inconsistent) => Standing::Broken { words: inconsistent.to_string() },
        }
    }
}

impl Waits {
    /// The reply without which the order goes no further.
    pub(crate) fn on_its_way(&self) -> Option<&Waiting> {
        self.replies.iter().find(|waiting| waiting.is_on_its_way)
    }
}

impl Waiting {
    /// Where the wait hangs, in words.
    pub(crate) fn obstacle(&self, timeline: &Timeline) -> String {
        let spot = |index: usize| timeline.steps.get(index).map_or_else(String::new, |step| step.hop.place());
        if let Some(reply) = self.reply_step {
            let words = || format!("an answer lies at {}; the order service has not acted on it", spot(reply));
            return timeline.steps.get(reply).and_then(|step| parked(&step.hop)).unwrap_or_else(words);
        }
        let Some(request) = self.request_step else {
            return format!("{} is not in the topics", self.request);
        };
        let sent = timeline.steps.get(request).map(|step| &step.hop);
        if let Some(words) = sent.and_then(parked) {
            return words;
        }
        let is_unpublished = sent.is_some_and(|hop| hop.mark == Mark::Unpublished);
        let (name, place, from) = (self.request, spot(request), self.from);
        match self.is_request_taken {
            _ if is_unpublished => format!("{name} is committed and not yet published to {place}"),
            Some(false) => format!("{name} lies at {place}; the {from} service has not taken it"),
            Some(true) => format!("{name} at {place} was taken by the {from} service, which has not answered yet"),
            None => format!("{name} was sent (#{}, {place}); no answer of the {from} service is there", request + 1),
        }
    }
}

fn waits_for_replies(order: &Order, timeline: &Timeline, is_taken: impl Fn(&Hop) -> Option<bool>) -> Vec<Waiting> {
    let on_its_way = match order.phase() {
        Phase::Forward(step) | Phase::Undoing(step) => Some(step),
        Phase::Command | Phase::Finished => None,
    };
    let requests = outstanding(order);
    let waiting = |(index, request): (usize, &Message)| {
        let step = on_its_way.filter(|_| index == 0);
        let from = request.topic().read_by()?;
        let is_same = |hop: &Hop| hop.message.as_ref() == Some(request);
        let is_alike = |hop: &Hop| hop.message.as_ref().is_some_and(|it| it.message_type() == request.message_type());
        let request_step = timeline.last_where(is_same).or_else(|| timeline.last_where(is_alike));
        let sent = request_step.and_then(|index| timeline.steps.get(index)).map(|step| &step.hop);
        // A refund that was tried again has another id than the first.
        let asked = sent.and_then(|hop| hop.message.as_ref()).unwrap_or(request);
        let replies = replies(request);
        let is_reply = |hop: &Hop| {
            let message = hop.message.as_ref();
            message.is_some_and(|it| replies.contains(&it.message_type()) && change_of(it) == change_of(asked))
        };
        Some(Waiting {
            is_on_its_way: step.is_some(),
            awaiting: step.map_or_else(|| beside(request), |step| step.as_str().to_owned()),
            from,
            replies: replies.iter().map(|kind| kind.name()).collect(),
            request: request.name(),
            request_step,
            reply_step: timeline.last_where(is_reply),
            since: sent.and_then(|hop| hop.time).unwrap_or(order.changed_at),
            deadline: step.filter(is_given_up).map(|_| order.confirm_by),
            is_request_taken: sent.and_then(&is_taken),
        })
    };
    requests.iter().enumerate().filter_map(waiting).collect()
}

/// Whether a step whose reply does not come is undone at the order's deadline.
const fn is_given_up(step: &Step) -> bool {
    match step {
        Step::StockReservation | Step::PaymentAuthorization => true,
        Step::PaymentCapture | Step::StockCommit | Step::PaymentVoid | Step::PaymentRefund | Step::StockRelease => {
            false
        }
    }
}

/// That this is parked and who frees it, in words; none where it is not.
fn parked(hop: &Hop) -> Option<String> {
    let by = hop.channel.reader().filter(|_| hop.mark == Mark::Parked)?;
    let (name, place) = (&hop.name, hop.place());
    Some(format!("{name} at {place} is parked: the {by} service could not take it; {by}-worker parked list"))
}

/// What is awaited beside the order's way.
fn beside(request: &Message) -> String {
    match (request, change_of(request)) {
        (Message::InventoryCommand(_), Some(id)) => format!("the stock of return {id}"),
        (_, Some(id)) => format!("refund {id}"),
        (_, None) => request.name().to_owned(),
    }
}

/// The messages that answer a request.
fn replies(request: &Message) -> &'static [MessageType] {
    use MessageType::{
        PaymentAuthorized, PaymentCaptureFailed, PaymentCaptured, PaymentDeclined, PaymentRefundFailed,
        PaymentRefunded, PaymentVoided, StockCommitRefused, StockCommitted, StockRejected, StockReleased,
        StockReserved, StockReturnRefused, StockReturned,
    };
    match request {
        Message::InventoryCommand(command) => match command {
            InventoryCommand::ReserveStock(_) => &[StockReserved, StockRejected],
            InventoryCommand::CommitStock(_) => &[StockCommitted, StockCommitRefused],
            InventoryCommand::ReleaseStock(_) => &[StockReleased],
            InventoryCommand::ReturnStock(_) => &[StockReturned, StockReturnRefused],
        },
        Message::PaymentCommand(command) => match command {
            PaymentCommand::AuthorizePayment(_) => &[PaymentAuthorized, PaymentDeclined],
            PaymentCommand::CapturePayment(_) => &[PaymentCaptured, PaymentCaptureFailed],
            PaymentCommand::VoidPayment(_) => &[PaymentVoided],
            PaymentCommand::RefundPayment(_) => &[PaymentRefunded, PaymentRefundFailed],
            // It is no step: what it asks to be done again is.
            PaymentCommand::RetryPayment(_) => &[],
        },
        Message::OrderCommand(_)
        | Message::OrderEvent(_)
        | Message::InventoryEvent(_)
        | Message::StockCommand(_)
        | Message::StockEvent(_)
        | Message::PaymentEvent(_) => &[],
    }
}

/// What a person or another program has to say before the order goes on; `events` are its own, in order.
fn waits_for_commands(order: &Order, events: &[(i64, &OrderEvent)]) -> Vec<WaitingForCommand> {
    let mut waits = Vec::new();
    let since = |is_it: &dyn Fn(&OrderEvent) -> bool| {
        events.iter().rfind(|(_, event)| is_it(event)).map_or(order.changed_at, |(_, event)| event.at())
    };
    if let Stage::Stuck { .. } = order.stage {
        waits.push(WaitingForCommand {
            awaiting: "RetryOrder, SkipOrderStep or ResolveOrder".to_owned(),
            why: "it is stuck".to_owned(),
            since: since(&|event| matches!(event, OrderEvent::OrderStuck(_))),
            until: None,
            then: "",
        });
    } else if let Some(hold) = order.hold() {
        let is_held = |event: &OrderEvent| {
            let is_placed_so = matches!(event, OrderEvent::OrderPlaced(placed) if placed.hold.is_some());
            is_placed_so || matches!(event, OrderEvent::OrderHeld(_))
        };
        waits.push(WaitingForCommand {
            awaiting: "ReleaseOrder or RejectOrder".to_owned(),
            why: format!("it is held: {}", hold.reason_code),
            since: since(&is_held),
            until: Some(hold.until),
            then: "it is undone",
        });
    } else if order.stage == Stage::ReadyToShip {
        let is_ready =
            |event: &OrderEvent| matches!(event, OrderEvent::OrderConfirmed(_) | OrderEvent::OrderPaymentCaptured(_));
        waits.push(WaitingForCommand {
            awaiting: "ShipOrder".to_owned(),
            why: "its goods are to leave".to_owned(),
            since: since(&is_ready),
            until: order.ship_by,
            then: "an alarm, and nothing else",
        });
    }
    let returns = order.aftercare.iter().flat_map(|aftercare| &aftercare.returns);
    for back in returns.filter(|back| back.state == ReturnState::Requested) {
        let is_it = |event: &OrderEvent| matches!(event, OrderEvent::OrderReturnRequested(event) if event.return_id == back.return_id);
        waits.push(WaitingForCommand {
            awaiting: "ReceiveReturn".to_owned(),
            why: format!("the goods of return {} are to come back", back.return_id),
            since: since(&is_it),
            until: Some(back.close_by),
            then: "the return is closed",
        });
    }
    waits
}

/// What an order's refund has come to, in words.
pub(super) fn refund_in_words(state: &RefundState) -> String {
    match state {
        RefundState::Requested | RefundState::Refunded | RefundState::Superseded => state.as_str().to_owned(),
        RefundState::Refused { detail } | RefundState::Unknown { detail } => format!("{}: {detail}", state.as_str()),
    }
}

/// Why there is none.
fn without_order(timeline: &Timeline) -> String {
    let has = |wanted: &dyn Fn(&Hop) -> bool| timeline.steps.iter().any(|step| wanted(&step.hop));
    let refusals = [MessageType::OrderRejected.name(), MessageType::OrderCommandRefused.name()];
    let refused = timeline.last_where(|hop| refusals.contains(&hop.name.as_str()));
    if let Some(refused) = refused.and_then(|index| timeline.steps.get(index)) {
        return format!("there is no such order: {}", refused.hop.detail);
    }
    if has(&|hop| hop.mark == Mark::Waiting) {
        return "there is no such order so far: what was sent for it waits behind an open transaction".to_owned();
    }
    if let Some(words) = timeline.steps.iter().find_map(|step| parked(&step.hop)) {
        return format!("there is no such order so far: {words}");
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
