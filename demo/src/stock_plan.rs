//! How much stock to receive, so that about 4 % of the orders find too little: computed from the orders, always the same.
//!
//! Every SKU gets what all orders together want of it, but some get less, and those are chosen so that it does not depend
//! on who comes first which orders fail: a SKU that only one order wants gets one piece less than that order wants, a SKU
//! that few want gets none. Only when all SKUs are wanted by many is the most wanted one merely cut.

use std::collections::{BTreeMap, HashMap, HashSet};

use schemas::{OrderId, PlaceOrder, Sku, currency};

/// Of a hundred orders, so many find too little.
const SHORT_PERCENT: usize = 4;

/// What the file's orders want.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    ids: HashSet<OrderId>,
    orders: Vec<Wanted>,
    skus: BTreeMap<Sku, SkuDemand>,
}

/// What one order wants.
#[derive(Debug)]
struct Wanted {
    skus: Vec<Sku>,
}

#[derive(Debug, Default)]
struct SkuDemand {
    pieces: i64,
    /// Indices of the orders that want it, ascending.
    orders: Vec<usize>,
}

/// What to receive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StockPlan {
    /// Pieces by SKU, above 0.
    pub(crate) receipts: Vec<(Sku, i64)>,
    /// Orders that will find too little: exactly, or about so many when `exact` is false.
    pub(crate) short_orders: usize,
    /// Whether it is certain which orders find too little.
    pub(crate) exact: bool,
}

impl Demand {
    /// Takes an order in. Orders that will be rejected, and repetitions of an id, want nothing.
    pub(crate) fn add(&mut self, order: &PlaceOrder) {
        if !is_acceptable(order) || !self.ids.insert(order.order_id.clone()) {
            return;
        }
        let index = self.orders.len();
        let mut pieces: BTreeMap<&Sku, i64> = BTreeMap::new();
        for line in &order.lines {
            let sum = pieces.entry(&line.sku).or_default();
            *sum = sum.saturating_add(line.quantity);
        }
        for (sku, wanted) in &pieces {
            let demand = self.skus.entry((*sku).clone()).or_default();
            demand.pieces = demand.pieces.saturating_add(*wanted);
            demand.orders.push(index);
        }
        self.orders.push(Wanted { skus: pieces.into_keys().cloned().collect() });
    }

    /// How many orders can be accepted.
    pub(crate) fn acceptable(&self) -> usize {
        self.orders.len()
    }

    /// The plan.
    pub(crate) fn plan(&self) -> StockPlan {
        let target = (self.orders.len() * SHORT_PERCENT + 50) / 100;
        let mut short: HashSet<usize> = HashSet::new();
        let mut supply: HashMap<&Sku, i64> = HashMap::new();
        self.shorten_only_wishes(target, &mut short, &mut supply);
        self.starve_rare_skus(target, &mut short, &mut supply);
        let exact = short.len() * 2 >= target;
        let mut short_orders = short.len();
        if !exact {
            short_orders = target;
            self.cut_most_wanted(&mut supply);
        }
        let amount = |(sku, demand): (&Sku, &SkuDemand)| (sku.clone(), *supply.get(sku).unwrap_or(&demand.pieces));
        let receipts = self.skus.iter().map(amount).filter(|(_, pieces)| *pieces > 0).collect();
        StockPlan { receipts, short_orders, exact }
    }

    /// Orders that want a SKU that nobody else wants, spread over the file, get one piece less of it.
    fn shorten_only_wishes<'a>(
        &'a self,
        target: usize,
        short: &mut HashSet<usize>,
        supply: &mut HashMap<&'a Sku, i64>,
    ) {
        let only_wish = |wanted: &'a Wanted| {
            wanted.skus.iter().find_map(|sku| self.skus.get(sku).filter(|d| d.orders.len() == 1).map(|d| (sku, d)))
        };
        let candidates: Vec<(usize, (&Sku, &SkuDemand))> =
            self.orders.iter().enumerate().filter_map(|(i, wanted)| Some((i, only_wish(wanted)?))).collect();
        for (index, (sku, demand)) in spread(&candidates, target) {
            supply.insert(sku, demand.pieces - 1);
            short.insert(*index);
        }
    }

    /// SKUs that few orders want get nothing, as long as not too many orders suffer.
    fn starve_rare_skus<'a>(&'a self, target: usize, short: &mut HashSet<usize>, supply: &mut HashMap<&'a Sku, i64>) {
        let mut rare: Vec<(&Sku, &SkuDemand)> = self.skus.iter().filter(|(sku, _)| !supply.contains_key(sku)).collect();
        rare.sort_by_key(|(_, demand)| demand.orders.len());
        for (sku, demand) in rare {
            let more = demand.orders.iter().filter(|index| !short.contains(index)).count();
            if short.len() + more > target {
                break;
            }
            supply.insert(sku, 0);
            short.extend(&demand.orders);
        }
    }

    /// The SKU that most orders want falls short by the share of orders that are to fail.
    fn cut_most_wanted<'a>(&'a self, supply: &mut HashMap<&'a Sku, i64>) {
        let most = self.skus.iter().max_by_key(|(_, demand)| demand.orders.len());
        if let Some((sku, demand)) = most {
            supply.insert(sku, demand.pieces / 100 * 96);
        }
    }
}

/// So many of the items, evenly spread; all of them when there are no more.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).filter_map(move |i| items.get(i * items.len() / count.max(1)))
}

/// Whether the order service will take the order. Only to plan stock: what it really does is seen in its events.
fn is_acceptable(order: &PlaceOrder) -> bool {
    !order.lines.is_empty()
        && order.lines.len() <= schemas::limits::MAX_LINES
        && order.lines.iter().all(|line| line.quantity > 0 && line.unit_price_minor >= 0)
        && currency::is_known(&order.currency)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{CustomerId, OrderLine, Time};

    fn order(id: usize, lines: &[(&str, i64)]) -> PlaceOrder {
        let line = |(sku, quantity): &(&str, i64)| OrderLine {
            sku: Sku::new(*sku).unwrap(),
            quantity: *quantity,
            unit_price_minor: 1,
        };
        let (order_id, customer_id) = (OrderId::new(id.to_string()).unwrap(), CustomerId::new("c").unwrap());
        PlaceOrder::new(order_id, customer_id, Time::from_micros(0), "USD", lines.iter().map(line).collect())
    }

    fn demand(orders: &[PlaceOrder]) -> Demand {
        let mut demand = Demand::default();
        orders.iter().for_each(|order| demand.add(order));
        demand
    }

    /// How many orders fail when they come in this order and every reservation stays.
    fn failing<'a>(plan: &StockPlan, orders: impl Iterator<Item = &'a PlaceOrder>) -> usize {
        let mut stock: HashMap<&Sku, i64> = plan.receipts.iter().map(|(sku, pieces)| (sku, *pieces)).collect();
        let mut failing = 0;
        for order in orders.filter(|order| is_acceptable(order)) {
            let mut wanted: HashMap<&Sku, i64> = HashMap::new();
            order.lines.iter().for_each(|line| *wanted.entry(&line.sku).or_default() += line.quantity);
            if wanted.iter().all(|(sku, pieces)| stock.get(sku).is_some_and(|there| there >= pieces)) {
                wanted.iter().for_each(|(sku, pieces)| *stock.entry(sku).or_default() -= pieces);
            } else {
                failing += 1;
            }
        }
        failing
    }

    #[test]
    fn with_rare_skus_exactly_four_percent_fail_whoever_comes_first() {
        let orders: Vec<PlaceOrder> = (0..500).map(|i| order(i, &[("common", 3), (&format!("rare-{i}"), 2)])).collect();
        let plan = demand(&orders).plan();
        assert_eq!((plan.short_orders, plan.exact), (20, true));
        assert_eq!(failing(&plan, orders.iter()), 20);
        assert_eq!(failing(&plan, orders.iter().rev()), 20);
        let common = plan.receipts.iter().find(|(sku, _)| sku.as_str() == "common").unwrap();
        assert_eq!(common.1, 1500);
        assert_eq!(demand(&orders).plan(), plan);
    }

    #[test]
    fn skus_of_few_orders_are_starved_where_none_is_wanted_by_one_alone() {
        let orders: Vec<PlaceOrder> =
            (0..100).map(|i| order(i, &[("common", 1), (&format!("pair-{}", i / 2), 1)])).collect();
        let plan = demand(&orders).plan();
        assert_eq!((plan.short_orders, plan.exact), (4, true));
        assert_eq!(failing(&plan, orders.iter()), 4);
        assert_eq!(failing(&plan, orders.iter().rev()), 4);
    }

    #[test]
    fn where_all_want_the_same_it_is_cut() {
        let orders: Vec<PlaceOrder> = (0..1000).map(|i| order(i, &[("only", 1)])).collect();
        let plan = demand(&orders).plan();
        assert_eq!((plan.short_orders, plan.exact), (40, false));
        assert_eq!(failing(&plan, orders.iter()), 40);
    }

    #[test]
    fn orders_that_will_be_rejected_and_repetitions_want_nothing() {
        let orders = [
            order(1, &[("a", 2), ("a", 1)]),
            order(1, &[("a", 5)]),
            order(2, &[]),
            order(3, &[("a", 0)]),
            order(4, &[("b", i64::MAX), ("b", 1)]),
        ];
        let demand = demand(&orders);
        assert_eq!(demand.acceptable(), 2);
        assert_eq!(demand.skus.values().map(|d| d.pieces).collect::<Vec<_>>(), [3, i64::MAX]);
        assert_eq!(Demand::default().plan(), StockPlan { exact: true, ..StockPlan::default() });
    }

    #[test]
    fn the_sample_orders_have_their_four_percent() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/orders-2017-01.jsonl.zst");
        let orders: Vec<PlaceOrder> =
            client::OrderFile::open(&path).unwrap().map(|entry| entry.unwrap().content.unwrap()).collect();
        let plan = demand(&orders).plan();
        assert_eq!((plan.short_orders, plan.exact), (488, true));
        assert_eq!(failing(&plan, orders.iter()), 488);
    }
}
