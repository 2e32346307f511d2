//! The end of a sale: a page for people, one JSON object for programs, and whether the pieces add up.

use std::time::Duration;

use grammar::grouped;
use serde_json::{Value, json};

use super::Sold;
use super::accounts::Accounts;
use crate::show::Ending;
use crate::summary::{duration_text, findings_text, millis, reasons_text, seconds};
use crate::wave::Settled;

impl Sold {
    /// Of a sale that took `total` from start to end.
    pub(crate) fn ending(&self, total: Duration) -> Ending {
        let accounts = self.accounts();
        let faults = accounts.faults();
        Ending {
            text: self.text(&accounts, &faults),
            json: self.json(&accounts, &faults, total),
            is_good: faults.is_empty() && self.findings.are_good(),
            sample_order: self.on_sale.tally.last_compensated().map(ToString::to_string),
        }
    }

    fn text(&self, accounts: &Accounts, faults: &[String]) -> String {
        let after = |time: Option<Duration>| {
            time.map_or_else(|| "never".to_owned(), |time| format!("{} after the first order", duration_text(time)))
        };
        let (sold_out, last) = (after(self.sold_out()), after(self.last_confirmed()));
        let note = if self.is_paced { "" } else { "  (all at once, so they queue; try --rate 100)" };
        let mut page = format!(
            "\n{} pieces of one SKU on sale: {}{}  sold out     {sold_out}\n  last piece   {last}\n{}{note}\n",
            grouped(u64::from(accounts.pieces)),
            headline(&self.on_sale),
            standings(&self.on_sale),
            latency(&self.on_sale),
        );
        if let Some(hot) = &self.hot {
            let (headline, standings, latency) = (headline(hot), standings(hot), latency(hot));
            page.push_str(&format!("\n{} hot SKUs: {headline}{standings}{latency}\n", self.goods.hot.len()));
        }
        page.push_str(&self.share_of_many());
        page.push('\n');
        if faults.is_empty() {
            accounts.proof().iter().for_each(|line| page.push_str(&format!("  {line}\n")));
        }
        faults.iter().for_each(|fault| page.push_str(&format!("  WRONG: {fault}\n")));
        page.push_str(&findings_text(&self.findings));
        page
    }

    /// The hot SKUs beside many.
    fn share_of_many(&self) -> String {
        let (Some(hot), Some(many)) = (&self.hot, &self.many) else { return String::new() };
        let per_second = many.orders_per_second();
        format!(
            "  {} % of what as many orders over {} SKUs reached: {} orders per second\n",
            (hot.orders_per_second() * 100).checked_div(per_second).unwrap_or(0),
            grouped(u64::try_from(self.goods.many.len()).unwrap_or(u64::MAX)),
            grouped(per_second)
        )
    }

    fn json(&self, accounts: &Accounts, faults: &[String], total: Duration) -> Value {
        let verdict = &self.findings.verdict;
        let (refusals, available) = (accounts.refusals, accounts.level.available());
        json!({
            "pieces": accounts.pieces,
            "confirmed": accounts.confirmed,
            "available": i64::try_from(available).unwrap_or(i64::MIN),
            "sold_out_s": self.sold_out().map(seconds),
            "last_confirmed_s": self.last_confirmed().map(seconds),
            "refusals": { "count": refusals.count, "lowest": refusals.lowest, "highest": refusals.highest },
            "sale": figures(&self.on_sale),
            "hot": self.hot.as_ref().map(figures),
            "other": self.many.as_ref().map(figures),
            "faults": faults,
            "dead_lettered": verdict.dead_lettered,
            "violations": verdict.violations,
            "checked": verdict.checked,
            "total_s": seconds(total),
            "loyalty": self.findings.guest.as_ref().map(|told| json!({ "lines": told.lines, "is_good": told.is_good })),
        })
    }
}

fn headline(settled: &Settled) -> String {
    let (orders, per_second) = (grouped(settled.tally.counts().orders), grouped(settled.orders_per_second()));
    format!("{orders} orders in {}: {per_second} orders per second\n\n", duration_text(settled.working()))
}

fn standings(settled: &Settled) -> String {
    let (tally, counts) = (&settled.tally, settled.tally.counts());
    let mut lines = format!("  confirmed    {}\n", grouped(tally.confirmed()));
    lines.push_str(
        format!("  cancelled    {}  {}", grouped(counts.cancelled), reasons_text(tally.cancel_reasons())).trim_end(),
    );
    lines.push('\n');
    for (name, count) in [("rejected", counts.rejected), ("stuck", counts.stuck), ("in flight", counts.in_flight)] {
        if count > 0 {
            lines.push_str(&format!("  {name:<12} {}\n", grouped(count)));
        }
    }
    lines
}

fn latency(settled: &Settled) -> String {
    let shown = |quantile| settled.tally.ending_latency(quantile).map_or_else(|| "none".to_owned(), duration_text);
    format!("  place → end  p50 {}, p99 {}", shown(0.5), shown(0.99))
}

fn figures(settled: &Settled) -> Value {
    let (tally, counts) = (&settled.tally, settled.tally.counts());
    json!({
        "orders": counts.orders,
        "confirmed": tally.confirmed(),
        "completed": counts.completed,
        "cancelled": counts.cancelled,
        "cancel_reasons": tally.cancel_reasons(),
        "rejected": counts.rejected,
        "stuck": counts.stuck,
        "in_flight": counts.in_flight,
        "undelivered": settled.deliveries.failed,
        "working_s": seconds(settled.working()),
        "orders_per_second": settled.orders_per_second(),
        "end_latency_ms": {
            "p50": tally.ending_latency(0.5).map(millis),
            "p99": tally.ending_latency(0.99).map(millis),
        },
    })
}
