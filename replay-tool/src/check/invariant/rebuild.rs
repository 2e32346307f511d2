//! State folded from the topics is the tables, row for row.

use std::collections::HashSet;

use schemas::{OrderId, Sku, TopicName};

use crate::check::evidence::Evidence;
use crate::check::findings::{Findings, Invariant};
use crate::rows::{self, Difference, Rows, Table, TableRow, Unequal};

pub(crate) fn check(evidence: &Evidence, folded: &Rows, findings: &mut Findings) {
    let (tables, topics) = (&evidence.tables.rows, &evidence.topics);
    let orders: HashSet<&str> = topics.orders.aggregates.contradicted().map(OrderId::as_str).collect();
    let reservations: HashSet<&str> = topics.reservations.aggregates.contradicted().map(OrderId::as_str).collect();
    let skus: HashSet<&str> = topics.stock.contradicted.iter().map(Sku::as_str).collect();
    let payments: HashSet<&str> = topics.payments.aggregates.contradicted().map(OrderId::as_str).collect();
    if is_whole(evidence, &[TopicName::OrderEvents], findings) {
        compare(&tables.orders, &folded.orders, &orders, findings);
        compare(&tables.contents, &folded.contents, &orders, findings);
    }
    if is_whole(evidence, &[TopicName::InventoryEvents], findings) {
        compare(&tables.reservations, &folded.reservations, &reservations, findings);
    }
    if is_whole(evidence, &[TopicName::StockEvents], findings) {
        compare(&tables.receipts, &folded.receipts, &skus, findings);
        compare(&tables.products, &folded.products, &skus, findings);
    }
    let are_levels_whole = topics.is_whole(TopicName::StockEvents) && topics.is_whole(TopicName::InventoryEvents);
    if are_levels_whole && reservations.is_empty() {
        compare(&tables.stock, &folded.stock, &skus, findings);
    }
    if is_whole(evidence, &[TopicName::PaymentEvents], findings) {
        compare(&tables.payments, &folded.payments, &payments, findings);
        compare(&tables.ledger, &folded.ledger, &payments, findings);
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
fn compare<R: TableRow>(table: &Table<R>, folded: &Table<R>, told: &HashSet<&str>, findings: &mut Findings)
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
            Unequal::Here(_) => "in the table, but not in the topics".to_owned(),
            Unequal::There(_) => "in the topics, but not in the table".to_owned(),
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
