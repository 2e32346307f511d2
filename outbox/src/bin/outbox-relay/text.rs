//! Reports for people: tables, and what to do under them.

use std::fmt::Write;

use outbox::operate::{AuditReport, Diagnosis, Finding, Level, OutboxStatus, RebaseReport, RepairReport, Run};

/// Columns as wide as their widest cell; numbers to the right.
fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headers[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let is_number = |cell: &str| !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || c == '-');
    let line = |cells: &[String]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| if is_number(cell) { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let head: Vec<String> = headers.iter().map(|&header| header.to_owned()).collect();
    rows.iter().fold(line(&head), |text, row| text + &line(row))
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
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
    let _ = writeln!(text, "backlog  {} messages, about {size}{oldest}", status.backlog_messages);
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
    let rows = status.lanes.iter().map(|lane| {
        vec![
            lane.topic.clone(),
            lane.partition.to_string(),
            lane.epoch.to_string(),
            lane.head.to_string(),
            or_dash(lane.published),
            or_dash(lane.kafka_offset),
            lane.lag.to_string(),
        ]
    });
    let headers = ["topic", "partition", "epoch", "head", "published", "offset", "lag"];
    text.push('\n');
    text.push_str(&table(&headers, &rows.collect::<Vec<_>>()));
    let waiting = status.lanes.iter().filter_map(|lane| Some((lane, lane.next.as_ref()?)));
    for (lane, next) in waiting {
        let _ = writeln!(text, "first that waits on {}[{}]: {next}", lane.topic, lane.partition);
    }
    for finding in findings {
        let _ = writeln!(text, "\n! {finding}");
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
        "outbox {}, {}: {} lanes, {} records compared, {} doubled, {} not published yet\n",
        report.schema,
        report.source,
        report.lanes.len(),
        report.records,
        report.doubled,
        report.pending
    );
    let findings: Vec<&Finding> = report.findings().collect();
    if findings.is_empty() {
        text.push_str("Nothing is lost, reordered, phantom or changed.\n");
        return text;
    }
    let rows = findings.iter().map(|finding| {
        vec![
            finding.kind.word().to_owned(),
            finding.topic.clone(),
            finding.partition.to_string(),
            finding.messages.to_string(),
            runs(finding),
        ]
    });
    text.push('\n');
    text.push_str(&table(&["finding", "topic", "partition", "messages", "sequences"], &rows.collect::<Vec<_>>()));
    let mut told = Vec::new();
    for finding in findings {
        if !told.contains(&finding.kind) {
            told.push(finding.kind);
            let _ = writeln!(text, "\n! {}: {}", finding.kind.word(), finding.advice);
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
    let rows = report.lanes.iter().map(|lane| {
        let what = lane.refused.clone().unwrap_or_else(|| "in order, by the relay that leads".to_owned());
        vec![
            lane.topic.clone(),
            lane.partition.to_string(),
            lane.after.to_string(),
            lane.to.to_string(),
            lane.messages.to_string(),
            what,
        ]
    });
    text.push_str(&table(&["topic", "partition", "after", "up to", "messages", ""], &rows.collect::<Vec<_>>()));
    text
}

/// `outbox-relay rebase`.
pub(crate) fn rebase(report: &RebaseReport) -> String {
    let mut text = String::from(if report.dry_run { "A rebase would begin\n" } else { "New epochs\n" });
    let rows = report.lanes.iter().map(|lane| {
        vec![
            lane.topic.clone(),
            lane.partition.to_string(),
            format!("{} -> {}", lane.from_epoch, lane.to_epoch),
            lane.last_equal.to_string(),
            or_dash(lane.first),
            lane.appended_again.to_string(),
            if lane.differs { "yes" } else { "no" }.to_owned(),
        ]
    });
    let headers = ["topic", "partition", "epoch", "last equal", "first", "appended again", "differs from the topic"];
    text.push_str(&table(&headers, &rows.collect::<Vec<_>>()));
    text
}

/// `outbox-relay doctor`.
pub(crate) fn doctor(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for check in &diagnosis.checks {
        let word = match check.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        let _ = writeln!(text, "{word:<8} {}: {}", check.name, check.found);
        if let Some(advice) = &check.advice {
            let _ = writeln!(text, "         -> {advice}");
        }
    }
    let count = |level| diagnosis.checks.iter().filter(|check| check.level == level).count();
    let _ = writeln!(text, "\n{} problems, {} warnings", count(Level::Problem), count(Level::Warning));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "-".to_owned()]];
        assert_eq!(table(&["x", "lag"], &rows), "x       lag\na         1\nlonger    -\n");
    }

    #[test]
    fn sizes_and_ages_are_told_in_a_unit_that_says_enough() {
        assert_eq!([age(70), age(70_000), age(700_000)].join(" "), "70 ms 70 s 11 min");
        assert_eq!([bytes(70), bytes(70_000), bytes(70_000_000)].join(" "), "70 B 68 KiB 66 MiB");
    }
}
