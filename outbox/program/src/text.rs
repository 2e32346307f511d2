//! Reports for people: tables, and what to do under them.

use std::fmt::Write;

use grammar::{Table, Tone, counted, paint, terminal_width};
use outbox::operate::{AuditReport, Diagnosis, Finding, Level, OutboxStatus, RebaseReport, RepairReport, Run};

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A number of things that the database counted.
fn of(count: i64, what: &str) -> String {
    counted(u64::try_from(count).unwrap_or(0), what)
}

/// A duration in the largest unit that says enough.
fn age(millis: i64) -> String {
    match millis {
        ..10_000 => format!("{millis} ms"),
        10_000..600_000 => format!("{} s", millis / 1_000),
        600_000..36_000_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

fn bytes(bytes: i64) -> String {
    match bytes {
        ..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// `outbox-relay status`.
pub(crate) fn status(status: &OutboxStatus, findings: &[String]) -> String {
    let mut text = format!("outbox {} publishes as {}\n", status.schema, status.source);
    let oldest = status.oldest_ms.map_or(String::new(), |oldest| format!(", the oldest {} old", age(oldest)));
    let size = bytes(status.backlog_bytes);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "backlog  {}, about {size}{oldest}", of(status.backlog_messages, "message"));
    let leader = status.leader.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let _ = writeln!(text, "leader   {leader}");
    if let Some(connected) = status.leader.as_ref().and_then(|leader| leader.connected) {
        let _ = writeln!(text, "         connected since {connected:.0}");
    }
    for standby in &status.standbys {
        let _ = writeln!(text, "standby  {standby}");
    }
    for each in &status.tables {
        let current = each.current_since.map_or(String::new(), |since| format!(", appended to since {since:.0}"));
        let _ = writeln!(text, "table    {}: {}{current}", each.name, bytes(each.bytes));
    }
    let mut table = Table::new(["topic", "partition", "epoch", "head", "published", "offset", "lag"]);
    for lane in &status.lanes {
        table.row([
            lane.topic.clone(),
            lane.partition.to_string(),
            lane.epoch.to_string(),
            lane.head.to_string(),
            or_dash(lane.published),
            or_dash(lane.kafka_offset),
            lane.lag.to_string(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.text(terminal_width()));
    let waiting = status.lanes.iter().filter_map(|lane| Some((lane, lane.next.as_ref()?)));
    for (lane, next) in waiting {
        let _ = writeln!(text, "first that waits on {}[{}]: {next}", lane.topic, lane.partition);
    }
    for finding in findings {
        let _ = writeln!(text, "\n{} {finding}", paint(Tone::Warning, '!'));
    }
    text
}

fn runs(finding: &Finding) -> String {
    let run =
        |run: &Run| if run.first == run.last { run.first.to_string() } else { format!("{}-{}", run.first, run.last) };
    let listed: i64 = finding.sequences.iter().map(|run| run.last - run.first + 1).sum();
    let more = if listed < finding.messages { ", …" } else { "" };
    finding.sequences.iter().map(run).collect::<Vec<_>>().join(", ") + more
}

/// `outbox-relay audit`.
pub(crate) fn audit(report: &AuditReport) -> String {
    let mut text = format!(
        "outbox {}, {}: {}, {} compared, {} doubled, {} not published yet\n",
        report.schema,
        report.source,
        counted(report.lanes.len() as u64, "lane"),
        counted(report.records, "record"),
        report.doubled,
        report.pending
    );
    let findings: Vec<&Finding> = report.findings().collect();
    if findings.is_empty() {
        text.push_str(&paint(Tone::Good, "Nothing is lost, reordered, phantom or changed."));
        text.push('\n');
        return text;
    }
    let mut table = Table::new(["finding", "topic", "partition", "messages", "sequences"]);
    for finding in &findings {
        table.row([
            finding.kind.word().to_owned(),
            finding.topic.clone(),
            finding.partition.to_string(),
            finding.messages.to_string(),
            runs(finding),
        ]);
    }
    text.push('\n');
    text.push_str(&table.text(terminal_width()));
    let mut told = Vec::new();
    for finding in findings {
        if !told.contains(&finding.kind) {
            told.push(finding.kind);
            let _ = writeln!(text, "\n{} {}: {}", paint(Tone::Bad, '!'), finding.kind.word(), finding.advice);
        }
    }
    text
}

/// What `--repair` did.
pub(crate) fn repair(report: &RepairReport) -> String {
    if report.lanes.is_empty() {
        return "There is nothing that a repair could mend.\n".to_owned();
    }
    let mut text = String::from(if report.dry_run { "A repair would publish again\n" } else { "Published again\n" });
    let mut table = Table::new(["topic", "partition", "after", "up to", "messages", ""]);
    for lane in &report.lanes {
        table.row([
            lane.topic.clone(),
            lane.partition.to_string(),
            lane.after.to_string(),
            lane.to.to_string(),
            lane.messages.to_string(),
            lane.refused.clone().unwrap_or_else(|| "in order, by the relay that leads".to_owned()),
        ]);
    }
    text.push_str(&table.text(terminal_width()));
    text
}

/// `outbox-relay rebase`.
pub(crate) fn rebase(report: &RebaseReport) -> String {
    let mut text = String::from(if report.dry_run { "A rebase would begin\n" } else { "New epochs\n" });
    let heads = ["topic", "partition", "epoch", "last equal", "first", "appended again", "differs from the topic"];
    let mut table = Table::new(heads);
    for lane in &report.lanes {
        table.row([
            lane.topic.clone(),
            lane.partition.to_string(),
            format!("{} -> {}", lane.from_epoch, lane.to_epoch),
            lane.last_equal.to_string(),
            or_dash(lane.first),
            lane.appended_again.to_string(),
            if lane.differs { "yes" } else { "no" }.to_owned(),
        ]);
    }
    text.push_str(&table.text(terminal_width()));
    text
}

/// `outbox-relay doctor`.
pub(crate) fn doctor(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for check in &diagnosis.checks {
        let (word, tone) = match check.level {
            Level::Ok => ("ok", Tone::Good),
            Level::Warning => ("warning", Tone::Warning),
            Level::Problem => ("problem", Tone::Bad),
        };
        let word = paint(tone, format_args!("{word:<8}"));
        let _ = writeln!(text, "{word} {}: {}", check.name, check.found);
        if let Some(advice) = &check.advice {
            let _ = writeln!(text, "         -> {advice}");
        }
    }
    let count =
        |level, what| counted(diagnosis.checks.iter().filter(|check| check.level == level).count() as u64, what);
    let _ = writeln!(text, "\n{}, {}", count(Level::Problem, "problem"), count(Level::Warning, "warning"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_told_in_a_unit_that_says_enough() {
        assert_eq!([age(70), age(70_000), age(700_000)].join(" "), "70 ms 70 s 11 min");
        assert_eq!([bytes(70), bytes(70_000), bytes(70_000_000)].join(" "), "70 B 68 KiB 66 MiB");
    }
}
