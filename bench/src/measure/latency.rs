//! Latencies in a histogram: microseconds in, milliseconds out.
//!
//! Recording never fails: what is beyond the range is counted at its end.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// One hour; nothing that a benchmark waits for takes longer.
const HIGHEST_US: u64 = 3_600_000_000;

/// Durations seen.
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

/// The usual points of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// How many durations.
    pub(crate) count: u64,
    /// The median.
    pub(crate) p50: f64,
    /// Nine of ten are at most this.
    pub(crate) p90: f64,
    /// 99 of 100 are at most this.
    pub(crate) p99: f64,
    /// The longest.
    pub(crate) max: f64,
}

impl Latencies {
    /// None yet; three significant digits are kept.
    pub(crate) fn new() -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3).map_err(BenchError::other)?;
        Ok(Latencies { histogram })
    }

    /// One more duration, in microseconds.
    pub(crate) fn record_us(&mut self, us: u64) {
        self.histogram.saturating_record(us.clamp(1, HIGHEST_US));
    }

    /// The distribution, or none when nothing was recorded.
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        if self.histogram.is_empty() {
            return None;
        }
        let at = |q: f64| milliseconds(self.histogram.value_at_quantile(q));
        Some(Quantiles {
            count: self.histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: milliseconds(self.histogram.max()),
        })
    }
}

#[expect(clippy::float_arithmetic, reason = "a figure for people, not an amount")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds_and_nothing_is_lost_beyond_the_range() {
        let mut latencies = Latencies::new().unwrap();
        assert!(latencies.quantiles().is_none());
        for us in 1..=100_000 {
            latencies.record_us(us);
        }
        latencies.record_us(u64::MAX);
        let quantiles = latencies.quantiles().unwrap();
        assert_eq!(quantiles.count, 100_001);
        assert!((49.9..50.2).contains(&quantiles.p50), "{quantiles:?}");
        assert!((98.8..99.3).contains(&quantiles.p99), "{quantiles:?}");
        assert!(quantiles.max >= 3_599_000.0, "{quantiles:?}");
    }
}
