//! One measured window of a load: what came out and what it cost per order.
//!
//! The ceiling and the pipeline fill in the same record, so that ratios compare like with like.

use std::collections::BTreeMap;

use serde::Serialize;

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
    /// Statements per completed order, BEGIN and COMMIT among them; none where nobody counts them.
    pub(crate) statements_per_order: Option<f64>,
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
        let mut cpu: BTreeMap<String, f64> =
            usage.processes.iter().map(|used| (used.name.clone(), per_order(used.cpu_ms as f64))).collect();
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
            peak_memory_bytes: usage.processes.iter().map(|used| (used.name.clone(), used.peak_bytes)).collect(),
            wal_bytes_per_order: per_order(usage.wal_bytes as f64),
            transactions_per_order: per_order(usage.commits as f64),
            statements_per_order: None,
            wave: None,
        }
    }

    /// Sets the statements counted in the window.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    pub(crate) fn count_statements(&mut self, statements: u64) {
        self.statements_per_order = Some(statements as f64 / (self.completed.max(1) as f64));
    }
}
