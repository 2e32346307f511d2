//! One measured window of a load: what came out and what it cost per order.
//!
//! The ceiling and the pipeline fill in the same record, so that ratios compare like with like.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::goals::median;
use crate::journey::Hops;
use crate::measure::{Quantiles, Usage};

/// The outcome of one window.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    /// Which load.
    pub(crate) name: String,
    /// Lines per order, on average.
    pub(crate) lines_per_order: f64,
    /// Orders offered per second; none: as many as it takes.
    pub(crate) offered_per_second: Option<f64>,
    /// Length of the window.
    pub(crate) seconds: f64,
    /// Orders that went all the way within the window.
    pub(crate) completed: u64,
    /// Orders that ended otherwise (cancelled, rejected) within the window.
    pub(crate) ended_otherwise: u64,
    /// Completed orders per second; of a wave, orders that came to an end. Costs per order are by the same count.
    pub(crate) orders_per_second: f64,
    /// From publishing the order to consuming its confirmation.
    pub(crate) confirm_latency_ms: Option<Quantiles>,
    /// CPU-milliseconds per completed order, by process, and `total`.
    pub(crate) cpu_ms_per_order: BTreeMap<String, f64>,
    /// Highest memory by process in bytes.
    pub(crate) peak_memory_bytes: BTreeMap<String, u64>,
    /// Bytes of write-ahead log per completed order.
    pub(crate) wal_bytes_per_order: f64,
    /// Committed transactions per completed order.
    pub(crate) transactions_per_order: f64,
    /// Pages that the database's backends asked for, per completed order.
    pub(crate) buffers_per_order: f64,
    /// How often they went down an index, per completed order.
    pub(crate) descents_per_order: f64,
    /// Bytes that came into the topics, per completed order; none where nobody looked.
    pub(crate) topic_bytes_per_order: Option<f64>,
    /// Statements per completed order, BEGIN and COMMIT among them; none where nobody counts them.
    pub(crate) statements_per_order: Option<f64>,
    /// Where the orders' time went; none where nobody looked.
    pub(crate) hops: Option<Hops>,
    /// What only a wave has: so many orders and no more, from the first one placed to the last one's end.
    pub(crate) wave: Option<WaveFigures>,
}

/// What only a wave has.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaveFigures {
    /// The pieces that its orders competed for; none where there was enough.
    pub(crate) pieces: Option<u64>,
    /// Orders that were confirmed.
    pub(crate) confirmed: u64,
    /// From the first order placed to the first one that was turned away; none where there was enough.
    pub(crate) sold_out_s: Option<f64>,
    /// From the first order placed to the last confirmation.
    pub(crate) last_confirmed_s: f64,
    /// From publishing the order to consuming its end, whatever it was.
    pub(crate) end_latency_ms: Option<Quantiles>,
}

impl Run {
    /// A run from what the meter saw.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    pub(crate) fn of(name: impl Into<String>, lines_per_order: f64, completed: u64, usage: &Usage) -> Self {
        let seconds = usage.elapsed.as_secs_f64();
        let per_order = |value: f64| value / (completed.max(1) as f64);
        let (mut cpu, mut peaks) = (BTreeMap::<String, f64>::new(), BTreeMap::<String, u64>::new());
        // Of several instances CPU adds up, and the largest one's memory counts.
        for used in &usage.processes {
            *cpu.entry(used.name.clone()).or_default() += per_order(used.cpu_ms as f64);
            let peak = peaks.entry(used.name.clone()).or_default();
            *peak = used.peak_bytes.max(*peak);
        }
        cpu.insert("total".to_owned(), cpu.values().sum());
        Run {
            name: name.into(),
            lines_per_order,
            offered_per_second: None,
            seconds,
            completed,
            ended_otherwise: 0,
            orders_per_second: completed as f64 / seconds,
            confirm_latency_ms: None,
            cpu_ms_per_order: cpu,
            peak_memory_bytes: peaks,
            wal_bytes_per_order: per_order(usage.wal_bytes as f64),
            transactions_per_order: per_order(usage.commits as f64),
            buffers_per_order: per_order(usage.buffers as f64),
            descents_per_order: per_order(usage.descents as f64),
            topic_bytes_per_order: None,
            statements_per_order: None,
            hops: None,
            wave: None,
        }
    }

    /// Sets the statements counted in the window.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    pub(crate) fn count_statements(&mut self, statements: u64) {
        self.statements_per_order = Some(statements as f64 / (self.completed.max(1) as f64));
    }

    /// Sets the bytes that came into the topics in the window.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    pub(crate) fn count_topic_bytes(&mut self, bytes: u64) {
        self.topic_bytes_per_order = Some(bytes as f64 / (self.completed.max(1) as f64));
    }

    /// CPU-milliseconds per order of all processes.
    pub(crate) fn total_cpu_ms(&self) -> f64 {
        self.cpu_ms_per_order.get("total").copied().unwrap_or_default()
    }

    /// Of repetitions of one load, figure by figure the middle one; none of no runs. What has no middle is the first one's.
    pub(crate) fn median_of(runs: &[Run]) -> Option<Run> {
        let mut middle = runs.first()?.clone();
        let of = |figure: &dyn Fn(&Run) -> Option<f64>| median(runs.iter().filter_map(figure).collect());
        let all = |figure: &dyn Fn(&Run) -> f64| of(&|run| Some(figure(run))).unwrap_or_default();
        middle.orders_per_second = all(&|run| run.orders_per_second);
        middle.wal_bytes_per_order = all(&|run| run.wal_bytes_per_order);
        middle.transactions_per_order = all(&|run| run.transactions_per_order);
        middle.buffers_per_order = all(&|run| run.buffers_per_order);
        middle.descents_per_order = all(&|run| run.descents_per_order);
        middle.topic_bytes_per_order = of(&|run| run.topic_bytes_per_order);
        middle.statements_per_order = of(&|run| run.statements_per_order);
        if let Some(latency) = &mut middle.confirm_latency_ms {
            let at = |point: &dyn Fn(&Quantiles) -> f64| of(&|run| run.confirm_latency_ms.as_ref().map(point));
            latency.p50 = at(&|found| found.p50).unwrap_or_default();
            latency.p90 = at(&|found| found.p90).unwrap_or_default();
            latency.p99 = at(&|found| found.p99).unwrap_or_default();
            latency.max = at(&|found| found.max).unwrap_or_default();
        }
        for (process, cpu_ms) in &mut middle.cpu_ms_per_order {
            *cpu_ms = of(&|run| run.cpu_ms_per_order.get(process).copied()).unwrap_or_default();
        }
        middle.ended_otherwise = runs.iter().map(|run| run.ended_otherwise).sum();
        Some(middle)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Used;

    fn run(cpu_ms: [u64; 2], wal_bytes: i64) -> Run {
        let used = |cpu_ms| Used { name: "order".to_owned(), cpu_ms, peak_bytes: cpu_ms };
        let usage = Usage {
            elapsed: Duration::from_secs(1),
            processes: cpu_ms.map(used).to_vec(),
            wal_bytes,
            ..Usage::default()
        };
        Run::of("load", 5.0, 10, &usage)
    }

    #[test]
    fn instances_of_a_service_are_one_process_of_the_report() {
        let run = run([10, 20], 0);
        assert_eq!((run.total_cpu_ms(), run.peak_memory_bytes["order"]), (3.0, 20));
    }

    #[test]
    fn each_figure_of_repetitions_has_a_middle_of_its_own() {
        let runs = [run([10, 0], 300), run([20, 0], 100), run([90, 0], 200)];
        let middle = Run::median_of(&runs).unwrap();
        assert_eq!((middle.total_cpu_ms(), middle.wal_bytes_per_order), (2.0, 20.0));
        assert!(Run::median_of(&[]).is_none());
    }
}
