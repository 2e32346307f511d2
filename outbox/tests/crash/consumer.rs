//! The consumer: takes what the topics give, each message once, into tables of its own, in one transaction with the inbox.
//!
//! As the crate asks for: what is next is decided by position, resumed is at the stored offset, a conflict begins anew. A
//! gap is read again from the log's start, once; then it is passed over, and the checker sees what is missing. Where a log
//! ends before the stored offset, the offset is forgotten, as an operator would.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use outbox::inbox::{
    Advance, Cursor, Delivery, Inbox, LogMark, LogStart, PartitionState, SourceCursor, TopicPartition,
};
use outbox::planted::PlantedBug;
use outbox::{Client, Expect, Outbox, Position, params};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_postgres::{NoTls, Statement};

use crate::Outcome;
use crate::settings::{SOURCE, Settings};

const BATCH: usize = 50;
/// After so long without a record the consumer looks whether there is a reason.
const IDLE: Duration = Duration::from_millis(400);

/// A record as read.
#[derive(Debug)]
struct Taken {
    offset: i64,
    position: Position,
    key: String,
    body: String,
}

/// Cursors at which the log was already read again.
type Reread = HashMap<(String, i32), Option<Cursor>>;

/// Consumes until the process ends.
pub(crate) async fn run(settings: Settings) -> Outcome<()> {
    let mut reread = Reread::new();
    loop {
        if let Err(error) = session(&settings, &mut reread).await {
            eprintln!("the consumer begins anew: {error}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What one connection and one assignment work with.
struct Session<'s> {
    settings: &'s Settings,
    outbox: Outbox,
    inbox: Inbox,
    consumer: BaseConsumer,
    states: HashMap<(String, i32), PartitionState>,
    /// Rows in the table of what was taken.
    counts: HashMap<(String, i32), i64>,
    take: Statement,
    fold: Statement,
}

async fn session(settings: &Settings, reread: &mut Reread) -> Outcome<()> {
    let database: tokio_postgres::Config = settings.reader_url.parse()?;
    let mut client = outbox::connect(&database, NoTls).await?;
    client.batch_execute("set idle_in_transaction_session_timeout = '1s'").await?;
    let mut session = Session::open(settings, &client).await?;
    let mut last_read = Instant::now();
    loop {
        let read = tokio::task::block_in_place(|| session.read());
        match read {
            Ok(read) if read.is_empty() && last_read.elapsed() > IDLE => {
                session.look_around(&client).await?;
                last_read = Instant::now();
            }
            Ok(read) => {
                if !read.is_empty() {
                    last_read = Instant::now();
                }
                for (at, records) in read {
                    session.take(&mut client, &at, records, reread).await?;
                }
            }
            Err(error) => {
                session.forget_lost_offsets(&client).await?;
                return Err(error);
            }
        }
    }
}

impl<'s> Session<'s> {
    async fn open(settings: &'s Settings, client: &Client) -> Outcome<Self> {
        let outbox = Outbox::open(client, settings.reader()).await?;
        let inbox = Inbox::new(&outbox.config().schema)?;
        let names = settings.partitions();
        let at: Vec<TopicPartition> = names
            .iter()
            .map(|(topic, partition)| TopicPartition { topic: topic.clone(), partition: *partition })
            .collect();
        inbox.ensure(client, &at).await?;
        inbox.prepare(client).await?;
        let states: HashMap<_, _> = names.into_iter().zip(inbox.load(client, &at).await?).collect();
        let mut counts = HashMap::new();
        for row in client.query("select topic, partition, count(*) from reader.taken group by 1, 2", &[]).await? {
            counts.insert((row.get(0), row.get(1)), row.get(2));
        }
        let take = "insert into reader.taken (topic, partition, n, epoch, first, sequence, body) \
                    values ($1, $2, $3, $4, $5, $6, $7)";
        let fold = "insert into reader.folded as f (key, count, chain) values ($1, 1, $2) on conflict (key) do update \
                    set count = f.count + 1, chain = (f.chain * 1000003 + excluded.chain) % 2147483647";
        let (take, fold) = (client.prepare(take).await?, client.prepare(fold).await?);
        let consumer: BaseConsumer = settings.consumer().create()?;
        let mut list = TopicPartitionList::new();
        for ((topic, partition), state) in &states {
            let from = state.next_offset.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(topic, *partition, from)?;
        }
        // A logical offset is looked up only once the broker is known.
        consumer.fetch_metadata(None, Duration::from_secs(2))?;
        consumer.assign(&list)?;
        Ok(Self { settings, outbox, inbox, consumer, states, counts, take, fold })
    }

    /// What has come, by partition, in the order of the log.
    fn read(&self) -> Outcome<HashMap<(String, i32), Vec<Taken>>> {
        let mut read: HashMap<(String, i32), Vec<Taken>> = HashMap::new();
        for number in 0..BATCH {
            let wait = Duration::from_millis(if number == 0 { 50 } else { 0 });
            let Some(message) = self.consumer.poll(wait) else { break };
            let message = message?;
            let at = (message.topic().to_owned(), message.partition());
            if let Some(taken) = parse(&message) {
                read.entry(at).or_default().push(taken);
            }
        }
        Ok(read)
    }

    /// Takes what is next among these records, in one transaction with the step of the inbox.
    async fn take(
        &mut self,
        client: &mut Client,
        at: &(String, i32),
        records: Vec<Taken>,
        reread: &mut Reread,
    ) -> Outcome<()> {
        let Some(state) = self.states.get_mut(at) else { return Ok(()) };
        let (from, mut cursor) = (state.next_offset, state.cursors.get(SOURCE).copied());
        let bug = self.settings.bug;
        let mut next = Vec::new();
        let mut to = from;
        for record in records {
            match judge(bug, cursor, &record.position) {
                Delivery::Next => cursor = Some(Cursor::from(&record.position)),
                Delivery::Duplicate | Delivery::Stale => {
                    to = Some(record.offset + 1);
                    continue;
                }
                Delivery::Gap { .. } | Delivery::EpochNotAtFirst { .. } => {
                    if reread.insert(at.clone(), cursor) != Some(cursor) && from.is_some() {
                        forget_offset(client, at).await?;
                        return Err(format!("a gap at {} after {cursor:?}", record.position).into());
                    }
                    to = Some(record.offset + 1);
                    continue;
                }
            }
            to = Some(record.offset + 1);
            next.push(record);
        }
        let Some(to) = to.filter(|to| Some(*to) != from) else { return Ok(()) };
        let place = TopicPartition { topic: at.0.clone(), partition: at.1 };
        let count = self.counts.entry(at.clone()).or_default();
        let mut transaction = self.outbox.begin(client).await?;
        self.inbox.lock(&transaction, std::slice::from_ref(&place)).await?;
        for record in &next {
            let Position { epoch, first, sequence, .. } = record.position;
            let (key, body) = (record.key.clone(), record.body.clone());
            let params = params![at.0.clone(), at.1, *count, epoch, first, sequence, body];
            *count += 1;
            transaction.defer(&self.take, params, Expect::Rows(1));
            let value = value_of(&record.body);
            transaction.defer(&self.fold, params![key, value], Expect::Rows(1));
        }
        let moved = cursor.filter(|_| cursor != state.cursors.get(SOURCE).copied());
        // Whoever takes offsets for the truth keeps nothing else.
        let moved = moved.filter(|_| bug != Some(PlantedBug::DedupeByOffset));
        let cursors = moved.map(|cursor| SourceCursor { source: SOURCE.to_owned(), cursor }).into_iter().collect();
        self.inbox.advance(
            &mut transaction,
            &[Advance { at: place, from, to, log: LogMark::default(), cursors, parkings: 0, parks: false }],
        );
        transaction.commit(Vec::new()).await?;
        state.next_offset = Some(to);
        if let Some(cursor) = cursor {
            state.cursors.insert(SOURCE.to_owned(), cursor);
        }
        Ok(())
    }

    /// Whether there is a reason that nothing comes: the client library does not always notice that a topic is another
    /// one, and an operator may have changed where to resume.
    async fn look_around(&self, client: &Client) -> Outcome<()> {
        self.forget_lost_offsets(client).await?;
        let sql = "select topic, partition, next_offset from reader.inbox_offsets";
        for row in client.query(sql, &[]).await? {
            let at: (String, i32) = (row.get(0), row.get(1));
            let resume: Option<i64> = row.get(2);
            if self.states.get(&at).is_some_and(|state| state.next_offset != resume) {
                return Err(format!("{}-{} shall be read from {resume:?}", at.0, at.1).into());
            }
            let end = self.end_of(&at)?;
            if resume.unwrap_or(0) < end {
                return Err(format!("{}-{} gives nothing up to {end}", at.0, at.1).into());
            }
        }
        Ok(())
    }

    /// Forgets offsets that lie behind the end of their log: that log is another one.
    async fn forget_lost_offsets(&self, client: &Client) -> Outcome<()> {
        for (at, state) in &self.states {
            let end = self.end_of(at)?;
            if state.next_offset.is_some_and(|offset| offset > end) {
                forget_offset(client, at).await?;
            }
        }
        Ok(())
    }

    fn end_of(&self, at: &(String, i32)) -> Outcome<i64> {
        let wait = Duration::from_secs(2);
        Ok(tokio::task::block_in_place(|| self.consumer.fetch_watermarks(&at.0, at.1, wait))?.1)
    }
}

async fn forget_offset(client: &Client, at: &(String, i32)) -> Outcome<()> {
    let sql = "update reader.inbox_offsets set next_offset = null where topic = $1 and partition = $2";
    client.execute(sql, &[&at.0, &at.1]).await?;
    Ok(())
}

fn judge(bug: Option<PlantedBug>, cursor: Option<Cursor>, position: &Position) -> Delivery {
    outbox::inbox::judge_planted(bug, cursor, position, LogStart::AtZero)
}

/// A number below 2³¹ for a body: FNV-1a, folded.
pub(crate) fn value_of(body: &str) -> i64 {
    let hash = body.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    i64::from(hash >> 1)
}

fn parse(message: &BorrowedMessage<'_>) -> Option<Taken> {
    Some(Taken {
        offset: message.offset(),
        position: position_of(message)?,
        key: String::from_utf8(message.key()?.to_vec()).ok()?,
        body: String::from_utf8(message.payload()?.to_vec()).ok()?,
    })
}

/// The last position among a record's headers.
pub(crate) fn position_of(message: &BorrowedMessage<'_>) -> Option<Position> {
    let headers = message.headers()?;
    let mut from_the_end = (0..headers.count()).rev().map(|index| headers.get(index));
    let header = from_the_end.find(|header| header.key == outbox::position::POSITION_HEADER)?;
    Position::parse(header.value?).ok()
}
