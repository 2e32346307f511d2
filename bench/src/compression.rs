//! The part `compression`: what each codec costs and saves, at low, middling and full load.
//!
//! Workers, relays and the publisher compress alike. Whoever reads (workers, observer) reads all codecs. A codec is a setting of
//! the workers, so each has a pipeline of its own; they take turns, round after round, in another order each time. One round more
//! comes first and is not counted: a broker that has run for a minute needs half of what it needed at first.

use crate::error::Result;
use crate::goals::{Goal, at_most, quotient};
use crate::outcome::Report;
use crate::pipeline::{Arrivals, Orders, Workers};
use crate::plan::Plan;
use crate::run::Run;
use crate::servers::Servers;

/// What every librdkafka has, as its `compression.type` calls them.
const CODECS: [&str; 4] = ["none", "gzip", "lz4", "zstd"];
/// What every client reads as it is installed.
const READ_BY_ALL: [&str; 2] = ["none", "gzip"];
/// What those are held against.
const YARDSTICK: &str = "lz4";
/// Orders a second, beside full speed.
const RATES: [u32; 2] = [20, 450];
/// What a codec that every client reads may cost more, in CPU per order.
const MOST: f64 = 1.05;

/// Runs it: of each codec and load the medians.
pub(crate) async fn run(plan: &Plan, workers: &Workers, servers: &Servers) -> Result<Vec<Run>> {
    let mut runs: Vec<(String, Vec<Run>)> = names().into_iter().map(|name| (name, Vec::new())).collect();
    for round in 0..=plan.rounds {
        let mut codecs = CODECS;
        codecs.rotate_left(usize::try_from(round).unwrap_or_default() % CODECS.len());
        for codec in codecs {
            let workers = Workers { compression: Some(codec), ..workers.clone() };
            let (name, orders) = (format!("{codec}{round}"), Orders::Synthetic { lines: 5 });
            let pipeline = plan.start(&workers, servers, &name, orders).await?;
            for (load, pace) in loads(plan.in_flight) {
                let name = format!("{codec}-{load}");
                let run = plan.load(&pipeline, &name, pace).await?;
                if round == 0 {
                    continue;
                }
                runs.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, runs)| runs.push(run.clone()));
            }
            pipeline.stop().await?;
        }
    }
    Ok(runs.iter().filter_map(|(_, runs)| Run::median_of(runs)).collect())
}

/// By load, then by codec, as they are to be compared.
fn names() -> Vec<String> {
    let of_load = |(load, _)| CODECS.map(|codec| format!("{codec}-{load}"));
    loads(0).into_iter().flat_map(of_load).collect()
}

fn loads(in_flight: u64) -> Vec<(String, Arrivals)> {
    let rates = RATES.map(|rate| (format!("at{rate}"), Arrivals::PerSecond(f64::from(rate))));
    rates.into_iter().chain([("full".to_owned(), Arrivals::InFlight(in_flight))]).collect()
}

/// How what every client reads did; nothing where it was not run.
pub(crate) fn judge(runs: &[Run]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (load, _) in loads(0) {
        let Some(yardstick) = Report::find(runs, &format!("{YARDSTICK}-{load}")) else { continue };
        for codec in READ_BY_ALL {
            let Some(run) = Report::find(runs, &format!("{codec}-{load}")) else { continue };
            let what = format!("{load}: CPU per order with {codec}, by that with {YARDSTICK}");
            goals.push(at_most(what, "", MOST, quotient(run.total_cpu_ms(), yardstick.total_cpu_ms())));
        }
    }
    goals
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{Usage, Used};

    fn run(name: &str, cpu_ms: u64) -> Run {
        let processes = vec![Used { name: "order".to_owned(), cpu_ms, peak_bytes: 0 }];
        Run::of(name, 5.0, 1, &Usage { elapsed: Duration::from_secs(1), processes, ..Usage::default() })
    }

    #[test]
    fn what_every_client_reads_is_held_against_the_yardstick_of_its_load() {
        let runs = [run("lz4-at20", 100), run("none-at20", 105), run("gzip-at20", 106), run("gzip-full", 1)];
        let met: Vec<bool> = judge(&runs).iter().map(|goal| goal.met).collect();
        assert_eq!(met, [true, false]);
    }
}
