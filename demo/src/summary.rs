//! The end of a run: a summary for people, one JSON object for programs, and whether all is well.

use std::collections::BTreeMap;
use std::time::Duration;

use grammar::grouped;
use serde_json::{Value, json};

use crate::after_sale::AfterSale;
use crate::run::{Findings, Outcome};
use crate::tally::{Counts, Once};
use crate::verdict::Verdict;

/// Violations that people see; programs see all.
const VIOLATIONS_SHOWN: usize = 20;

/// Everything that is said at the end.
pub(crate) struct Summary {
    counts: Counts,
    cancel_reasons: BTreeMap<String, u64>,
    rejection_codes: BTreeMap<String, u64>,
    refused_repetitions: u64,
    refused_lines: u64,
    unknown_fields: Vec<(String, u64)>,
    undelivered: u64,
    dead_lettered: u64,
    working: Duration,
    orders_per_second: u64,
    total: Duration,
    confirm_p50: Option<Duration>,
    confirm_p99: Option<Duration>,
    first_confirmed: Option<Duration>,
    first_compensated: Option<Duration>,
    paced: bool,
    sample_order: Option<String>,
    shipped: u64,
    by_http: Once,
    after_sale: AfterSale,
    is_good: bool,
    findings: Findings,
}

impl Summary {
    /// Of a run that took `total` from start to end; `paced` when orders were not published at full speed.
    pub(crate) fn new(outcome: Outcome, total: Duration, paced: bool) -> Self {
        let Outcome { settled, by_http, after_sale, findings } = outcome;
        let (working, orders_per_second) = (settled.working(), settled.orders_per_second());
        let is_complete = settled.is_complete() && by_http.is_so() && after_sale.is_complete();
        let (is_good, tally) = (is_complete && findings.are_good(), settled.tally);
        Self {
            counts: tally.counts(),
            confirm_p50: tally.latency(0.5),
            confirm_p99: tally.latency(0.99),
            first_confirmed: tally.first_confirmed(),
            first_compensated: tally.first_compensated(),
            shipped: tally.shipped(),
            by_http,
            after_sale,
            sample_order: tally.last_compensated().map(ToString::to_string),
            cancel_reasons: tally.cancel_reasons().clone(),
            rejection_codes: tally.rejection_codes(),
            refused_repetitions: tally.refused_repetitions(),
            refused_lines: settled.published.refused,
            unknown_fields: settled.published.unknown_fields,
            undelivered: settled.deliveries.failed,
            dead_lettered: findings.verdict.dead_lettered,
            working,
            orders_per_second,
            total,
            paced,
            is_good,
            findings,
        }
    }

    /// Every order is settled for good and nothing is violated.
    pub(crate) fn is_good(&self) -> bool {
        self.is_good
    }

    /// The id of an order whose history is worth a look.
    pub(crate) fn sample_order(&self) -> Option<&str> {
        self.sample_order.as_deref()
    }

    /// One object for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "orders": self.counts.orders,
            "completed": self.counts.completed,
            "cancelled": self.counts.cancelled,
            "rejected": self.counts.rejected,
            "stuck": self.counts.stuck,
            "shipped": self.shipped,
            "by_http": { "orders": self.by_http.orders, "placed_once": self.by_http.placed, "rejected": self.by_http.rejected },
            "refunds": self.after_sale.refunds,
            "refunded": self.after_sale.refunded,
            "returns": self.after_sale.returns,
            "returned": self.after_sale.returned,
            "refunded_minor": self.after_sale.refunded_minor,
            "in_flight": self.counts.in_flight,
            "placed": self.counts.placed,
            "cancel_reasons": self.cancel_reasons,
            "rejection_codes": self.rejection_codes,
            "refused_repetitions": self.refused_repetitions,
            "refused_lines": self.refused_lines,
            "undelivered": self.undelivered,
            "dead_lettered": self.dead_lettered,
            "violations": self.findings.verdict.violations,
            "checked": self.findings.verdict.checked,
            "orders_per_second": self.orders_per_second,
            "confirm_latency_ms": { "p50": self.confirm_p50.map(millis), "p99": self.confirm_p99.map(millis) },
            "first_confirmed_s": self.first_confirmed.map(seconds),
            "first_compensated_s": self.first_compensated.map(seconds),
            "working_s": seconds(self.working),
            "total_s": seconds(self.total),
            "loyalty": self.findings.guest.as_ref().map(|told| json!({ "lines": told.lines, "is_good": told.is_good })),
        })
    }

    /// A page for people.
    pub(crate) fn text(&self) -> String {
        let mut page = format!(
            "\n{} orders in {}: {} orders per second\n\n",
            grouped(self.counts.orders),
            duration_text(self.working),
            grouped(self.orders_per_second)
        );
        self.standings(&mut page);
        self.life(&mut page);
        self.times(&mut page);
        self.oddities(&mut page);
        page.push_str(&findings_text(&self.findings));
        page
    }

    fn standings(&self, page: &mut String) {
        let counts = &self.counts;
        let rows = [
            ("completed", counts.completed, String::new()),
            ("cancelled", counts.cancelled, reasons_text(&self.cancel_reasons)),
            ("rejected", counts.rejected, reasons_text(&self.rejection_codes)),
            ("stuck", counts.stuck, String::new()),
            ("in flight", counts.in_flight, String::new()),
        ];
        for (name, count, why) in rows {
            let share = share_text(count, counts.orders);
            page.push_str(format!("  {name:<10} {:>9}  {share:>7}  {why}", grouped(count)).trim_end());
            page.push('\n');
        }
    }

    /// What people did: order over HTTP, ship and cancel on the way, refund and send back afterwards.
    fn life(&self, page: &mut String) {
        let AfterSale { refunds, refunded, returns, returned, .. } = self.after_sale;
        let cancelled = self.cancel_reasons.get("Requested").copied().unwrap_or(0);
        let rows = [
            ("by HTTP", self.by_http.orders, once_text(self.by_http)),
            ("shipped", self.shipped, "by the warehouse, on command".to_owned()),
            ("called off", cancelled, "before they were shipped: money back, pieces free".to_owned()),
            ("refunded", refunded, format!("of {}", grouped(refunds))),
            ("sent back", returned, format!("of {}: restocked and refunded", grouped(returns))),
        ];
        page.push('\n');
        for (name, count, why) in rows {
            page.push_str(&format!("  {name:<10} {:>9}           {why}\n", grouped(count)));
        }
    }

    fn times(&self, page: &mut String) {
        let shown = |time: Option<Duration>| time.map_or_else(|| "none".to_owned(), duration_text);
        page.push_str(&format!("\n  start → first confirmed order    {}\n", shown(self.first_confirmed)));
        page.push_str(&format!("  start → first compensated order  {}\n", shown(self.first_compensated)));
        let note = if self.paced { "" } else { "  (all at once, so they queue; try --rate 100)" };
        let (p50, p99) = (shown(self.confirm_p50), shown(self.confirm_p99));
        page.push_str(&format!("  place → confirmed                p50 {p50}, p99 {p99}{note}\n\n"));
    }

    fn oddities(&self, page: &mut String) {
        if self.refused_lines > 0 {
            page.push_str(&format!("  {} lines could not be encoded and were not sent\n", grouped(self.refused_lines)));
        }
        if self.refused_repetitions > 0 {
            let count = grouped(self.refused_repetitions);
            page.push_str(&format!("  {count} further commands were refused for ids that are orders\n"));
        }
        for (name, count) in &self.unknown_fields {
            page.push_str(&format!("  the field {name} ({} times) has no place in an order\n", grouped(*count)));
        }
        if self.undelivered > 0 {
            page.push_str(&format!("  {} messages were not confirmed by Kafka\n", grouped(self.undelivered)));
        }
        if self.dead_lettered > 0 {
            page.push_str(&format!("  {} messages are in dead letter topics\n", grouped(self.dead_lettered)));
        }
    }
}

/// What the checker and a guest have found.
pub(crate) fn findings_text(findings: &Findings) -> String {
    let Findings { verdict: Verdict { violations, checked, .. }, guest } = findings;
    let mut page = if violations.is_empty() {
        format!("  checker: no violation ({checked})\n")
    } else {
        format!("  checker: {} VIOLATIONS ({checked})\n", violations.len())
    };
    for violation in violations.iter().take(VIOLATIONS_SHOWN) {
        page.push_str(&format!("    - {violation}\n"));
    }
    let more = violations.len().saturating_sub(VIOLATIONS_SHOWN);
    if more > 0 {
        page.push_str(&format!("    and {more} more (all of them with --json)\n"));
    }
    for line in guest.iter().flat_map(|told| &told.lines) {
        page.push_str(&format!("  loyalty: {line}\n"));
    }
    page
}

/// Seconds with three decimals.
pub(crate) fn seconds(time: Duration) -> f64 {
    thousandths(time.as_millis())
}

/// Milliseconds with three decimals.
pub(crate) fn millis(time: Duration) -> f64 {
    thousandths(time.as_micros())
}

/// By way of the text, which gives the nearest number and so the same digits when it is printed.
fn thousandths(number: u128) -> f64 {
    format!("{}.{:03}", number / 1000, number % 1000).parse().unwrap_or(f64::MAX)
}

/// A time as people read it.
pub(crate) fn duration_text(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

fn once_text(by_http: Once) -> String {
    let Once { orders, placed, rejected } = by_http;
    let refused = if rejected > 0 { format!(", {} refused", grouped(rejected)) } else { String::new() };
    let wrong = orders.saturating_sub(placed).saturating_sub(rejected);
    let wrong = if wrong > 0 { format!(", {} NOT OR MORE THAN ONCE", grouped(wrong)) } else { String::new() };
    format!("through the API: {} placed, each once{refused}{wrong}", grouped(placed))
}

fn share_text(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let permille = (part * 1000 + whole / 2) / whole;
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Reasons with their counts, the most frequent first.
pub(crate) fn reasons_text(reasons: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<(&String, &u64)> = reasons.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted.into_iter().map(|(why, count)| format!("{why} {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_digits() {
        assert_eq!(json!(millis(Duration::from_micros(5_734))).to_string(), "5.734");
        assert_eq!(json!(seconds(Duration::from_micros(6_213_999))).to_string(), "6.213");
        assert_eq!(json!(seconds(Duration::from_millis(1_586))).to_string(), "1.586");
        assert_eq!(duration_text(Duration::from_micros(5_734)), "5.73 ms");
        assert_eq!(duration_text(Duration::from_millis(127)), "127 ms");
        assert_eq!(duration_text(Duration::from_millis(12_345)), "12.34 s");
    }

    #[test]
    fn shares_are_rounded() {
        assert_eq!(share_text(1, 3), "33.3 %");
        assert_eq!(share_text(2, 3), "66.7 %");
        assert_eq!(share_text(0, 0), "");
    }
}
