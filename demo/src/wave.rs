//! A wave of orders: a file is published, and every order watched until nothing more happens to it by itself.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{
    Deliveries, Entries, LineError, Observation, Outlet, PublishPlan, Published, Publisher, Selection, TopicReader,
    publish_entries,
};
use grammar::grouped;
use schemas::{Message, OrderCommand, TopicName};
use tokio::task::JoinSet;

use crate::error::DemoError;
use crate::following::follow_orders;
use crate::lag::LagGauge;
use crate::narrator::Narrator;
use crate::scene::{Scene, is_alive};
use crate::tally::{Counts, Tally};
use crate::warehouse;

/// Without any event for so long, unfinished orders are given up.
const STALL: Duration = Duration::from_secs(60);
/// How long the last confirmations may take.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the counts.
const TICK: Duration = Duration::from_millis(50);
/// Between two measurements of the lag.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// Bad lines that are named one by one; the others are counted.
const REFUSALS_NAMED: usize = 100;

/// What is published together.
#[derive(Debug)]
pub(crate) struct Wave {
    /// The file.
    pub(crate) path: PathBuf,
    /// What stands in front of words about its lines.
    pub(crate) name: Option<String>,
    /// Only so many of its lines with orders.
    pub(crate) limit: Option<u64>,
    /// Lines with orders that will be published.
    pub(crate) orders: u64,
    /// Whether a warehouse takes part: some orders wait to be shipped by it.
    pub(crate) has_warehouse: bool,
}

/// What became of it.
pub(crate) struct Settled {
    /// Where every order stands, with times.
    pub(crate) tally: Tally,
    /// What was read and sent.
    pub(crate) published: Published,
    /// What Kafka confirmed.
    pub(crate) deliveries: Deliveries,
    /// When the first order was sent.
    pub(crate) first_sent: Instant,
}

impl Settled {
    /// From the first order sent to the last one settled.
    pub(crate) fn working(&self) -> Duration {
        self.tally.last_settled().map_or(Duration::ZERO, |last| last.saturating_duration_since(self.first_sent))
    }

    /// Orders that came to an end, per second.
    pub(crate) fn orders_per_second(&self) -> u64 {
        let ms = u64::try_from(self.working().as_millis()).unwrap_or(u64::MAX);
        (self.tally.counts().settled() * 1000).checked_div(ms).unwrap_or(0)
    }

    /// Every order was delivered and is settled for good: no person has to look at it.
    pub(crate) fn is_complete(&self) -> bool {
        let counts = self.tally.counts();
        counts.in_flight == 0 && counts.stuck == 0 && self.deliveries.failed == 0
    }
}

/// Publishes a wave and waits until every order of it is settled, or nothing has happened for too long. Times are told since
/// `begin`.
pub(crate) async fn play(
    scene: &Scene,
    outlet: &impl Outlet,
    wave: Wave,
    rate: Option<u32>,
    begin: Instant,
    narrator: &Narrator,
) -> Result<Settled, DemoError> {
    let mut watch = Watch::start(scene, begin, wave.has_warehouse).await?;
    let whole = wave.orders;
    let first_sent = Instant::now();
    let published = publish(scene, outlet, wave, rate, &mut watch, narrator).await?;
    let deliveries = outlet.flush(FLUSH_LIMIT).await?;
    settle(scene, &mut watch, whole, first_sent, narrator).await?;
    narrator.clear();
    let tally = watch.finish(begin).await?;
    Ok(Settled { tally, published, deliveries, first_sent })
}

/// What several tasks share while orders are on their way.
struct Watch {
    tally: Arc<Mutex<Tally>>,
    lag: Arc<Mutex<Option<u64>>>,
    /// Fails when reading the events or asking for the lag does.
    tasks: JoinSet<Result<(), DemoError>>,
}

impl Watch {
    /// Begins where the topic ends now: what is heard follows from what is published after this.
    async fn start(scene: &Scene, begin: Instant, has_warehouse: bool) -> Result<Self, DemoError> {
        let from_now = || Selection { topic: TopicName::OrderEvents, key: None, from_end: true };
        let reader = TopicReader::open(&scene.connection(), from_now()).await?;
        let tally = Arc::new(Mutex::new(Tally::new(begin)?));
        let lag = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_orders(reader, Arc::clone(&tally)));
        if has_warehouse {
            let reader = TopicReader::open(&scene.connection(), from_now()).await?;
            tasks.spawn(warehouse::work(reader, Publisher::open(&scene.connection(), warehouse::SOURCE)?));
        }
        tasks.spawn(measure_lag(LagGauge::open(scene)?, Arc::clone(&lag)));
        Ok(Self { tally, lag, tasks })
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lag(&self) -> Option<u64> {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tasks go on for ever unless they fail.
    fn check(&mut self) -> Result<(), DemoError> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(error)) => Err(DemoError::Words(error.to_string())),
        }
    }

    /// Ends the tasks and gives the tally.
    async fn finish(mut self, begin: Instant) -> Result<Tally, DemoError> {
        self.tasks.shutdown().await;
        let tally = Tally::new(begin)?;
        Ok(std::mem::replace(&mut *self.tally(), tally))
    }
}

async fn publish(
    scene: &Scene,
    outlet: &impl Outlet,
    wave: Wave,
    rate: Option<u32>,
    watch: &mut Watch,
    narrator: &Narrator,
) -> Result<Published, DemoError> {
    let name = wave.name.as_ref().map_or_else(String::new, |name| format!("{name}: "));
    let (whole, limit) = (wave.orders, wave.limit.unwrap_or(u64::MAX));
    let entries = match wave.has_warehouse {
        true => Entries::orders_changed(wave.path, warehouse::some_on_command())?,
        false => Entries::orders(wave.path)?,
    };
    let tally = Arc::clone(&watch.tally);
    let refusals: Arc<Mutex<Vec<LineError>>> = Arc::default();
    let noted = Arc::clone(&refusals);
    let mut sent = 0_u64;
    let observe = move |observation: Observation<'_>| {
        match observation {
            Observation::Published { message: Message::OrderCommand(OrderCommand::PlaceOrder(order)), .. } => {
                tally.lock().unwrap_or_else(PoisonError::into_inner).sent(&order.order_id, Instant::now());
                sent += 1;
            }
            Observation::Published { .. } => {}
            Observation::Refused(error) => {
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                if noted.len() < REFUSALS_NAMED {
                    noted.push(error.clone());
                }
            }
        }
        if sent >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pace = PublishPlan { per_second: rate, strict: false };
    let mut publishing = Box::pin(publish_entries(outlet, entries, pace, observe));
    let (begin, mut named) = (Instant::now(), 0_usize);
    loop {
        let done = tokio::select! {
            done = &mut publishing => Some(done),
            () = tokio::time::sleep(TICK) => None,
        };
        let waiting = std::mem::take(&mut *refusals.lock().unwrap_or_else(PoisonError::into_inner));
        for error in waiting.iter().take(REFUSALS_NAMED - named) {
            narrator.tell(&format!("{name}{error}"));
            named += 1;
        }
        show(scene, watch, whole, begin, narrator)?;
        if let Some(done) = done {
            return Ok(done?);
        }
    }
}

/// Watches until every id is settled, or nothing has happened for too long.
async fn settle(
    scene: &Scene,
    watch: &mut Watch,
    whole: u64,
    begin: Instant,
    narrator: &Narrator,
) -> Result<(), DemoError> {
    let (mut heard, mut last) = (watch.tally().events_heard(), Instant::now());
    loop {
        let counts = show(scene, watch, whole, begin, narrator)?;
        if counts.in_flight == 0 {
            return Ok(());
        }
        let now = watch.tally().events_heard();
        if now != heard {
            (heard, last) = (now, Instant::now());
        }
        if last.elapsed() > STALL {
            narrator.clear();
            narrator.tell(&format!("{} orders do not move any more", grouped(counts.in_flight)));
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Shows the counts, and fails when somebody who is needed has gone.
fn show(
    scene: &Scene,
    watch: &mut Watch,
    whole: u64,
    begin: Instant,
    narrator: &Narrator,
) -> Result<Counts, DemoError> {
    watch.check()?;
    for daemon in &scene.daemons {
        let same = scene.daemons.iter().filter(|other| other.service == daemon.service);
        if same.clone().all(|other| !is_alive(other.pid)) {
            let log = scene.logs.join(format!("{}.log", daemon.name));
            let tail = std::fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<&str> = tail.lines().rev().take(20).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            return Err(DemoError::Daemon { name: daemon.name.clone(), what: "has ended".to_owned(), tail });
        }
    }
    let counts = watch.tally().counts();
    let elapsed = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    let lag = watch.lag().map_or_else(|| "…".to_owned(), grouped);
    let text = format!(
        "placed {} · completed {} · cancelled {} · rejected {} · in flight {} · {} orders/s · lag {lag}",
        grouped(counts.placed),
        grouped(counts.completed),
        grouped(counts.cancelled),
        grouped(counts.rejected),
        grouped(counts.in_flight),
        grouped(counts.settled() * 1000 / elapsed),
    );
    narrator.progress(counts.settled(), whole, &text);
    Ok(counts)
}

async fn measure_lag(gauge: LagGauge, lag: Arc<Mutex<Option<u64>>>) -> Result<(), DemoError> {
    let gauge = Arc::new(gauge);
    loop {
        let measuring = Arc::clone(&gauge);
        let measured = tokio::task::spawn_blocking(move || measuring.measure()).await;
        let measured = measured.map_err(|error| DemoError::Words(error.to_string()))??;
        *lag.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
        tokio::time::sleep(LAG_EVERY).await;
    }
}
