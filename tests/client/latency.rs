//! What a single order costs its client: no more than a plain producer needs, apart from noise.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tests::{Outcome, Pipeline, Servers, Settings, order};
use workers::client::Publisher;

use crate::DAEMON;
use crate::program::connection;

/// Of each kind, one after the other in turn, so that a busy machine delays both.
const ROUNDS: usize = 21;

/// With an idempotent producer it is more than ten times as much.
const FACTOR: u32 = 3;

/// A new producer of the library's defaults, until its first message is acknowledged.
async fn plain(brokers: &str, topic: &str) -> Outcome<Duration> {
    let begin = Instant::now();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let record = FutureRecord::to(topic).key("k").payload("v");
    producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
    Ok(begin.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_order_is_acknowledged_as_fast_as_by_a_plain_producer() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    let (brokers, topic) = (servers.stack().brokers(), format!("{}order.commands.v1", pipeline.prefix()));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        theirs.push(plain(&brokers, &topic).await?);
        let order = order(&format!("fast-{number}"), &["a"])?;
        let begin = Instant::now();
        Publisher::open(&connection(&pipeline), "/tests")?.place(order).await?;
        ours.push(begin.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("one order: {ours:?}; a plain producer's message: {theirs:?}");
    assert!(ours <= theirs * FACTOR, "{ours:?} is more than {FACTOR} times {theirs:?}");
    pipeline.accept();
    Ok(())
}
