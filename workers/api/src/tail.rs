//! What is said now, for whoever waits for it: each instance reads the ends of the topics of answers, in no group's name.
//!
//! Whoever listens to a key gets what is said about it from then on. A listener that is too slow, or a topic that could not be read
//! for a while, ends the listening: then something may have been missed, and the read model tells what. So nothing here need be
//! complete, and the read model is never asked again and again for those who wait. What nobody listens to is not decoded.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{Came, ClientError, Connection, Glimpse, Record, Selection, TopicReader};
use outbox::Backoff;
use schemas::{MessageType, TopicName, partitioner};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::pace::Pace;
use crate::placed::Placed;
use crate::position::Position;

/// The topics of answers to commands.
const TOPICS: [TopicName; 2] = [TopicName::OrderEvents, TopicName::StockEvents];

/// What one listener may lag behind: more than an order has events at once.
const LISTENER_CAPACITY: usize = 64;

/// What the client may hold of a topic that it has read ahead, unless the user says otherwise: who is behind lags, and fills no memory.
const READ_AHEAD: [(&str, &str); 3] =
    [("queued.max.messages.kbytes", "1024"), ("queued.min.messages", "2000"), ("fetch.message.max.bytes", "262144")];

/// How long one look at a topic waits.
const LOOK: Duration = Duration::from_secs(1);

type Sender = mpsc::Sender<Arc<Record>>;
type ByKey = HashMap<Arc<str>, Vec<(u64, Sender)>>;

#[derive(Debug, Default)]
struct Listeners {
    by_topic: Mutex<HashMap<TopicName, ByKey>>,
    /// The offset of the last record of each partition that was told, or had been said before the topic was read; by topic.
    told: Mutex<HashMap<TopicName, Vec<i64>>>,
    next: AtomicU64,
}

/// What is said now; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tail {
    listeners: Arc<Listeners>,
    /// By topic, in the order of `TOPICS`, whether it is read.
    reading: [watch::Receiver<bool>; 2],
    pace: Arc<Pace>,
    placed: Arc<Placed>,
}

/// What is said about one key from when this was made.
#[derive(Debug)]
pub struct Listening {
    receiver: mpsc::Receiver<Arc<Record>>,
    listeners: Arc<Listeners>,
    topic: TopicName,
    key: Arc<str>,
    number: u64,
    before: Option<Position>,
}

impl Tail {
    /// Reads until asked to stop. The tasks end by themselves then.
    ///
    /// # Errors
    /// Never: what the tail sets is open.
    pub fn start(
        connection: &Connection,
        stopping: &watch::Receiver<bool>,
    ) -> Result<(Self, Vec<JoinHandle<()>>), ClientError> {
        let connection = READ_AHEAD
            .into_iter()
            .try_fold(connection.clone(), |connection, (name, value)| connection.with_default(name, value))?;
        let (listeners, pace, placed) = (Arc::<Listeners>::default(), Arc::<Pace>::default(), Arc::<Placed>::default());
        let mut tasks = Vec::new();
        let reading = TOPICS.map(|topic| {
            let (tell, reading) = watch::channel(false);
            let reader = Reader {
                topic,
                connection: connection.clone(),
                listeners: Arc::clone(&listeners),
                pace: Arc::clone(&pace),
                placed: Arc::clone(&placed),
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
        Ok((Tail { listeners, reading, pace, placed }, tasks))
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

    /// Which orders are there.
    pub fn placed(&self) -> &Arc<Placed> {
        &self.placed
    }

    /// The last thing that was said in each partition of a topic; none where it is not read.
    pub fn said(&self, topic: TopicName) -> Option<Vec<Position>> {
        TOPICS.iter().zip(&self.reading).find(|(read, reading)| **read == topic && *reading.borrow())?;
        let told = self.listeners.told();
        let offsets = (0..).zip(told.get(&topic)?).filter(|(_, last)| **last >= 0);
        Some(offsets.map(|(partition, last)| Position::of_event(topic, partition, *last)).collect())
    }

    /// What is said about this key from now on.
    pub fn listen(&self, topic: TopicName, key: &str) -> Listening {
        let (sender, receiver) = mpsc::channel(LISTENER_CAPACITY);
        let number = self.listeners.next.fetch_add(1, Ordering::Relaxed);
        let key: Arc<str> = key.into();
        let mut by_topic = self.listeners.locked();
        by_topic.entry(topic).or_default().entry(Arc::clone(&key)).or_default().push((number, sender));
        drop(by_topic);
        // After it listens: what is told from now on, it gets.
        let before = self.listeners.told_of(topic, &key);
        Listening { receiver, listeners: Arc::clone(&self.listeners), topic, key, number, before }
    }
}

impl Listening {
    /// The last thing that had been said in the key's partition before: from there on nothing is missed.
    pub fn before(&self) -> Option<&Position> {
        self.before.as_ref()
    }

    /// The next one; none where something may have been missed: listen anew, and look at the read model.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        self.receiver.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut by_topic = self.listeners.locked();
        let Some(by_key) = by_topic.get_mut(&self.topic) else { return };
        if let Some(senders) = by_key.get_mut(&self.key) {
            senders.retain(|(number, _)| *number != self.number);
            if senders.is_empty() {
                by_key.remove(&self.key);
            }
        }
    }
}

impl Listeners {
    fn locked(&self) -> MutexGuard<'_, HashMap<TopicName, ByKey>> {
        self.by_topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, HashMap<TopicName, Vec<i64>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told_of(&self, topic: TopicName, key: &str) -> Option<Position> {
        let told = self.told();
        let offsets = told.get(&topic)?;
        let partition = partitioner::partition_of(key.as_bytes(), i32::try_from(offsets.len()).ok()?);
        let last = offsets.get(usize::try_from(partition).ok()?).filter(|last| **last >= 0)?;
        Some(Position::of_event(topic, partition, *last))
    }

    /// A topic is read from these offsets on: whoever listened before may have missed what came while they were looked up.
    fn begin(&self, topic: TopicName, next: &BTreeMap<i32, i64>) {
        self.told().insert(topic, next.values().map(|next| next - 1).collect());
        self.dismiss(topic);
    }

    /// Notes that this is told, and says whether anybody listens to its key. In this order: whoever begins to listen in between has
    /// it behind what was said before.
    fn hear(&self, topic: TopicName, glimpse: &Glimpse<'_>) -> bool {
        let index = usize::try_from(glimpse.partition()).unwrap_or(usize::MAX);
        if let Some(last) = self.told().get_mut(&topic).and_then(|offsets| offsets.get_mut(index)) {
            *last = glimpse.offset();
        }
        let by_topic = self.locked();
        by_topic.get(&topic).zip(glimpse.key()).is_some_and(|(by_key, key)| by_key.contains_key(key))
    }

    /// Gives it to all who listen; who has no room for it has missed something, and listens no more.
    fn tell(&self, record: Record) {
        let mut by_topic = self.locked();
        let by_key = by_topic.get_mut(&record.topic);
        let Some(senders) = by_key.and_then(|by_key| by_key.get_mut(record.message.key())) else { return };
        let record = Arc::new(record);
        senders.retain(|(_, sender)| sender.try_send(Arc::clone(&record)).is_ok());
    }

    /// Nobody listens any more: something may have been missed.
    fn dismiss(&self, topic: TopicName) {
        self.locked().remove(&topic);
    }
}

/// Reads the end of one topic.
struct Reader {
    topic: TopicName,
    connection: Connection,
    listeners: Arc<Listeners>,
    pace: Arc<Pace>,
    placed: Arc<Placed>,
    reading: watch::Sender<bool>,
}

impl Reader {
    /// Never ends by itself.
    async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let Err(error) = self.read().await;
            self.reading.send_replace(false);
            self.begin_placed();
            self.listeners.dismiss(self.topic);
            tracing::warn!(topic = self.topic.as_str(), %error, "the end of the topic cannot be read");
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn read(&self) -> Result<std::convert::Infallible, ClientError> {
        let selection = Selection { topic: self.topic, key: None, from_end: true };
        let mut reader = TopicReader::open(&self.connection, selection).await?;
        self.listeners.begin(self.topic, &reader.next_offsets());
        self.begin_placed();
        self.reading.send_replace(true);
        loop {
            let is_wanted = |glimpse: &Glimpse<'_>| {
                self.see(glimpse);
                self.listeners.hear(self.topic, glimpse)
            };
            match reader.next_wanted(LOOK, is_wanted).await? {
                Came::Message(record) => self.listeners.tell(*record),
                Came::End | Came::Idle => {}
            }
        }
    }

    /// What was placed is known anew: before this something may have been missed.
    fn begin_placed(&self) {
        if self.topic == TopicName::OrderEvents {
            self.placed.begin();
        }
    }

    /// Its kind, its key and its time are enough.
    fn see(&self, glimpse: &Glimpse<'_>) {
        let Some(order) = glimpse.key() else { return };
        if glimpse.is(MessageType::OrderPlaced) {
            self.placed.note(order);
            self.pace.placed(order, glimpse.time(), Instant::now());
        } else if glimpse.is(MessageType::OrderConfirmed) {
            self.pace.confirmed(order, glimpse.time(), Instant::now());
        }
    }
}
