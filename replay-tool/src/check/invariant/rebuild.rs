//! State folded from the topics is the tables, row for row.

use std::collections::HashSet;

use schemas::TopicName;

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::rows::{self, Difference, Rows, Table, TableRow, Unequal};

pub(crate) fn check(evidence: &Evidence, folded: &Rows, findings: &mut Findings) {
    let (tables, topics) = (&evidence.tables.rows, &evidence.topics);
    if is_whole(evidence, &[TopicName::OrderEvents], findings) {
        compare(&tables.orders, &folded.orders, &topics.orders.contradicted, findings);
        compare(&tables.contents, &folded.contents, &topics.orders.contradicted, findings);
    }
    if is_whole(evidence, &[TopicName::InventoryEvents], findings) {
        compare(&tables.reservations, &folded.reservations, &topics.reservations.contradicted, findings);
    }
    if is_whole(evidence, &[TopicName::StockEvents], findings) {
        compare(&tables.receipts, &folded.receipts, &topics.stock.contradicted, findings);
    }
    let are_levels_whole = topics.is_whole(TopicName::StockEvents) && topics.is_whole(TopicName::InventoryEvents);
    if are_levels_whole && topics.reservations.contradicted.is_empty() {
        compare(&tables.stock, &folded.stock, &topics.stock.contradicted, findings);
    }
    if is_whole(evidence, &[TopicName::PaymentEvents], findings) {
        compare(&tables.payments, &folded.payments, &topics.payments.contradicted, findings);
        compare(&tables.ledger, &folded.ledger, &topics.payments.contradicted, findings);
    }
}

/// Whether the topics hold all that was committed to them; if not, comparing would only say so again and again.
fn is_whole(evidence: &Evidence, needed: &[TopicName], findings: &mut Findings) -> bool {
    let lacking: Vec<&str> =
        needed.iter().filter(|topic| !evidence.topics.is_whole(**topic)).map(|topic| topic.as_str()).collect();
    for topic in &lacking {
        findings.add(Invariant::Rebuild, *topic, "not compared with the tables: messages are missing at its end");
    }
    lacking.is_empty()
}

/// Both ways, but for aggregates whose events contradict each other: that is told already.
fn compare<R: TableRow>(table: &Table<R>, folded: &Table<R>, told: &HashSet<String>, findings: &mut Findings)
where
    R::Key: FirstPart,
{
    rows::compare(table, folded, |unequal| {
        let row = unequal.row();
        if told.contains(row.key().first_part()) {
            return;
        }
        let subject = row.subject();
        let detail = match unequal {
            Unequal::Here(_) => "in the table, but the topics do not tell of it".to_owned(),
            Unequal::There(_) => "the topics tell of it, but it is not in the table".to_owned(),
            Unequal::Column(_, Difference { column, here, there }) => {
                format!("{column} is {here}; folded from the topics it is {there}")
            }
        };
        findings.add(Invariant::Rebuild, subject, detail);
    });
}

/// The aggregate's id in a row's key.
trait FirstPart {
    fn first_part(&self) -> &str;
}

impl FirstPart for (String,) {
    fn first_part(&self) -> &str {
        &self.0
    }
}

impl FirstPart for (String, String) {
    fn first_part(&self) -> &str {
        &self.0
    }
}

impl FirstPart for (String, i64, String) {
    fn first_part(&self) -> &str {
        &self.0
    }
}
