//! What became of every published order, counted from the events of the order service.
//!
//! Pure: fed with what was published and what was heard, it says where every id stands. An id counts once, however often
//! it is in the file. An id is rejected when each of its commands was and no order exists; until then it is in flight.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use schemas::{CancelReason, OrderCommandName, OrderEvent, OrderId};

use crate::error::DemoError;
use crate::track::{Stage, Standing, Track};

/// An hour; what takes longer counts as so much.
const HIGHEST_US: u64 = 3_600_000_000;

/// The counts at some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Distinct ids published; the sum of the standings.
    pub(crate) orders: u64,
    /// Orders that the order service accepted.
    pub(crate) placed: u64,
    /// See [`Standing`].
    pub(crate) completed: u64,
    /// See [`Standing`].
    pub(crate) cancelled: u64,
    /// See [`Standing`].
    pub(crate) rejected: u64,
    /// See [`Standing`].
    pub(crate) stuck: u64,
    /// See [`Standing`].
    pub(crate) in_flight: u64,
}

impl Counts {
    /// Ids that nothing more will happen to by itself.
    pub(crate) fn settled(&self) -> u64 {
        self.orders - self.in_flight
    }
}

/// How often orders were placed that went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Once {
    /// Distinct ids.
    pub(crate) orders: u64,
    /// Placed, each once.
    pub(crate) placed: u64,
    /// Refused: there is no order.
    pub(crate) rejected: u64,
}

impl Once {
    /// Whether each was placed once or refused.
    pub(crate) const fn is_so(&self) -> bool {
        self.placed + self.rejected == self.orders
    }
}

/// The counting.
#[derive(Debug)]
pub(crate) struct Tally {
    begin: Instant,
    tracks: HashMap<OrderId, Track>,
    standings: BTreeMap<Standing, u64>,
    placed: u64,
    confirmed: u64,
    heard: u64,
    /// Microseconds from sending to hearing of the confirmation.
    latencies_us: Histogram<u64>,
    /// Microseconds from sending to hearing of the end, whatever it was.
    endings_us: Histogram<u64>,
    /// Since the beginning.
    first_confirmed: Option<Duration>,
    last_confirmed: Option<Instant>,
    first_out_of_stock: Option<Instant>,
    /// Since the beginning: the first order of which a step had to be undone, and was.
    first_compensated: Option<Duration>,
    last_settled: Option<Instant>,
    last_compensated: Option<OrderId>,
    cancel_reasons: BTreeMap<String, u64>,
    rejections: u64,
    shipped: u64,
}

impl Tally {
    /// Counts from nothing; times are since `begin`.
    pub(crate) fn new(begin: Instant) -> Result<Self, DemoError> {
        let histogram = || Histogram::new_with_bounds(1, HIGHEST_US, 3).map_err(|e| DemoError::Words(e.to_string()));
        Ok(Self {
            begin,
            tracks: HashMap::new(),
            standings: BTreeMap::new(),
            placed: 0,
            confirmed: 0,
            heard: 0,
            latencies_us: histogram()?,
            endings_us: histogram()?,
            first_confirmed: None,
            last_confirmed: None,
            first_out_of_stock: None,
            first_compensated: None,
            last_settled: None,
            last_compensated: None,
            cancel_reasons: BTreeMap::new(),
            rejections: 0,
            shipped: 0,
        })
    }

    /// A `PlaceOrder` was sent.
    pub(crate) fn sent(&mut self, order_id: &OrderId, now: Instant) {
        self.change(order_id, now, |track| {
            track.published += 1;
            track.first_sent.get_or_insert(now);
        });
    }

    /// An event was read from the topic.
    pub(crate) fn heard(&mut self, event: &OrderEvent, now: Instant) {
        self.heard += 1;
        match event {
            OrderEvent::OrderPlaced(m) => {
                self.placed += 1;
                self.change(&m.order_id, now, |track| {
                    track.stage = Stage::Placed;
                    track.placed += 1;
                });
            }
            OrderEvent::OrderConfirmed(m) => self.confirm(&m.order_id, now),
            OrderEvent::OrderCompleted(m) => self.change(&m.order_id, now, |track| track.stage = Stage::Completed),
            OrderEvent::OrderCancelling(m) => self.change(&m.order_id, now, |track| track.undone = true),
            OrderEvent::OrderCancelled(m) => self.cancelled(&m.order_id, m.reason, now),
            OrderEvent::OrderStuck(m) => self.change(&m.order_id, now, |track| track.stage = Stage::Stuck),
            OrderEvent::OrderRejected(m) if m.command == OrderCommandName::PlaceOrder => {
                self.rejections += 1;
                self.change(&m.order_id, now, |track| {
                    track.rejections += 1;
                    track.rejection = m.reasons.first().map(|reason| reason.code);
                });
            }
            OrderEvent::OrderShipped(_) => self.shipped += 1,
            OrderEvent::OrderResolved(m) => {
                let stage = if m.outcome == "completed" { Stage::Completed } else { Stage::Cancelled };
                self.change(&m.order_id, now, |track| track.stage = stage);
            }
            OrderEvent::OrderRetried(m) => self.change(&m.order_id, now, |track| track.stage = Stage::Placed),
            // They are no steps of an order's way, or none that tells where it stands.
            OrderEvent::OrderRejected(_)
            | OrderEvent::OrderCommandRefused(_)
            | OrderEvent::OrderAskedAgain(_)
            | OrderEvent::OrderStockReserved(_)
            | OrderEvent::OrderActionRequired(_)
            | OrderEvent::OrderAuthorized(_)
            | OrderEvent::OrderPaymentCaptured(_)
            | OrderEvent::OrderHeld(_)
            | OrderEvent::OrderReleased(_)
            | OrderEvent::OrderStockCommitted(_)
            | OrderEvent::OrderRefundRequested(_)
            | OrderEvent::OrderRefunded(_)
            | OrderEvent::OrderRefundFailed(_)
            | OrderEvent::OrderReturnRequested(_)
            | OrderEvent::OrderReturnReceived(_)
            | OrderEvent::OrderReturnClosed(_) => {}
        }
    }

    /// The counts now.
    pub(crate) fn counts(&self) -> Counts {
        let of = |standing| self.standings.get(&standing).copied().unwrap_or(0);
        let mut counts = Counts {
            orders: 0,
            placed: self.placed,
            completed: of(Standing::Completed),
            cancelled: of(Standing::Cancelled),
            rejected: of(Standing::Rejected),
            stuck: of(Standing::Stuck),
            in_flight: of(Standing::InFlight),
        };
        counts.orders = counts.completed + counts.cancelled + counts.rejected + counts.stuck + counts.in_flight;
        counts
    }

    /// How often each of these was placed.
    pub(crate) fn once(&self, orders: &HashSet<OrderId>) -> Once {
        let tracks: Vec<&Track> = orders.iter().filter_map(|id| self.tracks.get(id)).collect();
        let count = |is: &dyn Fn(&Track) -> bool| tracks.iter().filter(|track| is(track)).count() as u64;
        Once {
            orders: orders.len() as u64,
            placed: count(&|track| track.placed == 1),
            rejected: count(&|track| track.standing() == Standing::Rejected),
        }
    }

    /// Orders that were shipped on command.
    pub(crate) fn shipped(&self) -> u64 {
        self.shipped
    }

    /// Orders that are completed, ascending.
    pub(crate) fn completed(&self) -> Vec<OrderId> {
        let completed = self.tracks.iter().filter(|(_, track)| track.standing() == Standing::Completed);
        let mut ids: Vec<OrderId> = completed.map(|(id, _)| id.clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Events heard: it changes while anything goes on.
    pub(crate) fn events_heard(&self) -> u64 {
        self.heard
    }

    /// From the beginning to the first confirmed order.
    pub(crate) fn first_confirmed(&self) -> Option<Duration> {
        self.first_confirmed
    }

    /// From the beginning to the first order of which a step had to be undone, and was.
    pub(crate) fn first_compensated(&self) -> Option<Duration> {
        self.first_compensated
    }

    /// An order that was compensated: its history is worth a look.
    pub(crate) fn last_compensated(&self) -> Option<&OrderId> {
        self.last_compensated.as_ref()
    }

    /// When the last id was settled.
    pub(crate) fn last_settled(&self) -> Option<Instant> {
        self.last_settled
    }

    /// Why orders were cancelled.
    pub(crate) fn cancel_reasons(&self) -> &BTreeMap<String, u64> {
        &self.cancel_reasons
    }

    /// Why rejected ids were, by the first reason.
    pub(crate) fn rejection_codes(&self) -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        for track in self.tracks.values().filter(|track| track.standing() == Standing::Rejected) {
            let code = track.rejection.map_or_else(|| "unspecified".to_owned(), |code| format!("{code:?}"));
            *codes.entry(code).or_default() += 1;
        }
        codes
    }

    /// `PlaceOrder` commands that were refused beside an order of the same id.
    pub(crate) fn refused_repetitions(&self) -> u64 {
        let rejected = self.tracks.values().filter(|track| track.standing() == Standing::Rejected);
        self.rejections - rejected.map(|track| u64::from(track.rejections)).sum::<u64>()
    }

    /// Orders that were confirmed, each once.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// When the last confirmation was heard.
    pub(crate) fn last_confirmed(&self) -> Option<Instant> {
        self.last_confirmed
    }

    /// When it was first heard that an order found too little.
    pub(crate) fn first_out_of_stock(&self) -> Option<Instant> {
        self.first_out_of_stock
    }

    /// The latency that this part of the confirmed orders did not exceed, to three digits.
    pub(crate) fn latency(&self, quantile: f64) -> Option<Duration> {
        at_quantile(&self.latencies_us, quantile)
    }

    /// The same for all orders that have ended, however they did.
    pub(crate) fn ending_latency(&self, quantile: f64) -> Option<Duration> {
        at_quantile(&self.endings_us, quantile)
    }

    fn confirm(&mut self, order_id: &OrderId, now: Instant) {
        let track = self.tracks.get(order_id);
        let (sent, is_new) = (track.and_then(|t| t.first_sent), !track.is_some_and(|t| t.is_confirmed));
        self.confirmed += u64::from(is_new);
        self.change(order_id, now, |track| track.is_confirmed = true);
        self.first_confirmed.get_or_insert_with(|| now.saturating_duration_since(self.begin));
        self.last_confirmed = Some(now);
        record(&mut self.latencies_us, sent, now);
    }

    fn cancelled(&mut self, order_id: &OrderId, reason: CancelReason, now: Instant) {
        *self.cancel_reasons.entry(format!("{reason:?}")).or_default() += 1;
        if reason == CancelReason::OutOfStock {
            self.first_out_of_stock.get_or_insert(now);
        }
        self.change(order_id, now, |track| track.stage = Stage::Cancelled);
        if self.tracks.get(order_id).is_some_and(|track| track.undone) {
            self.first_compensated.get_or_insert_with(|| now.saturating_duration_since(self.begin));
            self.last_compensated = Some(order_id.clone());
        }
    }

    fn change(&mut self, order_id: &OrderId, now: Instant, change: impl FnOnce(&mut Track)) {
        let track = self.tracks.entry(order_id.clone()).or_insert_with(|| {
            *self.standings.entry(Standing::Foreign).or_default() += 1;
            Track::default()
        });
        let before = track.standing();
        change(track);
        let (after, sent) = (track.standing(), track.first_sent);
        if before != after {
            if let Some(count) = self.standings.get_mut(&before) {
                *count -= 1;
            }
            *self.standings.entry(after).or_default() += 1;
            if !matches!(after, Standing::InFlight | Standing::Foreign) {
                self.last_settled = Some(now);
                record(&mut self.endings_us, sent, now);
            }
        }
    }
}

fn record(histogram: &mut Histogram<u64>, sent: Option<Instant>, now: Instant) {
    if let Some(sent) = sent {
        let us = now.saturating_duration_since(sent).as_micros();
        histogram.saturating_record(u64::try_from(us).unwrap_or(u64::MAX));
    }
}

fn at_quantile(histogram: &Histogram<u64>, quantile: f64) -> Option<Duration> {
    (!histogram.is_empty()).then(|| Duration::from_micros(histogram.value_at_quantile(quantile)))
}

#[cfg(test)]
mod tests;
