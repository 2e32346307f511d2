//! A trace as a table for people, and where the saga stands below it.

use client::stage_in_words;
use domain::saga::{Order, Shipment};
use grammar::{Table, money, terminal_width};
use jiff::Timestamp;
use schemas::Time;

use super::Trace;
use super::standing::{Standing, Waiting, WaitingForCommand, refund_in_words};
use super::timeline::TimedHop;
use super::words::{day, duration, time_of_day};

/// The whole trace; `now` tells how long something lasts already.
pub(crate) fn text(trace: &Trace, now: Timestamp) -> String {
    let mut text = format!("order {}\n", trace.order_id);
    let mut rows = heads();
    let mut shown_day = String::new();
    for (index, step) in trace.timeline.steps.iter().enumerate() {
        let today = day(step.hop.at());
        if today != shown_day {
            text.push_str(&written(&mut rows));
            text.push_str(&format!("\n{today} UTC\n"));
            shown_day = today;
        }
        rows.row(row(index, step));
    }
    text.push_str(&written(&mut rows));
    text.push_str(&format!("\n{}", standing(trace, now)));
    for open in &trace.open_transactions {
        text.push_str(&format!("waiting: {open}\n"));
    }
    for run in &trace.unreadable {
        text.push_str(&format!("not looked at: {run}\n"));
    }
    for unread in &trace.unread {
        let service = unread.service;
        text.push_str(&format!("without the {service} service's tables: what it has not published yet is not shown\n"));
    }
    text
}

/// What is long comes last: a terminal may be too narrow for it.
fn heads() -> Table {
    Table::new(["#", "time", "at the broker", "since previous", "since cause", "where", "position", "message"])
}

/// The rows of a day, which are over then.
fn written(rows: &mut Table) -> String {
    let day = std::mem::replace(rows, heads());
    if day.is_empty() { String::new() } else { day.text(terminal_width()) }
}

fn row(index: usize, step: &TimedHop) -> [String; 8] {
    let hop = &step.hop;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let since_cause = match (step.cause, step.since_cause_us) {
        (Some(cause), Some(micros)) => format!("#{} {}", cause + 1, signed(micros)),
        (Some(_) | None, _) => "-".to_owned(),
    };
    let mark = hop.mark.as_str().map_or_else(String::new, |mark| format!("[{mark}] "));
    let detail = if hop.detail.is_empty() { String::new() } else { format!("  {}", hop.detail) };
    [
        (index + 1).to_string(),
        or_dash(hop.time.map(time_of_day)),
        or_dash(hop.broker_time.map(|time| time_of_day(Time::from(time))[..12].to_owned())),
        or_dash(step.since_previous_us.map(signed)),
        since_cause,
        hop.place(),
        or_dash(hop.position.as_ref().map(ToString::to_string)),
        format!("{mark}{}{detail}", hop.title()),
    ]
}

fn signed(micros: i64) -> String {
    let plus = if micros < 0 { "" } else { "+" };
    format!("{plus}{}", duration(micros))
}

/// The end: where it stands and what it waits for.
fn standing(trace: &Trace, now: Timestamp) -> String {
    let now = Time::from(now).as_micros();
    match &trace.standing {
        Standing::NoOrder { words } => format!("{words}\n"),
        Standing::Broken { words } => format!("its history is broken: {words}\n"),
        Standing::Order { order, waits } => {
            let since = format!("since {} ({})", order.changed_at, ago(now - order.changed_at.as_micros()));
            let mut text = format!("stands at {}, version {}, {since}\n", stage_in_words(order), order.version);
            text.push_str(&beside(order));
            for waiting in &waits.replies {
                text.push_str(&reply(waiting, trace, now));
            }
            for waiting in &waits.commands {
                text.push_str(&command(waiting, now));
            }
            text
        }
    }
}

fn reply(waiting: &Waiting, trace: &Trace, now: i64) -> String {
    let Waiting { awaiting, from, replies, .. } = waiting;
    let mut text = format!("waits for {awaiting}: {} from the {from} service\n", replies.join(" or "));
    text.push_str(&format!("          {}\n", waiting.obstacle(&trace.timeline)));
    text.push_str(&until(waiting.deadline, "", now));
    text
}

fn command(waiting: &WaitingForCommand, now: i64) -> String {
    let WaitingForCommand { awaiting, why, since, until: deadline, then } = waiting;
    let mut text = format!("waits for {awaiting}: {why}\n");
    text.push_str(&format!("          since {since} ({})\n", ago(now - since.as_micros())));
    text.push_str(&until(*deadline, then, now));
    text
}

fn until(deadline: Option<Time>, then: &str, now: i64) -> String {
    let Some(deadline) = deadline else { return "          without a deadline\n".to_owned() };
    let left = deadline.as_micros() - now;
    let how_long = if left >= 0 { format!("in {}", duration(left)) } else { format!("passed {}", ago(-left)) };
    let then = if then.is_empty() { String::new() } else { format!("; then {then}") };
    format!("          until {deadline} ({how_long}){then}\n")
}

/// What happened to it beside its way: a line each for what it replaces, its shipment, its refunds and its returns.
fn beside(order: &Order) -> String {
    let mut lines = Vec::new();
    if let Some(replaced) = order.terms.as_ref().and_then(|terms| terms.replaces_order_id.as_ref()) {
        lines.push(format!("replaces order {replaced}"));
    }
    let Some(aftercare) = &order.aftercare else { return written_lines(&lines) };
    if let Some(Shipment { at, carrier, tracking }) = &aftercare.shipment {
        let with = [carrier.as_deref(), tracking.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        lines.push(format!("shipped {at}{}", in_parentheses(&with)));
    }
    for refund in &aftercare.refunds {
        let amount = money(refund.amount_minor, &order.currency);
        let why = in_parentheses(refund.reason_code.as_deref().unwrap_or_default());
        let what = refund_in_words(&refund.state);
        lines.push(format!("refund {}, {amount}{why}: {what}", refund.refund_id));
    }
    for back in &aftercare.returns {
        let why = in_parentheses(back.reason_code.as_deref().unwrap_or_default());
        let came: i64 = back.received.iter().map(|one| one.quantity).sum();
        let asked: i64 = back.lines.iter().map(|one| one.quantity).sum();
        let state = back.state.as_str().replace('_', " ");
        lines.push(format!("return {}{why}: {state}, {came} of {asked} pieces came", back.return_id));
    }
    written_lines(&lines)
}

fn written_lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn in_parentheses(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

fn ago(micros: i64) -> String {
    format!("{} ago", duration(micros))
}
