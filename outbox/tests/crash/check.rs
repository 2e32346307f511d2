//! The check after a cycle: journals, table, topics and consumer against each other.
//!
//! Pure. Nothing here knows what was done to the system, except when an older copy of the database was put back and what
//! that copy could not hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use outbox::{Position, inbox};

use crate::body::{Body, Name};
use crate::book::{Book, End, Entry};
use crate::consumer::value_of;
use crate::log::{Partition, Record};
use crate::settings::SOURCE;
use crate::table::{At, Lane, Table, Taken};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A committed event is missing, in the topic or with the consumer.
    Lost,
    /// Events of a key are in another order than their transactions were committed.
    Reordered,
    /// An event of a transaction that was not committed, or that nobody wrote.
    Phantom,
    /// More duplicates than the fault explains.
    Doubled,
    /// Something else that must not happen.
    Broken,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) wrong: Wrong,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.wrong {
            Wrong::Lost => "lost",
            Wrong::Reordered => "reordered",
            Wrong::Phantom => "phantom",
            Wrong::Doubled => "doubled",
            Wrong::Broken => "broken",
        };
        write!(f, "{word}: {}", self.what)
    }
}

/// The time between the copying of the database and its being put back: what was committed in it may be gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forgotten {
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// Epoch, sequence, body.
type Event<'e> = (i64, i64, &'e str);

/// Everything that is compared.
pub(crate) struct Evidence<'e> {
    pub(crate) book: &'e Book,
    pub(crate) forgotten: &'e [Forgotten],
    pub(crate) table: &'e Table,
    pub(crate) logs: &'e BTreeMap<At, Partition>,
    pub(crate) taken: &'e Taken,
}

impl Evidence<'_> {
    /// All findings, none if everything is as it should be.
    pub(crate) fn check(&self) -> Vec<Violation> {
        let mut found: Vec<Violation> =
            self.book.broken.iter().map(|what| wrong(Wrong::Broken, what.clone())).collect();
        let expected: BTreeMap<&At, Vec<Event<'_>>> =
            self.table.lanes.iter().map(|(at, lane)| (at, self.expected(at, lane))).collect();
        self.check_transactions(&expected, &mut found);
        for (at, lane) in &self.table.lanes {
            let (Some(log), Some(expected)) = (self.logs.get(at), expected.get(at)) else { continue };
            let place = format!("{}-{}", at.0, at.1);
            self.check_log(&place, lane, log, expected, &mut found);
            let rows = self.taken.rows.get(at).map_or(&[][..], Vec::as_slice);
            check_chain(&place, rows, &mut found);
            compare(&format!("consumer of {place}"), expected, &self.consumed(at, lane), &mut found);
        }
        self.check_phantoms(&mut found);
        self.check_fold(&mut found);
        found
    }

    /// What the consumer took of a lane and what no epoch has voided.
    fn consumed(&self, at: &At, lane: &Lane) -> Vec<Event<'_>> {
        let rows = self.taken.rows.get(at).map_or(&[][..], Vec::as_slice);
        let counting = rows.iter().filter(|(epoch, _, sequence, _)| lane.epochs.of(*sequence) == Some(*epoch));
        counting.map(|(epoch, _, sequence, body)| (*epoch, *sequence, body.as_str())).collect()
    }

    /// What the table holds; and of what it may not hold any more, what the consumer took. That nothing of it is missing
    /// is then for the journals to say.
    fn expected<'e>(&'e self, at: &At, lane: &'e Lane) -> Vec<Event<'e>> {
        let there: BTreeSet<i64> = lane.rows.iter().map(|row| row.sequence).collect();
        let gone = self.consumed(at, lane).into_iter();
        let gone = gone.filter(|(_, sequence, _)| *sequence <= lane.pruned && !there.contains(sequence));
        let held = lane.rows.iter().map(|row| (row.epoch, row.sequence, row.body.as_str()));
        let mut expected: Vec<Event<'_>> = gone.chain(held).collect();
        expected.sort_unstable_by_key(|(_, sequence, _)| *sequence);
        expected
    }

    /// A topic partition holds what is expected, in this order, with the table's ids.
    fn check_log(&self, place: &str, lane: &Lane, log: &Partition, expected: &[Event<'_>], found: &mut Vec<Violation>) {
        let fold = log.fold();
        let counts = |record: &&&Record| lane.epochs.of(record.position.sequence) == Some(record.position.epoch);
        let records: Vec<&Record> = fold.taken.iter().filter(counts).copied().collect();
        let published: Vec<Event<'_>> = records
            .iter()
            .map(|record| (record.position.epoch, record.position.sequence, record.body.as_str()))
            .collect();
        // A log that replaced another one holds what the table still held then.
        let start = published.first().map_or(i64::MAX, |(_, sequence, _)| *sequence);
        let may_lack = |sequence: i64| log.made_anew && sequence < start && sequence <= lane.pruned;
        let wanted: Vec<Event<'_>> = expected.iter().filter(|(_, sequence, _)| !may_lack(*sequence)).copied().collect();
        compare(&format!("topic {place}"), &wanted, &published, found);
        let ids: HashMap<i64, _> = records.iter().map(|record| (record.position.sequence, record.id)).collect();
        if let Some(row) = lane.rows.iter().find(|row| ids.get(&row.sequence).is_some_and(|id| *id != row.id)) {
            found.push(wrong(Wrong::Broken, format!("topic {place}: {} has another id than in the table", row.body)));
        }
        if !log.made_anew
            && let Some(first) = fold.gaps.first()
        {
            let what = format!(
                "topic {place}: {} records came with something missing before them, first {} at offset {}",
                fold.gaps.len(),
                first.position,
                first.offset
            );
            found.push(wrong(Wrong::Reordered, what));
        }
        self.check_order(place, &published, found);
    }

    /// Every transaction is in the table with all of its events or with none, as its writer knows.
    fn check_transactions(&self, expected: &BTreeMap<&At, Vec<Event<'_>>>, found: &mut Vec<Violation>) {
        let mut stored: HashMap<Name, BTreeSet<Body>> = HashMap::new();
        for (_, _, text) in expected.values().flatten() {
            match text.parse::<Body>() {
                Ok(body) => {
                    if !stored.entry(body.transaction.clone()).or_default().insert(body) {
                        found.push(wrong(Wrong::Doubled, format!("{text} is there twice")));
                    }
                }
                Err(error) => found.push(wrong(Wrong::Phantom, error)),
            }
        }
        for (name, entry) in &self.book.entries {
            let events = stored.remove(name).unwrap_or_default();
            let will: BTreeSet<Body> = entry.will.iter().cloned().collect();
            let own = self.table.own.contains(&name.to_string());
            let whole = events == will && own;
            let nothing = events.is_empty() && !own;
            let may_be_forgotten = self.forgotten.iter().any(|window| entry.touches(*window));
            let (right, expected) = match entry.end {
                End::Committed if may_be_forgotten => (whole || nothing, "committed or forgotten by a restore"),
                End::Committed => (whole, "committed"),
                End::Undone => (nothing, "not committed"),
                End::Unknown => (whole || nothing, "of unknown outcome"),
            };
            if !right {
                let kind = if entry.end == End::Undone { Wrong::Phantom } else { Wrong::Lost };
                let what = format!(
                    "transaction {name}, {expected}: {} of its {} events are there, its own row is {}",
                    events.len(),
                    will.len(),
                    if own { "too" } else { "not" }
                );
                found.push(wrong(kind, what));
            }
        }
        for name in stored.keys() {
            found.push(wrong(Wrong::Phantom, format!("there are events of {name}, which no journal knows")));
        }
    }

    /// Nothing in any log that was rolled back, void or not, taken or not.
    fn check_phantoms(&self, found: &mut Vec<Violation>) {
        for (at, log) in self.logs {
            for Record { body, .. } in &log.records {
                let entry = body.parse::<Body>().ok().and_then(|parsed| {
                    let entry = self.book.entries.get(&parsed.transaction)?;
                    Some((entry.will.contains(&parsed), entry.end))
                });
                if !matches!(entry, Some((true, End::Committed | End::Unknown))) {
                    found.push(wrong(
                        Wrong::Phantom,
                        format!("topic {}-{} holds {body}, which was not committed", at.0, at.1),
                    ));
                }
            }
        }
    }

    /// Per key: a writer's counters rise, and no event stands before one whose transaction had ended before its own began.
    fn check_order(&self, place: &str, published: &[Event<'_>], found: &mut Vec<Violation>) {
        let mut counters: HashMap<(String, String), u64> = HashMap::new();
        let mut latest_begin: HashMap<String, (i64, String)> = HashMap::new();
        for (_, _, text) in published {
            let Ok(body) = text.parse::<Body>() else { continue };
            let Some(entry) = self.book.entries.get(&body.transaction) else { continue };
            let of_writer = (body.transaction.writer.clone(), body.key.clone());
            if counters.insert(of_writer, body.counter).is_some_and(|before| before >= body.counter) {
                found.push(wrong(Wrong::Reordered, format!("topic {place}: {body} after a later one of its writer")));
            }
            if let (Some(ended), Some((began, other))) = (entry.ended, latest_begin.get(&body.key))
                && entry.end == End::Committed
                && ended < *began
            {
                found.push(wrong(Wrong::Reordered, format!("topic {place}: {body} after {other}, which began later")));
            }
            let latest = latest_begin.entry(body.key.clone()).or_insert((0, String::new()));
            if entry.began > latest.0 {
                *latest = (entry.began, (*text).to_owned());
            }
        }
    }

    /// The consumer's own table is the fold of what it took.
    fn check_fold(&self, found: &mut Vec<Violation>) {
        let mut folded: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for (_, _, _, body) in self.taken.rows.values().flatten() {
            let Ok(parsed) = body.parse::<Body>() else { continue };
            let value = value_of(body);
            let of_key = folded.entry(parsed.key).or_insert((0, 0));
            let chain = if of_key.0 == 0 { value } else { (of_key.1 * 1_000_003 + value) % 2_147_483_647 };
            *of_key = (of_key.0 + 1, chain);
        }
        for (key, expected) in &folded {
            let held = self.taken.folded.get(key);
            if held != Some(expected) {
                let what = format!("the consumer folded {held:?} for key {key}; what it took gives {expected:?}");
                found.push(wrong(Wrong::Broken, what));
            }
        }
    }
}

impl Entry {
    /// Whether it may have been committed in this time.
    fn touches(&self, window: Forgotten) -> bool {
        self.began < window.until && self.ended.is_none_or(|ended| ended > window.from)
    }
}

/// What was taken is each time what is next.
fn check_chain(place: &str, rows: &[(i64, i64, i64, String)], found: &mut Vec<Violation>) {
    let mut cursor: Option<Cursor> = None;
    for (epoch, first, sequence, body) in rows {
        let position = Position { source: SOURCE.to_owned(), epoch: *epoch, first: *first, sequence: *sequence };
        let delivery = judge(cursor, &position, LogStart::AtZero);
        if delivery != inbox::Delivery::Next {
            let kind = match delivery {
                Delivery::Duplicate | Delivery::Stale => Wrong::Doubled,
                Delivery::Next | Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => Wrong::Lost,
            };
            found.push(wrong(kind, format!("the consumer of {place} took {body} at {position} after {cursor:?}")));
        }
        cursor = Some(Cursor::from(&position));
    }
}

/// Says what is missing, what is too much, and whether the rest is in order.
fn compare(what: &str, expected: &[Event<'_>], got: &[Event<'_>], found: &mut Vec<Violation>) {
    if expected == got {
        return;
    }
    let there: BTreeSet<_> = got.iter().collect();
    let wanted: BTreeSet<_> = expected.iter().collect();
    let missing: Vec<_> = expected.iter().filter(|one| !there.contains(one)).collect();
    let extra: Vec<_> = got.iter().filter(|one| !wanted.contains(one)).collect();
    if let Some(first) = missing.first() {
        let text = format!("{what}: {} of {} events are missing, first {first:?}", missing.len(), expected.len());
        found.push(wrong(Wrong::Lost, text));
    }
    if let Some(first) = extra.first() {
        let text = format!("{what}: {} events that the table does not hold, first {first:?}", extra.len());
        found.push(wrong(Wrong::Phantom, text));
    }
    if missing.is_empty() && extra.is_empty() {
        found.push(wrong(Wrong::Reordered, format!("{what}: not in the order of the table")));
    }
}

fn wrong(wrong: Wrong, what: String) -> Violation {
    Violation { wrong, what }
}
