//! A load: so many clients, each with one order under way, as fast as they go or at a rate; and a window in it.
//!
//! At a rate an order counts from when it was due, so that a system that cannot keep up shows it as latency.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::said::say;
use crate::{Order, Result, Task};

/// How long orders may take that are under way when the load ends.
const DRAIN: Duration = Duration::from_secs(120);
/// One hour; nothing that is waited for takes longer.
const HIGHEST_US: u64 = 3_600_000_000;

/// Whatever takes an order all the way.
pub trait System: Send + Sync + 'static {
    /// Returns when the order is confirmed.
    fn order(&self, order: Order) -> impl Future<Output = Result<()>> + Send;
}

/// Clients share this.
struct Load<S> {
    system: S,
    tag: String,
    per_second: Option<f64>,
    began: Instant,
    next: AtomicU64,
    measuring: AtomicBool,
    stopping: AtomicBool,
    seen: Mutex<Histogram<u64>>,
}

/// Puts the system under the load of its task; how many orders it took in all.
///
/// # Errors
/// When an order fails: nobody is declined here.
pub async fn drive(task: &Task, clients: usize, system: impl System) -> Result<u64> {
    let load = Arc::new(Load {
        system,
        tag: task.name.clone(),
        per_second: task.per_second,
        began: Instant::now(),
        next: AtomicU64::new(0),
        measuring: AtomicBool::new(false),
        stopping: AtomicBool::new(false),
        seen: Mutex::new(Histogram::new_with_bounds(1, HIGHEST_US, 3)?),
    });
    let mut running = JoinSet::new();
    (0..clients).for_each(|_| drop(running.spawn(client(Arc::clone(&load)))));
    let ended = tokio::select! {
        ended = running.join_next() => ended,
        () = window(&load, task) => None,
    };
    load.stopping.store(true, Ordering::Release);
    if let Some(ended) = ended {
        ended??;
        return Err("a client ended early".into());
    }
    let draining = async {
        while let Some(ended) = running.join_next().await {
            ended??;
        }
        Result::Ok(())
    };
    timeout(DRAIN, draining).await.map_err(|_| "orders did not finish in time")??;
    Ok(load.next.load(Ordering::Acquire))
}

async fn window<S>(load: &Load<S>, task: &Task) {
    sleep(Duration::from_secs(task.warm_up)).await;
    load.measuring.store(true, Ordering::Release);
    say("window begins");
    let began = Instant::now();
    sleep(Duration::from_secs(task.seconds)).await;
    load.measuring.store(false, Ordering::Release);
    let seen = load.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let at = |q: f64| milliseconds(seen.value_at_quantile(q));
    let outcome = serde_json::json!({
        "seconds": began.elapsed().as_secs_f64(),
        "latency": { "count": seen.len(), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": milliseconds(seen.max()) },
    });
    say(&format!("window ends: {outcome}"));
}

async fn client<S: System>(load: Arc<Load<S>>) -> Result<()> {
    while !load.stopping.load(Ordering::Acquire) {
        let number = load.next.fetch_add(1, Ordering::AcqRel);
        let due = match load.per_second {
            Some(rate) => load.began + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        sleep_until(due).await;
        load.system.order(Order::numbered(&load.tag, number)).await?;
        if load.measuring.load(Ordering::Acquire) {
            let us = u64::try_from(due.elapsed().as_micros())?.clamp(1, HIGHEST_US);
            load.seen.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us);
        }
    }
    Ok(())
}

fn milliseconds(us: u64) -> f64 {
    us as f64 / 1000.0
}
