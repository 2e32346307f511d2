//! `orders publish` and the file form of `stock receive`: a file to Kafka, with progress, complaints and a summary.

use std::ops::ControlFlow;
use std::time::Instant;

use indicatif::ProgressBar;
use schemas::TopicName;
use serde_json::{Value, json};

use super::options::PublishOptions;
use super::output::{Failure, spinner};
use super::{End, Session};
use crate::client::rendering::counted;
use crate::client::{Deliveries, Entries, LineError, Observation, Pace, Published, Publisher, publish_entries};

/// Refused lines that the JSON summary repeats; the count is complete.
const REFUSALS_KEPT: usize = 1000;

/// What these commands name as their origin.
pub(super) const SOURCE: &str = "/orders";

pub(super) async fn run(session: &Session, options: PublishOptions) -> Result<End, Failure> {
    let name = options.file.display().to_string();
    let entries = Entries::orders(options.file)?;
    let pace = Pace { per_second: options.rate, strict: options.strict };
    publish_file(session, TopicName::OrderCommands, &name, "order", entries, pace).await
}

/// Publishes all entries, flushes, and says what happened. `what` is one of them.
pub(super) async fn publish_file(
    session: &Session,
    topic: TopicName,
    file: &str,
    what: &str,
    entries: Entries,
    pace: Pace,
) -> Result<End, Failure> {
    let publisher = Publisher::open(&session.connection, SOURCE)?;
    publisher.check_topic(topic).await?;
    let begin = Instant::now();
    let bar = spinner(&format!("{{spinner}} {{pos}} {what}s published  {{per_sec}}  {{elapsed}}  {{msg}}"));
    let mut refusals = Vec::new();
    let mut counts = Published::default();
    let observe = |observation: Observation<'_>| {
        match observation {
            Observation::Published { .. } => {
                counts.published += 1;
                bar.inc(1);
            }
            Observation::Refused(error) => {
                counts.refused += 1;
                refuse(&bar, &mut refusals, error, counts.refused);
            }
        }
        ControlFlow::Continue(())
    };
    let publishing = publish_entries(&publisher, entries, pace, observe);
    let outcome = tokio::select! {
        outcome = publishing => Some(outcome),
        _ = tokio::signal::ctrl_c() => None,
    };
    let interrupted = outcome.is_none();
    // Waiting for the brokers' answers can take long as well: Ctrl-C ends that too.
    let deliveries = tokio::select! {
        deliveries = publisher.flush(session.patience) => deliveries,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            eprintln!("not all {what} were confirmed yet; publishing the file again is safe");
            return Ok(End::Interrupted);
        }
    };
    bar.finish_and_clear();
    let report = match outcome {
        Some(outcome) => outcome?,
        None => Published { lines: counts.published + counts.refused, stopped: true, ..counts },
    };
    let deliveries = deliveries?;
    let summary = Summary { file, what, report: &report, deliveries: &deliveries, begin, refusals: &refusals };
    session.output.say(|| summary.json(), || summary.text())?;
    let lost = deliveries.failed > 0 || (pace.strict && report.refused > 0);
    Ok(match (interrupted, lost, report.refused > 0) {
        (true, _, _) => End::Interrupted,
        (false, true, _) => End::Negative,
        (false, false, true) => End::LinesRefused,
        (false, false, false) => End::Done,
    })
}

fn refuse(bar: &ProgressBar, refusals: &mut Vec<LineError>, error: &LineError, count: u64) {
    bar.suspend(|| eprintln!("{error}"));
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
    begin: Instant,
    refusals: &'a [LineError],
}

impl Summary<'_> {
    fn json(&self) -> Value {
        let refusal = |error: &LineError| json!({ "line": error.line, "field": error.error.field, "problem": error.error.problem });
        let unknown: serde_json::Map<String, Value> =
            self.report.unknown_fields.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        json!({
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
            "milliseconds": u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    fn text(&self) -> String {
        let (report, what) = (self.report, self.what);
        let elapsed = self.begin.elapsed();
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
        text
    }
}
