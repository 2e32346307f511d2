//! A run on a stage that is up: receive the stock, publish the orders, watch until all are settled, have it checked.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{
    Deliveries, Entries, LineError, Observation, Pace, Published, Publisher, Selection, TopicReader, publish_entries,
};
use schemas::{CommandId, Message, OrderCommand, ReceiveStock, Sku, TopicName};
use tokio::task::JoinSet;

use crate::error::DemoError;
use crate::example;
use crate::following::{await_receipts, follow_orders};
use crate::guest::{self, Told};
use crate::input::Input;
use crate::lag::LagGauge;
use crate::narrator::{Narrator, grouped};
use crate::options::RunOptions;
use crate::scene::{Scene, is_alive};
use crate::stock_plan::StockPlan;
use crate::tally::{Counts, Tally};
use crate::verdict::{self, Verdict};

/// What the demo's messages name as their origin.
const SOURCE: &str = "/demo";
/// Without any event for so long, unfinished orders are given up.
const STALL: Duration = Duration::from_secs(60);
/// How long the last confirmations may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the counts.
const TICK: Duration = Duration::from_millis(50);
/// Between two measurements of the lag.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// Bad lines that are named one by one; the others are counted.
const REFUSALS_NAMED: usize = 100;

/// What a run brought.
pub(crate) struct Outcome {
    /// Where every order stands, with times.
    pub(crate) tally: Tally,
    /// What was read and sent.
    pub(crate) published: Published,
    /// What Kafka confirmed.
    pub(crate) deliveries: Deliveries,
    /// From the first order sent to the last one settled.
    pub(crate) working: Duration,
    /// The checker's findings.
    pub(crate) verdict: Verdict,
    /// What a service beside the workers says, where there is one.
    pub(crate) guest: Option<Told>,
}

/// What several tasks share while orders are on their way.
struct Watch {
    tally: Arc<Mutex<Tally>>,
    lag: Arc<Mutex<Option<u64>>>,
    /// Fails when reading the events or asking for the lag does.
    tasks: JoinSet<Result<(), DemoError>>,
}

impl Watch {
    fn start(scene: &Scene, begin: Instant) -> Result<Self, DemoError> {
        let tally = Arc::new(Mutex::new(Tally::new(begin)?));
        let lag = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_orders(scene.connection(), Arc::clone(&tally)));
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

/// The whole run.
pub(crate) async fn run(
    scene: &Scene,
    input: Input,
    options: &RunOptions,
    begin: Instant,
    narrator: &Narrator,
) -> Result<Outcome, DemoError> {
    let publisher = Publisher::open(&scene.connection(), SOURCE)?;
    plan_stock(scene, &publisher, &input.plan, narrator).await?;
    let mut watch = Watch::start(scene, begin)?;
    let whole = input.lines;
    narrator.tell(&format!("publishing {} orders", grouped(whole)));
    let first_sent = Instant::now();
    let published = publish(scene, &publisher, input, options, &mut watch, narrator).await?;
    let deliveries = publisher.flush(FLUSH_LIMIT).await?;
    settle(scene, &mut watch, whole, first_sent, narrator).await?;
    narrator.clear();
    let tally = watch.finish(begin).await?;
    let working = tally.last_settled().map_or(Duration::ZERO, |last| last.saturating_duration_since(first_sent));
    let settled = if tally.counts().in_flight == 0 { "every order is settled" } else { "not every order is settled" };
    narrator.tell(&format!("{settled}; checking topics against tables"));
    let verdict = verdict::check(scene).await?;
    let guest = match &scene.guest {
        Some(guest) => Some(guest::ask(scene, guest, narrator).await?),
        None => None,
    };
    Ok(Outcome { tally, published, deliveries, working, verdict, guest })
}

/// Receives what the example order wants: a kept demo has just as much stock as its own orders needed.
pub(crate) async fn leave_stock(scene: &Scene, narrator: &Narrator) -> Result<(), DemoError> {
    let publisher = Publisher::open(&scene.connection(), SOURCE)?;
    let sku = Sku::new(example::SKU).map_err(|error| DemoError::Words(error.to_string()))?;
    receive_stock(scene, &publisher, &[(sku, example::PIECES)], "demo-example", narrator).await
}

async fn plan_stock(
    scene: &Scene,
    publisher: &Publisher,
    plan: &StockPlan,
    narrator: &Narrator,
) -> Result<(), DemoError> {
    let whole = grouped(u64::try_from(plan.receipts.len()).unwrap_or(u64::MAX));
    let about = if plan.exact { "" } else { "about " };
    let short = grouped(u64::try_from(plan.short_orders).unwrap_or(u64::MAX));
    narrator.tell(&format!("receiving stock of {whole} SKUs; {about}{short} orders will find too little"));
    receive_stock(scene, publisher, &plan.receipts, "demo-receipt", narrator).await
}

/// Receives pieces by SKU, and waits until the inventory service has taken all.
async fn receive_stock(
    scene: &Scene,
    publisher: &Publisher,
    receipts: &[(Sku, i64)],
    ids: &str,
    narrator: &Narrator,
) -> Result<(), DemoError> {
    let selection = Selection { topic: TopicName::StockEvents, key: None, from_end: true };
    let mut reader = TopicReader::open(&scene.connection(), selection).await?;
    for (index, (sku, quantity)) in receipts.iter().enumerate() {
        let command_id =
            CommandId::new(format!("{ids}-{index}")).map_err(|error| DemoError::Words(error.to_string()))?;
        publisher.send(&ReceiveStock { sku: sku.clone(), command_id, quantity: *quantity }.into()).await?;
    }
    publisher.flush(FLUSH_LIMIT).await?;
    let whole = u64::try_from(receipts.len()).unwrap_or(u64::MAX);
    let refused = await_receipts(&mut reader, whole, |done| {
        narrator.progress(done, whole, &format!("{} of {} receipts", grouped(done), grouped(whole)));
    })
    .await?;
    narrator.clear();
    if refused > 0 {
        return Err(DemoError::Words(format!("the inventory service refused {refused} of {whole} receipts")));
    }
    Ok(())
}

async fn publish(
    scene: &Scene,
    publisher: &Publisher,
    input: Input,
    options: &RunOptions,
    watch: &mut Watch,
    narrator: &Narrator,
) -> Result<Published, DemoError> {
    let name = options.orders.as_ref().map_or_else(String::new, |path| format!("{}: ", path.display()));
    let (whole, limit) = (input.lines, options.limit.unwrap_or(u64::MAX));
    let entries = Entries::orders(input.path)?;
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
    let pace = Pace { per_second: options.rate, strict: false };
    let mut publishing = Box::pin(publish_entries(publisher, entries, pace, observe));
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
