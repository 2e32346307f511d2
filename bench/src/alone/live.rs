//! R3 and R5: eight writers with twenty events per transaction, as fast as they go, the relay live in its own process.
//!
//! R5 holds a transaction open that has written and keeps its snapshot, from before the first event to after the last:
//! what outboxes that update or delete rows, or wait for the oldest transaction, suffer from.

use std::time::Duration;

use super::bed::{Bed, Work};
use super::drain::{milliseconds, per_second};
use super::writer::{Load, Writers};
use crate::error::{Doing, Result};
use crate::figures::Figures;
use crate::measure::{Meter, connect};

/// What else is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing.
    Nothing,
    /// A transaction.
    Transaction,
}

/// Runs it.
pub(crate) async fn run(work: &Work<'_>, held: Held, length: Duration) -> Result<Figures> {
    let load = if held == Held::Nothing { "live" } else { "held" };
    let bed = Bed::new(work, load).await?;
    let open = if held == Held::Transaction { Some(hold(&bed.url).await?) } else { None };
    let reader = bed.read(0)?;
    let relay = bed.relay()?;
    relay.leads()?;
    let announcer = bed.announce();

    let meter = Meter::start(bed.targets(Some(&relay))?, &bed.meter).await?;
    let writers = Writers::start(bed.sinks(8).await?, Load { batch: 20, per_second: None, noted: None })?;
    let began = reader.now();
    tokio::time::sleep(length).await;
    // Before the writers stop, so that both rates are those of the same time.
    let (inserted, relayed, window) = (writers.numbers.committed(), reader.count(), reader.now() - began);
    let all = writers.stop().await?;
    let stopped = reader.now();
    bed.arrived(&reader, all).await?;
    let catch_up = reader.last().saturating_sub(stopped);
    let usage = meter.finish(&bed.meter).await?;
    announcer.stop().await?;
    relay.stop()?;
    reader.finish()?;
    if let Some(open) = open {
        open.batch_execute("rollback").await.doing("ending the open transaction")?;
    }
    let verdict = bed.verify(all).await?;
    bed.end().await?;

    let mut figures = Figures::default();
    figures.add(load, "inserted", per_second(inserted, window), "/s");
    figures.add(load, "relayed", per_second(relayed, window), "/s");
    figures.add(load, "catch-up", milliseconds(catch_up), "ms");
    figures.add_costs(load, &usage, all);
    figures.add(load, "duplicates", verdict.duplicates as f64, "");
    Ok(figures)
}

/// A session with a transaction that has an id of its own and a snapshot that is kept.
async fn hold(url: &str) -> Result<tokio_postgres::Client> {
    let client = connect(url).await?;
    let script = "begin isolation level repeatable read; select pg_current_xact_id(); select count(*) from pg_class";
    client.batch_execute(script).await.doing("opening a transaction")?;
    Ok(client)
}
