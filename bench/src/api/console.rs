//! The console: each page's first byte and its bytes over the wire, while orders come at a rate and the read model has a million of
//! them; and what open consoles cost whoever places orders.
//!
//! The read model's rows are made in the database, because a million orders through the pipeline would be the benchmark of something
//! else. They are spread over a day, as the pages' counts look back so far. A visit is a connection of its own, raw, so that all of
//! an answer counts: its headers, and whatever it is compressed with. Deliberately absent: what a browser makes of a page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use super::caller::{Kind, SEEDED};
use super::load::{Rate, at_rate};
use super::site::Site;
use crate::error::{BenchError, Doing, Result};
use crate::figures::Figures;
use crate::goals::{Goal, at_most};
use crate::measure::Latencies;
use crate::pipeline::order_id;

/// The pages, by what the report calls them, and where they are. `{order}` is an order that went all the way.
const PAGES: [(&str, &str); 12] = [
    ("overview", "/console"),
    ("orders", "/console/orders"),
    ("orders of a state", "/console/orders?state=ready_to_ship"),
    ("orders of a customer", "/console/orders?find=filled-7"),
    ("orders with a SKU", "/console/orders?sku=sku-7"),
    ("an order", "/console/orders/{order}"),
    ("stuck", "/console/stuck"),
    ("dead letters", "/console/dead-letters"),
    ("stock", "/console/stock"),
    ("further stock", "/console/stock?behind=sku-300"),
    ("a SKU", "/console/stock/sku-7"),
    ("business", "/console/business"),
];

/// Orders a second, beside which pages are visited, and on how many connections.
const RATE: Rate = Rate { per_second: 200, connections: 16 };

/// Between two visits: pages are opened by people.
const PACE: Duration = Duration::from_millis(25);

/// How long a page may take.
const LIMIT: Duration = Duration::from_secs(30);

const FIRST_BYTE: &str = "first byte, p99";
const OVER_THE_WIRE: &str = "over the wire, at most";

/// Rows of so many orders, spread over the last day: `{orders}`, of topics of `{partitions}`.
const FILL: [&str; 7] = [
    "insert into view.orders (order_id, partition, version, stage, awaiting, detail, cancel_reason, customer_id, placed_at, currency, \
        total_minor, content, confirm_by, accepted_at, changed_at) \
     select 'filled-' || n, n % {partitions}, 5, stage, case stage when 'stuck' then 'PaymentVoid' end, \
        case stage when 'stuck' then 'refused by the issuer' end, case when stage in ('stuck', 'cancelled') then 'OutOfStock' end, \
        'customer-' || n % 50000, at, case when n % 10 = 0 then 'JPY' else 'EUR' end, 1000 + n % 5000, \
        decode (repeat ('00', 32), 'hex'), at, at, at \
     from generate_series (1, {orders}) as n, \
        lateral (select now () - ({orders} - n)::float8 / {orders} * interval '24 h' as at, \
            case when n % 5000 = 2 then 'stuck' when n % 1000 = 1 then 'ready_to_ship' when n % 20 = 0 then 'cancelled' else 'completed' end \
                as stage) as t",
    "insert into view.order_contents (order_id, skus, quantities, unit_prices_minor) \
     select 'filled-' || n, array['sku-' || n % 5000, 'ware-' || n % 300], array[1, 2], array[500, 250] from generate_series (1, {orders}) as n",
    "insert into view.order_skus (sku, accepted_at, order_id) select sku, accepted_at, order_id from view.orders \
        join view.order_contents using (order_id), lateral unnest (skus) as sku where order_id like 'filled-%'",
    "insert into view.payments (order_id, version, status, customer_id, currency, amount_minor, authorization_version, authorization_at, \
        capture_version, capture_at, refunded_minor) \
     select order_id, 2, 'captured', customer_id, currency, total_minor, 1, accepted_at, 2, accepted_at, \
        case when random () < 0.02 then 100 else 0 end from view.orders where order_id like 'filled-%' and stage <> 'cancelled'",
    "insert into view.heard (topic, key, log_offset, log_partition, version, name, at, cause, body) \
     select 'order.events.v1', order_id, 5, partition, 5, 'OrderCompleted', accepted_at, null, '{}' from view.orders \
        where order_id like 'filled-%'",
    "insert into view.stock (sku, version, received, reserved, shipped, returned, written_off) \
     select 'sku-' || n, 200, 2000, n % 7, 10, 0, 0 from generate_series (0, 4999) as n",
    "insert into view.heard (topic, key, log_offset, log_partition, version, name, at, cause, body) \
     select 'stock.events.v1', sku, v, 0, v, 'StockReceived', now () - (200 - v) * interval '1 h', null, '{\"quantity\":10}' \
     from view.stock, generate_series (1, 200) as v where sku = 'sku-7'",
];

/// Index-only scans ask what has changed lately.
const SETTLE: [&str; 6] = ["orders", "order_contents", "order_skus", "payments", "heard", "stock"];

/// What one page's visits came to.
struct Visits {
    first_byte: Latencies,
    bytes: usize,
}

/// Fills the read model, and visits every page while orders come.
pub(crate) async fn run(site: &Site<'_>, filled: u64, length: Duration) -> Result<Figures> {
    fill(&site.client, filled, site.partitions).await?;
    let pages = pages(site).await?;
    let (work, is_over) = (site.work(Kind::Place, "console".to_owned()), Arc::<AtomicBool>::default());
    let visiting = visit_until(site.door_address, pages, Arc::clone(&is_over));
    let placing = async {
        let answered = at_rate(&work, RATE, site.window(length)?).await;
        is_over.store(true, Ordering::Release);
        answered
    };
    let (answered, visited) = tokio::try_join!(placing, visiting)?;
    site.settle_after(Kind::Place, &answered).await?;
    tell(visited)
}

async fn fill(client: &Client, filled: u64, partitions: u32) -> Result<()> {
    for sql in FILL {
        let sql = sql.replace("{orders}", &filled.to_string()).replace("{partitions}", &partitions.to_string());
        client.batch_execute(&sql).await.doing("filling the read model")?;
    }
    for table in SETTLE {
        client.batch_execute(&format!("vacuum analyze view.{table}")).await.doing("settling the read model")?;
    }
    client.batch_execute("checkpoint").await.doing("settling the database")
}

/// Those that there are, with their paths.
async fn pages(site: &Site<'_>) -> Result<Vec<(&'static str, String)>> {
    let order = order_id(SEEDED, 0)?;
    let mut pages = Vec::new();
    for (name, path) in PAGES {
        let path = path.replace("{order}", order.as_str());
        match visit(site.door_address, &path).await?.status.as_str() {
            "200" => pages.push((name, path)),
            "404" => super::announce(&format!("there is no page {path}; it is left out")),
            status => return Err(BenchError::other(format!("{path} answers {status}"))),
        }
    }
    Ok(pages)
}

async fn visit_until(
    address: SocketAddr,
    pages: Vec<(&'static str, String)>,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<(&'static str, Visits)>> {
    let mut visits = Vec::new();
    for (name, path) in pages {
        visits.push((name, path, Visits { first_byte: Latencies::new()?, bytes: 0 }));
    }
    let mut pace = tokio::time::interval(PACE);
    'all: loop {
        for (_, path, visits) in &mut visits {
            if is_over.load(Ordering::Acquire) {
                break 'all;
            }
            pace.tick().await;
            let visited = visit(address, path).await?;
            if visited.status != "200" {
                return Err(BenchError::other(format!("{path} answers {}", visited.status)));
            }
            visits.first_byte.record_us(u64::try_from(visited.first_byte.as_micros()).unwrap_or(u64::MAX));
            visits.bytes = visits.bytes.max(visited.bytes);
        }
    }
    Ok(visits.into_iter().map(|(name, _, visits)| (name, visits)).collect())
}

/// What came of one visit.
struct Visited {
    status: String,
    first_byte: Duration,
    bytes: usize,
}

/// Asks for a page as a browser would, and reads it to its end.
async fn visit(address: SocketAddr, path: &str) -> Result<Visited> {
    let visiting = async {
        let mut stream = TcpStream::connect(address).await.doing("connecting to the console")?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/html\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.doing("asking for a page")?;
        let mut answer = vec![0; 4_096];
        let first = stream.read(&mut answer).await.doing("reading a page")?;
        let first_byte = begun.elapsed();
        answer.truncate(first);
        stream.read_to_end(&mut answer).await.doing("reading a page")?;
        let status = answer.get(9..12).map(|digits| String::from_utf8_lossy(digits).into_owned()).unwrap_or_default();
        Ok(Visited { status, first_byte, bytes: answer.len() })
    };
    tokio::time::timeout(LIMIT, visiting).await.map_err(|_| BenchError::other(format!("no {path} within {LIMIT:?}")))?
}

#[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
fn tell(visited: Vec<(&'static str, Visits)>) -> Result<Figures> {
    let mut figures = Figures::default();
    for (name, visits) in visited {
        let found = visits.first_byte.quantiles();
        let found = found.ok_or_else(|| BenchError::other(format!("{name} was not visited: give more --seconds")))?;
        figures.add(name, "first byte, p50", found.p50, "ms");
        figures.add(name, FIRST_BYTE, found.p99, "ms");
        figures.add(name, OVER_THE_WIRE, visits.bytes as f64 / 1_024.0, "KiB");
    }
    Ok(figures)
}

/// How the pages did.
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let goals =
        PAGES.iter().flat_map(|(name, _)| [(*name, FIRST_BYTE, "ms", 50.0), (*name, OVER_THE_WIRE, "KiB", 100.0)]);
    goals
        .filter_map(|(name, what, unit, goal)| {
            figures.get(name, what).map(|found| at_most(format!("{name}: {what}"), unit, goal, found))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_judged_by_its_first_byte_and_its_size() {
        let mut figures = Figures::default();
        assert!(judge(&figures).is_empty());
        figures.add("business", FIRST_BYTE, 51.0, "ms");
        figures.add("business", OVER_THE_WIRE, 100.0, "KiB");
        let met: Vec<(String, bool)> = judge(&figures).into_iter().map(|goal| (goal.what, goal.met)).collect();
        let wanted = [("business: first byte, p99", false), ("business: over the wire, at most", true)];
        assert_eq!(met, wanted.map(|(what, met)| (what.to_owned(), met)));
    }
}
