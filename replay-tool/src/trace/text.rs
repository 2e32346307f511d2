//! A trace as a table for people, and where the saga stands below it.

use client::{stage_in_words, symbol};
use grammar::{Table, terminal_width};
use jiff::Timestamp;
use schemas::Time;

use super::Trace;
use super::standing::Standing;
use super::timeline::Step;
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

fn row(index: usize, step: &Step) -> [String; 8] {
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
        Standing::Order { order, waiting } => {
            let since = format!("since {} ({})", order.changed_at, ago(now - order.changed_at.as_micros()));
            let mut text = format!("stands at {}, version {}, {since}\n", stage_in_words(order), order.version);
            if let Some(waiting) = waiting {
                let replies = waiting.replies.join(" or ");
                text.push_str(&format!(
                    "waits for {}: {replies} from the {} service\n",
                    symbol(&waiting.awaiting),
                    waiting.from
                ));
                text.push_str(&format!("          {}\n", waiting.obstacle(&trace.timeline)));
                text.push_str(&match waiting.deadline {
                    None => "          without a deadline\n".to_owned(),
                    Some(deadline) if deadline.as_micros() >= now => {
                        format!("          until {deadline} (in {})\n", duration(deadline.as_micros() - now))
                    }
                    Some(deadline) => {
                        format!("          until {deadline} (passed {})\n", ago(now - deadline.as_micros()))
                    }
                });
            }
            text
        }
    }
}

fn ago(micros: i64) -> String {
    format!("{} ago", duration(micros))
}
