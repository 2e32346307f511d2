//! `payment.events.v1` folded: payments and the ledger.

use domain::charge::{Payment, Posting, evolve};
use domain::decision::Inconsistent;
use schemas::{OrderId, PaymentEvent};

use super::aggregates::Aggregates;
use super::watch::Watch;
use crate::rows::{PaymentRow, PostingRow};

/// Payments as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct Payments<W = ()> {
    pub(crate) aggregates: Aggregates<OrderId, Payment>,
    postings: Vec<Posting>,
    pub(crate) watch: W,
}

impl<W: Watch<PaymentEvent>> Payments<W> {
    /// The next event of its payment.
    pub(crate) fn apply(&mut self, event: &PaymentEvent, told: W::Told) -> Result<(), Inconsistent> {
        let (id, version) = (event.key(), event.version());
        let (watch, postings) = (&mut self.watch, &mut self.postings);
        self.aggregates.step(id, |payment| {
            watch.comes(id.as_str(), version, told);
            let evolved = evolve(payment, event)?;
            postings.extend(evolved.postings);
            Ok(evolved.payment)
        })
    }
}

impl<W> Payments<W> {
    /// Their rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = PaymentRow> {
        self.aggregates.values().map(PaymentRow::of)
    }

    /// The ledger's rows, but for payments whose events contradict each other.
    pub(crate) fn ledger(&self) -> impl Iterator<Item = PostingRow> {
        self.postings.iter().filter(move |posting| self.aggregates.get(&posting.order_id).is_some()).map(PostingRow::of)
    }
}
