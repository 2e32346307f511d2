//! What a check would gather of the pipeline in memory.

use outbox::inbox::{Cursor, Delivery, LogStart, judge};
use schemas::{Codec, PerService, TopicName};

use super::shelf::{PARTITIONS, partition_of};
use super::world::World;
use crate::check::evidence::{Evidence, Expectations, Outbox};
use crate::check::findings::{Invariant, Violation};
use crate::check::scan::{Scan, ScanPlan, Topics};
use crate::log::Channel;
use crate::rows::{
    ContentsRow, OrderRow, PaymentRow, PostingRow, ProductRow, ReceiptRow, ReservationRow, Rows, StockRow, Table,
    TableRow,
};
use crate::snapshot::{Cuts, LaneCut, Tables};

impl World {
    /// Everything, as it is now.
    pub(super) fn gather(&self) -> Evidence {
        let mut cuts = Cuts::default();
        let mut outboxes: PerService<Outbox> = PerService::default();
        for (index, (place, rows)) in (0..).zip(&self.shelf.outboxes) {
            let (channel, partition) = *place;
            let service = channel.writer().unwrap();
            let head = i64::try_from(rows.len()).unwrap();
            let place = (channel.name(), partition);
            let outbox = &mut outboxes[service];
            outbox.rows.insert(index, (1..).zip(rows).map(|(sequence, row)| row.print(sequence)).collect());
            outbox.heads_now.insert(place.clone(), head);
            let lane = LaneCut { number: index, head, ..LaneCut::default() };
            cuts[service].outbox.lanes.insert(place, lane);
        }
        self.cut_inboxes(&mut cuts);
        let topics = Topics::of(self.scans(&cuts));
        Evidence {
            prefix: String::new(),
            place: "topic",
            partitions: PARTITIONS,
            tables: Tables { rows: self.rows(), ..Tables::default() },
            cuts,
            outboxes,
            topics,
            unreadable: Vec::new(),
            statement: Some(self.statement.clone()),
            waiting: Vec::new(),
            expectations: Expectations { quiescent: true, nothing_stuck: true },
            now: self.now(),
        }
    }

    fn cut_inboxes(&self, cuts: &mut Cuts) {
        for ((topic, partition), taken) in &self.read {
            let (Some(reader), name) = (topic.read_by(), topic.as_str().to_owned()) else { continue };
            let inbox = &mut cuts[reader].inbox;
            inbox.resume.insert((name.clone(), *partition), i64::try_from(*taken).unwrap());
            let Some(writer) = topic.written_by() else { continue };
            let records = self.shelf.topics.get(&(Channel::Messages(*topic), *partition));
            let mut cursor: Option<Cursor> = None;
            for record in records.into_iter().flatten().take(*taken) {
                if let Some(position) = record.at(*partition, 0).position(writer)
                    && judge(cursor, &position, LogStart::AtZero) == Delivery::Next
                {
                    cursor = Some(Cursor::from(&position));
                }
            }
            inbox.cursors.extend(cursor.map(|cursor| ((name, *partition, writer.source().to_owned()), cursor)));
        }
    }

    fn scans(&self, cuts: &Cuts) -> Vec<Scan> {
        let scan = |channel: Channel| {
            let plan = |partition| {
                let place = (channel.name(), partition);
                let lanes = channel.writer().map(|writer| &cuts[writer].outbox.lanes);
                let cut = lanes.and_then(|lanes| lanes.get(&place)).cloned().unwrap_or_default();
                let reader = channel.reader();
                let resume = reader.map_or(0, |reader| cuts[reader].inbox.resume(&place.0, partition));
                ScanPlan { cut, resume, ..ScanPlan::default() }
            };
            let plans = (0..PARTITIONS).map(plan).collect();
            let mut scan = Scan::new(channel, &channel.name(), plans, Codec::embedded());
            for partition in 0..PARTITIONS {
                let records = self.shelf.topics.get(&(channel, partition));
                for (offset, record) in (0..).zip(records.into_iter().flatten()) {
                    scan.take(&record.at(partition, offset));
                }
            }
            scan
        };
        Channel::all().map(scan).collect()
    }

    /// What the services' tables hold.
    fn rows(&self) -> Rows {
        Rows {
            orders: keyed(self.orders.values().map(|order| OrderRow::of(order, PARTITIONS))),
            contents: keyed(self.orders.values().map(ContentsRow::of)),
            reservations: keyed(self.reservations.values().map(ReservationRow::of)),
            stock: keyed(self.levels.iter().map(|(sku, level)| StockRow::of(sku, *level))),
            receipts: keyed(self.receipts.values().map(ReceiptRow::of)),
            products: keyed(self.products.values().map(ProductRow::of)),
            payments: keyed(self.payments.values().map(PaymentRow::of)),
            ledger: keyed(self.postings.iter().map(PostingRow::of)),
        }
    }

    /// Where the records with this key stand in a topic: partition and offset.
    pub(super) fn find(&self, topic: TopicName, key: &str, ce_type: &str) -> (i32, usize) {
        let partition = partition_of(key);
        let records = &self.shelf.topics[&(Channel::Messages(topic), partition)];
        let is_it = |record: &super::shelf::OwnedRecord| {
            record.key.as_deref() == Some(key.as_bytes()) && record.at(0, 0).text("ce_type") == Some(ce_type)
        };
        (partition, records.iter().position(is_it).unwrap_or_else(|| panic!("no {ce_type} of {key} on {topic}")))
    }
}

fn keyed<R: TableRow>(rows: impl Iterator<Item = R>) -> Table<R> {
    rows.map(|row| (row.key(), row)).collect()
}

/// What the check finds.
pub(super) fn found(evidence: Evidence) -> Vec<Violation> {
    evidence.judge().findings.into_list().0
}

/// The check finds this invariant violated, in these words.
#[track_caller]
pub(super) fn assert_found(evidence: Evidence, invariant: Invariant, words: &str) {
    let found = found(evidence);
    let is_it = |violation: &Violation| violation.invariant == invariant && violation.to_string().contains(words);
    assert!(found.iter().any(is_it), "no {invariant} violation says {words:?}; found: {found:#?}");
}
