//! The part `growth`: what an order costs with more workers, more partitions, and more orders in the tables.
//!
//! All loads have one rate, so that what differs is what grew. Tables are filled with what the services themselves left of some
//! orders, many times over; the workers are away meanwhile. Autovacuum is off: it comes when it likes, and asks for as many pages
//! as thousands of orders. Of workers and partitions there is a table and no goal: on one machine they share the same cores.

mod fill;

use clap::Args;
use tokio_postgres::Client;

use crate::error::{Doing, Result};
use crate::goals::{Goal, at_most, quotient};
use crate::measure::connect;
use crate::pipeline::{Arrivals, Orders, Wave, Workers};
use crate::plan::{Plan, announce};
use crate::run::Run;
use crate::servers::Servers;
use fill::{PATTERNS, Pattern};

/// Names, instances of each worker, and partitions of each topic; the first one is both one instance and six partitions.
const SHAPES: [(&str, u32, u32); 5] = [
    ("one-of-each", 1, 6),
    ("instances-2", 2, 6),
    ("instances-4", 4, 6),
    ("partitions-1", 1, 1),
    ("partitions-24", 1, 24),
];
/// Partitions where tables grow: the default of `topics create`.
const PARTITIONS: u32 = 6;
/// In front of how many orders there are.
const FILLED: &str = "orders-";
/// What an order may cost more when there are ten times as many.
const MOST_GROWTH: f64 = 1.10;
/// Levels that an index may have more then.
const MOST_LEVELS: f64 = 1.0;

/// What grows, and how far.
#[derive(Debug, Clone, Args)]
pub(crate) struct Growth {
    /// Of the part `growth`: orders a second
    #[arg(long, value_name = "N", default_value_t = 450, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    growth_rate: u32,
    /// Orders in the tables, in thousands, from few to many; ten millions (10000) want 40 GB of disk
    #[arg(long, value_name = "THOUSANDS", value_delimiter = ',', default_values_t = [10, 100, 1_000])]
    growth_thousands: Vec<u64>,
}

impl Growth {
    /// Runs all of it: of each load the medians.
    pub(crate) async fn run(&self, plan: &Plan, workers: &Workers, servers: &Servers) -> Result<Vec<Run>> {
        let mut shapes: Vec<Vec<Run>> = SHAPES.map(|_| Vec::new()).to_vec();
        for round in 0..plan.rounds {
            for (number, (runs, shape)) in shapes.iter_mut().zip(SHAPES).enumerate() {
                let (name, instances, partitions) = shape;
                let workers = Workers { instances, ..workers.clone() };
                let shaped = Plan { partitions, ..plan.clone() };
                let pipeline =
                    shaped.start(&workers, servers, &format!("growth{round}_{number}"), five_lines()).await?;
                runs.push(plan.load(&pipeline, name, self.pace()).await?);
                pipeline.stop().await?;
            }
        }
        let mut medians: Vec<Run> = shapes.iter().filter_map(|runs| Run::median_of(runs)).collect();
        medians.extend(self.filled(plan, workers, servers).await?);
        Ok(medians)
    }

    /// One pipeline, whose tables get fuller and fuller.
    async fn filled(&self, plan: &Plan, workers: &Workers, servers: &Servers) -> Result<Vec<Run>> {
        let plan = Plan { partitions: PARTITIONS, ..plan.clone() };
        let mut pipeline = plan.start(workers, servers, "filled", five_lines()).await?;
        let client = connect(pipeline.database_url()).await?;
        set_autovacuum(&client, "off").await?;
        pipeline.wave(&patterns(plan.in_flight)).await?;
        let pattern = Pattern::of(&client, PARTITIONS).await?;
        let mut medians = Vec::new();
        for thousands in &self.growth_thousands {
            let orders = thousands * 1_000;
            announce(&format!("filling the tables up to {orders} orders"));
            pipeline.stop_workers()?;
            pattern.fill_to(&client, orders).await?;
            pipeline.start_workers()?;
            let mut runs = Vec::new();
            for round in 0..plan.rounds {
                runs.push(plan.load(&pipeline, &format!("{FILLED}{orders}.{round}"), self.pace()).await?);
            }
            medians.extend(Run::median_of(&runs).map(|run| Run { name: format!("{FILLED}{orders}"), ..run }));
        }
        set_autovacuum(&client, "on").await?;
        pipeline.stop().await?;
        Ok(medians)
    }

    fn pace(&self) -> Arrivals {
        Arrivals::PerSecond(f64::from(self.growth_rate))
    }
}

fn five_lines() -> Orders {
    Orders::Synthetic { lines: 5 }
}

/// The orders of which the others are copies.
fn patterns(in_flight: u64) -> Wave {
    Wave { name: fill::TAG.to_owned(), orders: five_lines().into(), count: PATTERNS, in_flight, pieces: None }
}

async fn set_autovacuum(client: &Client, value: &str) -> Result<()> {
    client.batch_execute(&format!("alter system set autovacuum = {value}")).await.doing("setting autovacuum")?;
    client.batch_execute("select pg_reload_conf()").await.doing("setting autovacuum")
}

/// How the fuller tables did by those before them; nothing where they were not run.
#[expect(clippy::float_arithmetic, reason = "ratios of costs, not amounts")]
pub(crate) fn judge(runs: &[Run]) -> Vec<Goal> {
    let filled: Vec<&Run> = runs.iter().filter(|run| run.name.starts_with(FILLED)).collect();
    let mut goals = Vec::new();
    for pair in filled.windows(2) {
        let [few, many] = pair else { continue };
        let step = format!("from {} to {}", few.name, many.name);
        let cpu = quotient(many.total_cpu_ms(), few.total_cpu_ms());
        goals.push(at_most(format!("CPU per order, {step}"), "", MOST_GROWTH, cpu));
        let log = quotient(many.wal_bytes_per_order, few.wal_bytes_per_order);
        goals.push(at_most(format!("write-ahead log per order, {step}"), "", MOST_GROWTH, log));
        let pages = many.buffers_per_order - few.buffers_per_order;
        let levels = quotient(pages, few.descents_per_order);
        goals.push(at_most(format!("more pages for each way down an index, {step}"), "", MOST_LEVELS, levels));
    }
    goals
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{Usage, Used};

    fn run(orders: u64, cpu_ms: u64, wal_bytes: i64, buffers: i64) -> Run {
        let processes = vec![Used { name: "order".to_owned(), cpu_ms, peak_bytes: 0 }];
        let elapsed = Duration::from_secs(1);
        Run::of(
            format!("{FILLED}{orders}"),
            5.0,
            10,
            &Usage { elapsed, processes, wal_bytes, buffers, descents: 100, ..Usage::default() },
        )
    }

    #[test]
    fn each_tenfold_is_held_against_the_one_before() {
        let runs = [run(10, 100, 1_000, 200), run(100, 110, 1_000, 300), run(1_000, 122, 1_200, 401)];
        let met: Vec<bool> = judge(&runs).iter().map(|goal| goal.met).collect();
        assert_eq!(met, [true, true, true, false, false, false]);
        assert!(judge(&runs[..1]).is_empty());
    }
}
