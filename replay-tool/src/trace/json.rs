//! A trace as JSON.

use client::body_json;
use jiff::Timestamp;
use schemas::Time;
use serde_json::{Value, json};

use super::hop::Mark;
use super::standing::{Standing, Waiting, WaitingForCommand};
use super::timeline::TimedHop;
use super::{Trace, Unread};

/// The whole trace. Times are RFC 3339; durations are microseconds, as the names say.
pub(crate) fn json(trace: &Trace) -> Value {
    let steps = &trace.timeline.steps;
    json!({
        "order_id": trace.order_id.as_str(),
        "hops": steps.iter().enumerate().map(hop).collect::<Vec<_>>(),
        "standing": standing(trace),
        "open_transactions": trace.open_transactions,
        "unreadable": trace.unreadable,
        "unread_tables": trace.unread.iter().map(unread).collect::<Vec<_>>(),
    })
}

fn unread(unread: &Unread) -> Value {
    json!({ "service": unread.service.as_str(), "reason": unread.reason })
}

fn hop((index, step): (usize, &TimedHop)) -> Value {
    let hop = &step.hop;
    let position = hop.position.as_ref();
    json!({
        "number": index + 1,
        "ce_time": hop.time.map(|time| time.to_string()),
        "broker_time": hop.broker_time.map(shown),
        "since_previous_us": step.since_previous_us,
        "cause": step.cause.map(|cause| cause + 1),
        "since_cause_us": step.since_cause_us,
        "topic": hop.channel.name(),
        "partition": hop.partition,
        "offset": hop.offset,
        "mark": hop.mark.as_str(),
        "counts": hop.counts(),
        "is_published": hop.mark != Mark::Unpublished,
        "type": hop.name,
        "version": hop.version(),
        "id": hop.id,
        "causation_id": hop.causation,
        "source": hop.source,
        "traceparent": hop.trace_parent,
        "position": position.map(ToString::to_string),
        "detail": hop.detail,
        "body": hop.message.as_ref().map(body_json),
    })
}

fn standing(trace: &Trace) -> Value {
    match &trace.standing {
        Standing::NoOrder { words } => json!({ "stage": null, "problem": words }),
        Standing::Broken { words } => json!({ "stage": null, "problem": words }),
        Standing::Order { order, waits } => json!({
            "stage": order.stage.as_str(),
            "version": order.version,
            "since": order.changed_at.to_string(),
            "cancelled_because": order.cancellation.as_ref().map(|cancellation| cancellation.reason),
            "cancel_code": order.cancellation.as_ref().and_then(|cancellation| cancellation.code.as_ref()),
            "ship_by": order.ship_by.map(|time| time.to_string()),
            "terms": order.terms,
            "aftercare": order.aftercare,
            "waiting": waits.on_its_way().map(|waiting| reply(waiting, trace)),
            "also_waiting":
                waits.replies.iter().filter(|one| !one.is_on_its_way).map(|one| reply(one, trace)).collect::<Vec<_>>(),
            "waiting_for_commands": waits.commands.iter().map(command).collect::<Vec<_>>(),
        }),
    }
}

fn reply(waiting: &Waiting, trace: &Trace) -> Value {
    json!({
        "for": waiting.awaiting,
        "from": waiting.from.as_str(),
        "replies": waiting.replies,
        "request": waiting.request,
        "request_hop": waiting.request_step.map(|index| index + 1),
        "reply_hop": waiting.reply_step.map(|index| index + 1),
        "request_is_taken": waiting.is_request_taken,
        "since": waiting.since.to_string(),
        "deadline": waiting.deadline.map(|deadline| deadline.to_string()),
        "obstacle": waiting.obstacle(&trace.timeline),
    })
}

fn command(waiting: &WaitingForCommand) -> Value {
    json!({
        "for": waiting.awaiting,
        "why": waiting.why,
        "since": waiting.since.to_string(),
        "deadline": waiting.until.map(|until| until.to_string()),
    })
}

fn shown(time: Timestamp) -> String {
    Time::from(time).to_string()
}
