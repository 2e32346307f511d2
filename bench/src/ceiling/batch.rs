//! What one transaction of the ceiling writes, as arrays for `unnest`.
//!
//! Computed before the transaction begins, so that everything goes to Postgres in one round trip.

use std::collections::BTreeMap;

use super::filler::{Filler, HEADER_BYTES, PAYLOAD_BYTES};
use super::step::{Link, Topic};
use super::table::{PARTITIONS, SKUS};
use super::wire::{Arrival, partition_of};

/// Pieces of every line.
const PIECES: i64 = 2;

/// One outbox row.
pub(crate) struct OutboxRow {
    /// Its topic.
    pub(crate) topic: Topic,
    /// Its lane.
    pub(crate) lane: i32,
    /// Its order.
    pub(crate) order: i64,
    /// The place of its lane among the batch's lanes, from 1.
    pub(crate) place: i32,
    /// The how-manieth row of its lane in this batch, from 1.
    pub(crate) nth: i64,
    /// Its payload.
    pub(crate) payload: [u8; PAYLOAD_BYTES],
}

/// The outbox part of a transaction.
pub(crate) struct Append<'f> {
    /// The lanes touched, ascending.
    pub(crate) lanes: Vec<i32>,
    /// The rows, in order.
    pub(crate) rows: Vec<OutboxRow>,
    /// Per row.
    pub(crate) headers: Vec<&'f [u8; HEADER_BYTES]>,
}

impl<'f> Append<'f> {
    /// The rows that a step appends for these orders.
    pub(crate) fn of(step: &Link, orders: &[Arrival], filler: &'f Filler) -> Self {
        let targets = || orders.iter().flat_map(|arrival| step.out.iter().map(move |out| (arrival.order, out)));
        let mut lanes: BTreeMap<i32, (i32, i64)> =
            targets().map(|(order, (topic, _))| (lane_of(*topic, order), (0, 0))).collect();
        for (place, entry) in (1..).zip(lanes.values_mut()) {
            entry.0 = place;
        }
        let rows: Vec<OutboxRow> = targets()
            .map(|(order, (topic, next))| {
                let lane = lane_of(*topic, order);
                let entry = lanes.entry(lane).or_default();
                entry.1 += 1;
                let payload = filler.payload(*next, order);
                OutboxRow { topic: *topic, lane, order, place: entry.0, nth: entry.1, payload }
            })
            .collect();
        let headers = rows.iter().map(|row| filler.headers(row.order)).collect();
        Append { lanes: lanes.into_keys().collect(), rows, headers }
    }
}

fn lane_of(topic: Topic, order: i64) -> i32 {
    i32::try_from(topic.index()).unwrap_or(0) * PARTITIONS + partition_of(order)
}

/// The highest offset of each partition in a batch, plus one: partitions ascending, offsets.
pub(crate) fn positions(orders: &[Arrival]) -> (Vec<i32>, Vec<i64>) {
    let mut next = BTreeMap::new();
    for (partition, offset) in orders.iter().filter_map(|arrival| arrival.read_at) {
        let entry = next.entry(partition).or_insert(0);
        *entry = (offset + 1).max(*entry);
    }
    next.into_iter().unzip()
}

/// Order lines as columns: order ids, line numbers, SKUs, quantities, prices.
#[derive(Default)]
pub(crate) struct Lines {
    /// Per line, its order.
    pub(crate) orders: Vec<i64>,
    /// Per line, its number.
    pub(crate) numbers: Vec<i16>,
    /// Per line, its SKU.
    pub(crate) skus: Vec<i32>,
    /// Per line, its pieces.
    pub(crate) quantities: Vec<i64>,
    /// Per line, the price of a piece.
    pub(crate) prices: Vec<i64>,
}

/// The lines of these orders, `per_order` each.
pub(crate) fn lines(orders: &[Arrival], per_order: u32) -> Lines {
    let mut lines = Lines::default();
    for arrival in orders {
        for (number, sku) in (1..).zip(skus_of(arrival.order, per_order)) {
            lines.orders.push(arrival.order);
            lines.numbers.push(number);
            lines.skus.push(sku);
            lines.quantities.push(PIECES);
            lines.prices.push(100 + i64::from(sku) % 900);
        }
    }
    lines
}

/// How many pieces of which SKUs these orders want: SKUs ascending, each once.
pub(crate) fn wanted(orders: &[Arrival], per_order: u32) -> (Vec<i32>, Vec<i64>) {
    let mut wanted = BTreeMap::new();
    for sku in orders.iter().flat_map(|arrival| skus_of(arrival.order, per_order)) {
        *wanted.entry(sku).or_insert(0) += PIECES;
    }
    wanted.into_iter().unzip()
}

/// All pieces of so many orders.
pub(crate) fn pieces(orders: u64, per_order: u32) -> u64 {
    orders * u64::from(per_order) * PIECES.unsigned_abs()
}

/// An order's SKUs: spread evenly, the same whenever they are asked for.
fn skus_of(order: i64, per_order: u32) -> impl Iterator<Item = i32> {
    (0..u64::from(per_order)).map(move |line| {
        let mut x = (order.unsigned_abs() << 8 | line).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 32;
        x = x.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        i32::try_from((x >> 33) % SKUS).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::step::STEPS;
    use super::*;

    fn orders(count: i64) -> Vec<Arrival> {
        (0..count).map(|order| Arrival { order, read_at: Some((partition_of(order), order)) }).collect()
    }

    #[test]
    fn rows_name_their_lane_and_count_within_it() {
        let filler = Filler::new();
        let append = Append::of(&STEPS[0], &orders(200), &filler);
        assert_eq!((append.rows.len(), append.lanes.len()), (400, 24));
        assert!(append.lanes.is_sorted());
        for (index, lane) in (1..).zip(&append.lanes) {
            let nths: Vec<i64> = append.rows.iter().filter(|row| row.place == index).map(|row| row.nth).collect();
            assert_eq!(nths, (1..=i64::try_from(nths.len()).unwrap()).collect::<Vec<_>>(), "lane {lane}");
        }
    }

    #[test]
    fn lines_and_stock_agree() {
        let (skus, quantities) = wanted(&orders(200), 5);
        assert_eq!(quantities.iter().sum::<i64>().unsigned_abs(), pieces(200, 5));
        assert!(skus.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(skus.len() > 900, "spread: {}", skus.len());
        assert_eq!(lines(&orders(200), 5).skus.len(), 1000);
    }

    #[test]
    fn positions_follow_the_last_message() {
        let at = |partition, offset| Arrival { order: 1, read_at: Some((partition, offset)) };
        let handed_on = Arrival { order: 1, read_at: None };
        assert_eq!(positions(&[at(3, 7), at(1, 9), at(3, 6), handed_on]), (vec![1, 3], vec![10, 8]));
    }
}
