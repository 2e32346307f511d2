//! One service's messages in one topic partition up to the cut, as they were delivered: a print of each that counts.
//!
//! What is taken is every committed sequence once, whatever the relay repeated. A sequence that comes before its
//! predecessor is taken all the same, and told, unless it was repeated after all of them: a consumer that takes nothing but
//! the next message then has them all in order. (A relay that publishes into a topic made anew may have had one in flight.)

use outbox::Position;

use crate::check::findings::{Findings, Invariant};
use crate::log::{Lane, Print, Sequencing};
use crate::snapshot::LaneCut;

/// What a record is judged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Taken for the first time.
    Taken,
    /// Taken before.
    Duplicate,
    /// Of an epoch that a restored database has ended, after the last message that counts.
    Void,
    /// Committed after the cut.
    AfterCut,
}

/// What was delivered.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// `topic[partition]`, for words.
    name: String,
    cut: LaneCut,
    lane: Lane,
    /// Those taken, ascending.
    taken: Vec<Print>,
    /// The highest sequence seen.
    highest: i64,
    /// Those that came before others, each with the one that was due.
    early: Vec<(i64, i64)>,
}

impl Delivered {
    pub(crate) fn new(name: String, cut: LaneCut) -> Self {
        let lane = Lane::new(cut.epochs.clone());
        Delivered { name, cut, lane, taken: Vec::new(), highest: 0, early: Vec::new() }
    }

    /// Whether everything up to the cut was seen, or passed over.
    pub(crate) fn is_at_cut(&self) -> bool {
        self.lane.next() > self.cut.head
    }

    /// Take the record at `position` with this print, if it counts.
    pub(crate) fn take(&mut self, position: &Position, print: Print, findings: &mut Findings) -> Judged {
        let sequence = position.sequence;
        self.highest = self.highest.max(sequence);
        if sequence > self.cut.head {
            return Judged::AfterCut;
        }
        match self.lane.step(position) {
            Sequencing::Void => Judged::Void,
            Sequencing::OtherEpoch => {
                let (epoch, first) = self.cut.epochs.of(sequence);
                let detail =
                    format!("a record says {position}, but sequence {sequence} is of epoch {epoch} from {first}");
                findings.add(Invariant::Delivery, self.name.as_str(), detail);
                Judged::Void
            }
            Sequencing::AfterGap(due, _) => {
                self.early.push((sequence, due));
                self.keep(print, findings)
            }
            Sequencing::Next | Sequencing::Duplicate => self.keep(print, findings),
        }
    }

    /// Keep the print of a message that counts, unless there is one of its sequence: then both must say the same.
    fn keep(&mut self, print: Print, findings: &mut Findings) -> Judged {
        if self.taken.last().is_none_or(|last| last.sequence < print.sequence) {
            self.taken.push(print);
            return Judged::Taken;
        }
        match self.taken.binary_search_by_key(&print.sequence, |had| had.sequence) {
            Ok(index) => {
                if let Some(what) = self.taken.get(index).and_then(|had| had.difference(&print)) {
                    let detail = format!("sequence {} was published twice with another {what}", print.sequence);
                    findings.add(Invariant::Delivery, self.name.as_str(), detail);
                }
                Judged::Duplicate
            }
            Err(index) => {
                self.taken.insert(index, print);
                Judged::Taken
            }
        }
    }

    /// Compare what was taken with the rows of the same lane, both ascending. `head_now` is the lane's head in the
    /// present: what was published must have been committed before. `place` says in words what records were taken from.
    pub(crate) fn compare(&self, rows: &[Print], head_now: i64, place: &str, findings: &mut Findings) {
        for (sequence, due) in self.early.iter().filter(|(sequence, _)| !self.lane.is_in_order(*sequence)) {
            let detail = format!("sequence {sequence} was published before {due}");
            findings.add(Invariant::Delivery, self.name.as_str(), detail);
        }
        self.compare_rows(rows, place, findings);
        if self.highest > head_now {
            let detail =
                format!("sequence {} was published and never committed; the last row is {head_now}", self.highest);
            findings.add(Invariant::Delivery, self.name.as_str(), detail);
        }
    }

    fn compare_rows(&self, rows: &[Print], place: &str, findings: &mut Findings) {
        let mut add = |detail: String| findings.add(Invariant::Delivery, self.name.as_str(), detail);
        let counts = |print: &&Print| !self.cut.epochs.is_void(print.sequence);
        let mut records = self.taken.iter().peekable();
        let mut lost = Ranges::default();
        let mut expected = self.cut.epochs.after(self.cut.pruned);
        for row in rows.iter().filter(counts).filter(|row| row.sequence <= self.cut.head) {
            // Rows that may be gone may also still be there: a restored table keeps them below a floor that was raised.
            if row.sequence > self.cut.pruned {
                if row.sequence != expected {
                    add(format!("the outbox has no row between {expected} and {}", row.sequence));
                }
                expected = self.cut.epochs.after(row.sequence);
            }
            while let Some(phantom) = records.next_if(|record| record.sequence < row.sequence) {
                if phantom.sequence > self.cut.pruned {
                    add(format!("sequence {} was published, but there is no such row", phantom.sequence));
                }
            }
            match records.next_if(|record| record.sequence == row.sequence) {
                None => lost.add(row.sequence),
                Some(record) => {
                    if let Some(what) = row.difference(record) {
                        add(format!("sequence {} was published with another {what} than committed", row.sequence));
                    }
                }
            }
        }
        for phantom in records.filter(|record| record.sequence > self.cut.pruned) {
            add(format!("sequence {} was published, but there is no such row", phantom.sequence));
        }
        if let Some(lost) = lost.told() {
            add(format!("committed, but not in the {place}: {lost}"));
        }
        let forgotten = self.cut.pruned.min(self.cut.head);
        let next = self.lane.next();
        if next <= forgotten {
            add(format!("the {place} ends before sequence {next}; rows up to {forgotten} were published and pruned"));
        }
    }
}

/// Numbers, told as ranges.
#[derive(Debug, Default)]
struct Ranges {
    count: u64,
    ranges: Vec<(i64, i64)>,
}

impl Ranges {
    fn add(&mut self, number: i64) {
        self.count += 1;
        match self.ranges.last_mut() {
            Some((_, last)) if *last == number - 1 => *last = number,
            Some(_) | None => self.ranges.push((number, number)),
        }
    }

    fn told(&self) -> Option<String> {
        const MOST: usize = 8;
        let range = |(first, last): &(i64, i64)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        };
        let told = self.ranges.iter().take(MOST).map(range).collect::<Vec<_>>().join(", ");
        let more = if self.ranges.len() > MOST { ", …" } else { "" };
        (self.count > 0).then(|| format!("{} messages, sequence {told}{more}", self.count))
    }
}

#[cfg(test)]
#[path = "delivered_tests.rs"]
mod tests;
