//! Orders that are waited for (`Prefer: wait`): what callers see, beside what the records' own times say of the same orders.
//!
//! From the command's time in the log to that of `OrderConfirmed`, both when their producer took them, in whole milliseconds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use schemas::{MessageType, TopicName};

use super::caller::Kind;
use super::load::{Rate, at_rate};
use super::site::Site;
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::measure::Latencies;
use crate::pipeline::{TopicReader, number_of};

/// So far apart that an order meets no other one.
const RATE: Rate = Rate { per_second: 10, connections: 16 };
const TAG: &str = "waited";
/// How long nothing may come of orders that are not confirmed.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How long one look at the topics may take.
const LOOK: Duration = Duration::from_millis(100);

/// Places so many, each waited for.
pub(crate) async fn run(site: &Site<'_>, orders: u64) -> Result<Figures> {
    let length = Duration::from_secs(orders / u64::from(RATE.per_second));
    let work = site.work(Kind::PlaceAndWait, TAG.to_owned());
    let answered = at_rate(&work, RATE, site.window(length)?).await?;
    site.settle_after(Kind::PlaceAndWait, &answered).await?;
    let confirmed = tokio::task::block_in_place(|| confirmed(site, answered.all, answered.all - answered.counted))?;
    let (asked, said) = answered.latencies.quantiles().zip(confirmed.quantiles()).ok_or_else(nothing)?;
    let mut figures = Figures::default();
    for (load, found) in [("wait, door", asked), ("wait, place to confirmed", said)] {
        for (what, value) in [("p50", found.p50), ("p99", found.p99)] {
            figures.add(load, what, value, "ms");
        }
    }
    Ok(figures)
}

fn nothing() -> BenchError {
    BenchError::other("no order was waited for")
}

/// From command to confirmation by the records' times, of the orders from this number on. Blocks.
fn confirmed(site: &Site<'_>, orders: u64, from: u64) -> Result<Latencies> {
    let topics = [TopicName::OrderCommands, TopicName::OrderEvents].map(|topic| site.pipeline.topic(topic));
    let reader = TopicReader::open(site.servers.brokers(), &topics, false)?;
    let (mut placed, mut confirmed, mut moved) = (HashMap::new(), HashMap::new(), Instant::now());
    while confirmed.len() < usize::try_from(orders).map_err(BenchError::other)? || placed.len() < confirmed.len() {
        let found = reader.next(LOOK, |seen| {
            let (Some(number), Some(kind), Some(time_ms)) = (number_of(TAG, seen.key), seen.kind, seen.time_ms) else {
                return;
            };
            if kind == MessageType::PlaceOrder {
                placed.insert(number, time_ms);
            } else if kind == MessageType::OrderConfirmed {
                confirmed.insert(number, time_ms);
            }
        })?;
        if found {
            moved = Instant::now();
        } else if moved.elapsed() > STANDSTILL {
            return Err(BenchError::other(format!("{} of {orders} orders were confirmed", confirmed.len())));
        }
    }
    let mut latencies = Latencies::new()?;
    for number in from..orders {
        if let (Some(placed), Some(confirmed)) = (placed.get(&number), confirmed.get(&number)) {
            latencies.record_us(u64::try_from(confirmed - placed).unwrap_or(0).saturating_mul(1_000));
        }
    }
    Ok(latencies)
}
