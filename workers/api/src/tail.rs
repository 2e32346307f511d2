//! What is said now, for whoever waits for it: each instance reads the ends of the topics of answers, in no group's name.
//!
//! Whoever listens to a key gets what is said about it from then on. A listener that is too slow, or a topic that could not be read
//! for a while, ends the listening: then something may have been missed, and the read model tells what. So nothing here need be
//! complete, and the read model is never asked again and again for those who wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Came, Connection, Record, Selection, TopicReader};
use outbox::Backoff;
use schemas::TopicName;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::pace::Pace;
use crate::position::Position;

/// The topics of answers to commands.
const TOPICS: [TopicName; 2] = [TopicName::OrderEvents, TopicName::StockEvents];

/// What one listener may lag behind: more than an order has events at once.
const LISTENER_CAPACITY: usize = 64;

/// How long one look at a topic waits.
const LOOK: Duration = Duration::from_secs(1);

type Key = (TopicName, String);
type Sender = mpsc::Sender<Arc<Record>>;

#[derive(Debug, Default)]
struct Listeners {
    by_key: Mutex<HashMap<Key, Vec<(u64, Sender)>>>,
    /// The offset of the last record that was told, by topic partition.
    told: Mutex<HashMap<(TopicName, i32), i64>>,
    next: AtomicU64,
}

/// What is said now; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tail {
    listeners: Arc<Listeners>,
    /// By topic, in the order of `TOPICS`, whether it is read.
    reading: [watch::Receiver<bool>; 2],
    pace: Arc<Pace>,
}

/// What is said about one key from when this was made.
#[derive(Debug)]
pub struct Listening {
    receiver: mpsc::Receiver<Arc<Record>>,
    listeners: Arc<Listeners>,
    key: Key,
    number: u64,
}

impl Tail {
    /// Reads until asked to stop. The tasks end by themselves then.
    pub fn start(connection: &Connection, stopping: &watch::Receiver<bool>) -> (Self, Vec<JoinHandle<()>>) {
        let (listeners, pace) = (Arc::<Listeners>::default(), Arc::<Pace>::default());
        let mut tasks = Vec::new();
        let reading = TOPICS.map(|topic| {
            let (tell, reading) = watch::channel(false);
            let reader = Reader {
                topic,
                connection: connection.clone(),
                listeners: Arc::clone(&listeners),
                pace: Arc::clone(&pace),
                reading: tell,
            };
            let mut stopping = stopping.clone();
            tasks.push(tokio::spawn(async move {
                tokio::select! {
                    // An error means that the sender is gone, which is an end as well.
                    _ = stopping.wait_for(|stopped| *stopped) => {}
                    () = reader.run() => {}
                }
            }));
            reading
        });
        (Tail { listeners, reading, pace }, tasks)
    }

    /// Whether all topics are read; else why one is in the way.
    pub fn obstacle(&self) -> Option<String> {
        let unread = TOPICS.iter().zip(&self.reading).find(|(_, reading)| !*reading.borrow());
        unread.map(|(topic, _)| format!("the end of {topic} is not read: who waits for answers gets none"))
    }

    /// How fast orders go.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// What is said about this key from now on.
    pub fn listen(&self, topic: TopicName, key: &str) -> Listening {
        let (sender, receiver) = mpsc::channel(LISTENER_CAPACITY);
        let number = self.listeners.next.fetch_add(1, Ordering::Relaxed);
        let key = (topic, key.to_owned());
        self.listeners.locked().entry(key.clone()).or_default().push((number, sender));
        Listening { receiver, listeners: Arc::clone(&self.listeners), key, number }
    }

    /// What has been said so far, as far as this instance knows. Who has listened before this was asked misses nothing behind it.
    pub fn told(&self, topic: TopicName) -> Vec<Position> {
        let told = self.listeners.told.lock().unwrap_or_else(PoisonError::into_inner);
        let of_topic = told.iter().filter(|((of, _), _)| *of == topic);
        of_topic.map(|((_, partition), offset)| Position::of_event(topic, *partition, *offset)).collect()
    }
}

impl Listening {
    /// The next one; none where something may have been missed: listen anew, and look at the read model.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        self.receiver.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut by_key = self.listeners.locked();
        if let Some(senders) = by_key.get_mut(&self.key) {
            senders.retain(|(number, _)| *number != self.number);
            if senders.is_empty() {
                by_key.remove(&self.key);
            }
        }
    }
}

impl Listeners {
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Vec<(u64, Sender)>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives it to all who listen; who has no room for it has missed something, and listens no more.
    fn tell(&self, record: Record) {
        let key = (record.topic, record.message.key().to_owned());
        let place = (record.topic, record.partition);
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(place, record.offset);
        let mut by_key = self.locked();
        let Some(senders) = by_key.get_mut(&key) else { return };
        let record = Arc::new(record);
        senders.retain(|(_, sender)| sender.try_send(Arc::clone(&record)).is_ok());
    }

    /// Nobody listens any more: something may have been missed.
    fn dismiss(&self, topic: TopicName) {
        self.locked().retain(|(of, _), _| *of != topic);
    }
}

/// Reads the end of one topic.
struct Reader {
    topic: TopicName,
    connection: Connection,
    listeners: Arc<Listeners>,
    pace: Arc<Pace>,
    reading: watch::Sender<bool>,
}

impl Reader {
    /// Never ends by itself.
    async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let Err(error) = self.read().await;
            self.reading.send_replace(false);
            self.listeners.dismiss(self.topic);
            tracing::warn!(topic = self.topic.as_str(), %error, "the end of the topic cannot be read");
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn read(&self) -> Result<std::convert::Infallible, client::ClientError> {
        let selection = Selection { topic: self.topic, key: None, from_end: true };
        let mut reader = TopicReader::open(&self.connection, selection).await?;
        // Whoever listened before may have missed what came while the ends were looked up.
        self.listeners.dismiss(self.topic);
        self.reading.send_replace(true);
        loop {
            match reader.next(LOOK).await? {
                Came::Message(record) => {
                    self.pace.see(&record.message);
                    self.listeners.tell(*record);
                }
                Came::End | Came::Idle => {}
            }
        }
    }
}
