//! `orders publish` and the file form of `stock receive`: a file to Kafka, whichever way, with progress, complaints and a summary.
//!
//! Written to Kafka is not yet accepted by a service; `--wait` reads on until every order has ended.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use grammar::{complain, counted};
use indicatif::ProgressBar;
use schemas::{Message, OrderCommand, TopicName};
use serde_json::{Value, json};

use futures_util::StreamExt as _;

use super::fates::{Fates, is_end};
use super::options::PublishOptions;
use super::output::{Failure, spinner};
use super::way::{Way, WayOutlet};
use super::{End, NAME, Session};
use crate::{
    Came, Connection, Deliveries, Entries, LineError, Observation, Outlet as _, PublishPlan, Published, Record,
    Selection, TopicReader, publish_entries,
};

/// Refused lines that the JSON summary repeats; the count is complete.
const REFUSALS_KEPT: usize = 1000;

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_millis(200);

/// Orders that are followed at once over HTTP.
const AT_ONCE: usize = 32;

pub(super) async fn run(session: &Session, options: PublishOptions) -> Result<End, Failure> {
    let name = options.file.display().to_string();
    let entries = Entries::orders(options.file)?;
    let pace = PublishPlan { per_second: options.rate, strict: options.strict };
    let shows_tokens = matches!(session.way, Way::Kafka(_));
    let mut fates = options.wait.then(|| Fates::of(shows_tokens));
    publish_file(session, TopicName::OrderCommands, &name, "order", entries, pace, fates.as_mut()).await
}

/// Publishes all entries, flushes, waits for the end of orders if `fates` are wanted, and says what happened. `what` is
/// one entry.
pub(super) async fn publish_file(
    session: &Session,
    topic: TopicName,
    file: &str,
    what: &str,
    entries: Entries,
    pace: PublishPlan,
    mut fates: Option<&mut Fates>,
) -> Result<End, Failure> {
    let outlet = session.way.outlet(topic, fates.as_ref().map(|_| session.patience)).await?;
    let begin = Instant::now();
    let bar = spinner(&format!("{{spinner}} {{pos}} {what}s published  {{per_sec}}  {{elapsed}}  {{msg}}"));
    let mut refusals = Vec::new();
    let mut counts = Published::default();
    let observe = |observation: Observation<'_>| {
        match observation {
            Observation::Published { message, id, .. } => {
                counts.published += 1;
                bar.inc(1);
                if let (Some(fates), Message::OrderCommand(OrderCommand::PlaceOrder(order))) = (&mut fates, message) {
                    fates.published(order, id);
                }
            }
            Observation::Refused(error) => {
                counts.refused += 1;
                refuse(&bar, &mut refusals, error, counts.refused);
            }
        }
        ControlFlow::Continue(())
    };
    let publishing = publish_entries(&outlet, entries, pace, observe);
    let outcome = tokio::select! {
        outcome = publishing => Some(outcome),
        _ = tokio::signal::ctrl_c() => None,
    };
    let interrupted = outcome.is_none();
    // Waiting for the brokers' answers can take long as well: Ctrl-C ends that too.
    let deliveries = tokio::select! {
        deliveries = outlet.flush(session.patience) => deliveries,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            complain(NAME, format_args!("not every {what} was confirmed yet; publishing the file again is safe"));
            return Ok(End::INTERRUPTED);
        }
    };
    bar.finish_and_clear();
    let report = match outcome {
        Some(outcome) => outcome?,
        None => Published { lines: counts.published + counts.refused, stopped: true, ..counts },
    };
    let deliveries = deliveries?;
    let mut summary = Summary {
        file,
        what,
        report: &report,
        deliveries: &deliveries,
        elapsed: begin.elapsed(),
        refusals: &refusals,
        fates: None,
    };
    let lost = deliveries.failed > 0 || (pace.strict && report.refused > 0);
    let mut end = ended(interrupted, lost, report.refused > 0);
    if let Some(fates) = fates.filter(|_| !interrupted) {
        end = wait(session, &outlet, fates, end).await?;
        summary.fates = Some(fates);
    }
    session.output.say(|| summary.json(), || summary.text())?;
    Ok(end)
}

/// How the program ends when nobody waits for the orders.
fn ended(interrupted: bool, lost: bool, refused: bool) -> End {
    match (interrupted, lost, refused) {
        (true, _, _) => End::INTERRUPTED,
        (false, true, _) => End::FAILED,
        (false, false, true) => End::LinesRefused,
        (false, false, false) => End::DONE,
    }
}

/// Waits for the end of all orders; gives how the program ends then. `so_far` is how it would end without.
async fn wait(session: &Session, outlet: &WayOutlet, fates: &mut Fates, so_far: End) -> Result<End, Failure> {
    tokio::select! {
        waited = await_ends(session, outlet, fates) => waited?,
        _ = tokio::signal::ctrl_c() => return Ok(End::INTERRUPTED),
    }
    let has_failed = so_far == End::FAILED;
    Ok(match (has_failed, fates.open() > 0, fates.any_failed()) {
        (true, _, _) | (false, false, false) => so_far,
        (false, true, _) => End::NotEnded,
        (false, false, true) => End::EndedOtherwise,
    })
}

/// Waits until every order has ended. Gives up when nothing was read and none has ended for as long as the session is patient.
async fn await_ends(session: &Session, outlet: &WayOutlet, fates: &mut Fates) -> Result<(), Failure> {
    for refusal in outlet.refusals() {
        fates.heard(&refusal);
    }
    match &session.way {
        Way::Kafka(connection) => read_ends(session, connection, fates).await,
        Way::Http(_) => follow_ends(session, fates).await,
    }
}

/// Follows each order that has not ended, so many at once.
async fn follow_ends(session: &Session, fates: &mut Fates) -> Result<(), Failure> {
    let open = fates.open_ids()?;
    let follow = async |order_id| {
        let (mut events, mut heard) = (session.way.order_events(&order_id).await?, Vec::<Record>::new());
        // What was there at the beginning is read to its end: an order may have been stuck, or waited, and gone on.
        while events.remaining() > 0 || !heard.last().is_some_and(is_end) {
            if let Came::Message(record) = events.next(TICK).await? {
                heard.push(*record);
            }
        }
        Ok::<_, Failure>(heard)
    };
    let bar = spinner("{spinner} {pos} orders have not ended  {elapsed}");
    let mut following = futures_util::stream::iter(open).map(follow).buffer_unordered(AT_ONCE);
    while let Ok(Some(heard)) = tokio::time::timeout(session.patience, following.next()).await {
        for record in heard? {
            fates.heard(&record);
        }
        bar.set_position(u64::try_from(fates.open()).unwrap_or(u64::MAX));
    }
    bar.finish_and_clear();
    Ok(())
}

/// Reads the order service's events from the beginning.
async fn read_ends(session: &Session, connection: &Connection, fates: &mut Fates) -> Result<(), Failure> {
    let selection = Selection { topic: TopicName::OrderEvents, key: fates.only_order().cloned(), from_end: false };
    let mut reader = TopicReader::open(connection, selection).await?;
    let bar = spinner("{spinner} {pos} orders have not ended  {elapsed}");
    let (mut moved, mut left) = (Instant::now(), reader.remaining());
    // What was there when the reader was opened is read to its end: an order may have been stuck, or waited, and gone on.
    while (fates.open() > 0 || reader.remaining() > 0) && moved.elapsed() < session.patience {
        bar.set_position(u64::try_from(fates.open()).unwrap_or(u64::MAX));
        let step = reader.next(TICK).await?;
        let has_ended = matches!(&step, Came::Message(record) if fates.heard(record));
        if has_ended || reader.remaining() < left {
            moved = Instant::now();
        }
        left = reader.remaining();
    }
    bar.finish_and_clear();
    Ok(())
}

fn refuse(bar: &ProgressBar, refusals: &mut Vec<LineError>, error: &LineError, count: u64) {
    bar.suspend(|| complain(NAME, error));
    bar.set_message(format!("{count} refused"));
    if refusals.len() < REFUSALS_KEPT {
        refusals.push(error.clone());
    }
}

struct Summary<'a> {
    file: &'a str,
    what: &'a str,
    report: &'a Published,
    deliveries: &'a Deliveries,
    elapsed: Duration,
    refusals: &'a [LineError],
    fates: Option<&'a Fates>,
}

impl Summary<'_> {
    fn json(&self) -> Value {
        let refusal = |error: &LineError| json!({ "line": error.line, "field": error.error.field, "problem": error.error.problem });
        let unknown: serde_json::Map<String, Value> =
            self.report.unknown_fields.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        let mut whole = json!({
            "file": self.file,
            "lines": self.report.lines,
            "published": self.report.published,
            "delivered": self.deliveries.delivered,
            "failed": self.deliveries.failed,
            "failures": self.deliveries.failures,
            "refused": self.report.refused,
            "refusals": self.refusals.iter().map(refusal).collect::<Vec<_>>(),
            "unknown_fields": unknown,
            "stopped_early": self.report.stopped,
            "milliseconds": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        });
        if let Some(fates) = self.fates {
            whole["outcomes"] = fates.json();
        }
        whole
    }

    fn text(&self) -> String {
        let (report, what) = (self.report, self.what);
        let elapsed = self.elapsed;
        let mut text = format!("{} written to Kafka in {elapsed:.1?}", counted(self.deliveries.delivered, what));
        let per_second = u128::from(self.deliveries.delivered) * 1000 / elapsed.as_millis().max(1);
        text.push_str(&format!(" ({per_second}/s)"));
        if report.refused > 0 {
            text.push_str(&format!("\n{} of {} could not be encoded", report.refused, counted(report.lines, "line")));
        }
        for (name, count) in &report.unknown_fields {
            let times = counted(*count, "time");
            text.push_str(&format!("\nthe field {name} ({times}) has no place in the schema and was not sent"));
        }
        if self.deliveries.failed > 0 {
            text.push_str(&format!("\n{} not written to Kafka, for example:", counted(self.deliveries.failed, what)));
            self.deliveries.failures.iter().for_each(|failure| text.push_str(&format!("\n  {failure}")));
        }
        if report.stopped {
            text.push_str("\nstopped before the end of the file; publishing it again is safe");
        }
        if let Some(fates) = self.fates {
            text.push('\n');
            text.push_str(&fates.text());
        }
        text
    }
}
