//! A producer with a thread that serves its callbacks.
//!
//! rdkafka's own asks for an event for 100 ms at a time, and for the last fraction of a millisecond of them again and again for
//! 0 ms: a hundredth of a core for every producer, busy or not (rdkafka 0.39.0, `findings/rdkafka-idle-producer-spins.sh`). Here
//! it asks for longer at a time. Absent: a way to end the wait early, which the client library does not have.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, ProducerContext};

/// How long the thread waits for an event at a time, and so how long ending the producer may take.
const WAIT: Duration = Duration::from_millis(500);

/// A producer whose callbacks come on a thread of its own. Dropping it discards what is not confirmed, and blocks until the thread
/// has ended: half a second.
pub struct PolledProducer<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C, NoCustomPartitioner>>,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<C: ProducerContext + 'static> PolledProducer<C> {
    /// A producer with these settings and callbacks, which begins to connect.
    ///
    /// # Errors
    /// A setting that the client library refuses, or no thread to be had.
    pub fn create(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer: Arc<BaseProducer<C, NoCustomPartitioner>> = Arc::new(config.create_with_context(context)?);
        let is_ending = Arc::new(AtomicBool::new(false));
        let (polled, ends) = (Arc::clone(&producer), Arc::clone(&is_ending));
        let poll = move || {
            while !ends.load(Ordering::Acquire) {
                polled.poll(WAIT);
            }
        };
        let thread = std::thread::Builder::new().name("producer".into()).spawn(poll);
        let thread =
            thread.map_err(|error| KafkaError::ClientCreation(format!("no thread for its events: {error}")))?;
        Ok(Self { producer, is_ending, thread: Some(thread) })
    }
}

impl<C: ProducerContext + 'static> Deref for PolledProducer<C> {
    type Target = BaseProducer<C, NoCustomPartitioner>;

    fn deref(&self) -> &Self::Target {
        &self.producer
    }
}

impl<C: ProducerContext + 'static> Drop for PolledProducer<C> {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread of a producer has panicked");
        }
    }
}
