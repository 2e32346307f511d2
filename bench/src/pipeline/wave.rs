//! A wave: so many orders and no more, measured from the first one placed to the end of the last one.
//!
//! A load has a window, because it could go on for ever; a sale is over when everybody has got an answer. Absent: a warm-up,
//! which is a wave of its own.

use std::sync::Arc;

use schemas::TopicName;

use super::Pipeline;
use super::board::Board;
use super::observer::Observer;
use super::orders::Orders;
use super::publisher::Arrivals;
use crate::error::{BenchError, Result};
use crate::measure::Meter;
use crate::run::{Run, WaveFigures};

/// One wave.
#[derive(Clone)]
pub(crate) struct Wave {
    /// Its name in the report and in order ids.
    pub(crate) name: String,
    /// What is ordered; there has to be stock of it.
    pub(crate) orders: Arc<Orders>,
    /// How many orders.
    pub(crate) count: u64,
    /// Unfinished orders at any time.
    pub(crate) in_flight: u64,
    /// The pieces that its orders compete for; none where there is enough.
    pub(crate) pieces: Option<u64>,
}

impl Pipeline<'_> {
    /// Places all orders of a wave and waits for their ends.
    pub(crate) async fn wave(&self, wave: &Wave) -> Result<Run> {
        let board =
            Arc::new(Board::for_all(wave.name.as_str(), usize::try_from(wave.count).map_err(BenchError::other)?));
        let (brokers, pace) = (self.place.servers.brokers(), Arrivals::InFlight(wave.in_flight));
        let observer = Observer::start(brokers, &self.topic(TopicName::OrderEvents), board.clone())?;
        let publisher = self.publisher(pace, board.clone())?;
        let statements = self.daemons.statements();
        let meter = Meter::start(self.targets()?, &self.client).await?;
        let (orders, shared) = (wave.orders.clone(), board.clone());
        let publishing = tokio::task::spawn_blocking(move || publisher.run(&orders, pace, &shared));
        let drained = self.drain(|| wave.count.saturating_sub(board.ended())).await;
        board.stop();
        publishing.await.map_err(BenchError::other)??;
        let heard = observer.finish()?;
        drained?;
        let mut usage = meter.finish(&self.client).await?;
        usage.elapsed = board.lasted();
        let mut run = Run::of(&wave.name, wave.orders.lines_per_order(), board.ended(), &usage);
        if let (Some(before), Some(after)) = (statements, self.daemons.statements()) {
            run.count_statements(after.saturating_sub(before));
        }
        (_, run.completed, run.ended_otherwise, _) = board.counts();
        run.confirm_latency_ms = heard.confirmed.quantiles();
        let (confirmed, last) = board.confirmed();
        run.wave = Some(WaveFigures {
            pieces: wave.pieces,
            confirmed,
            sold_out_s: wave.pieces.and_then(|_| board.first_turned_away()).map(|time| time.as_secs_f64()),
            last_confirmed_s: last.as_secs_f64(),
            end_latency_ms: heard.ended.quantiles(),
        });
        Ok(run)
    }
}
