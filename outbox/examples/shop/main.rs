//! A shop and its mailer: two services of somebody else's, with tables of their own and JSON on the wire.
//!
//! `cargo run -p outbox --example shop` starts a Kafka and a Postgres of its own (or takes `KAFKA_BROKERS` and
//! `DATABASE_URL`), lets things go wrong on purpose, prints what happens, and leaves nothing behind.
//!
//! `shop.rs` has the writing side and the relay, `mailer.rs` the consuming side: what a service of yours would need.

mod mailer;
mod shop;

use std::time::{Duration, Instant};

use consumer::{Handler, Json};
use dev_stack::{Stack, StackConfig};
use outbox::{Client, Database, Transaction};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio_postgres::NoTls;

use mailer::{Mailer, OrderPlaced, Sends};
use shop::Shop;

/// The topics' partition count, fixed for good.
const PARTITIONS: i32 = 3;
/// How long to wait for what has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    println!("starting a Kafka and a Postgres …");
    let stack = tokio::task::block_in_place(|| Stack::from_env_or_start(StackConfig::in_project()))?;
    let name = format!("shop_example_{}", std::process::id());
    let prefix = format!("{}.", name.replace('_', "."));
    let url = tokio::task::block_in_place(|| stack.new_database(&name))?;
    let told = tell(&url, &stack.brokers(), &prefix).await;
    // Even if something went wrong, and even on servers that are not ours, nothing stays.
    let admin = admin(&stack.brokers())?;
    let topics = topics(&prefix);
    admin.delete_topics(&topics.each_ref().map(String::as_str), &AdminOptions::new()).await?;
    let postgres = outbox::connect(&stack.database_url().parse()?, NoTls).await?;
    postgres.batch_execute(&format!("drop database {name} with (force)")).await?;
    drop(postgres);
    tokio::task::block_in_place(|| stack.stop())?;
    told
}

/// The orders, and what nobody could take of them.
fn topics(prefix: &str) -> [String; 2] {
    [format!("{prefix}orders"), format!("{prefix}orders-dlt")]
}

/// What happens.
async fn tell(url: &str, brokers: &str, prefix: &str) -> Result<()> {
    let [topic, dead_letters] = &topics(prefix);
    let new = [topic, dead_letters].map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1)));
    for created in admin(brokers)?.create_topics(&new, &AdminOptions::new()).await? {
        created.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    let database = Database::new(url.parse()?, NoTls);
    let mut shop = Shop::open(&database, topic, PARTITIONS).await?;
    let mut mailer = mailer::start(Mailer, url, brokers, prefix).await?;
    let mails = database.connect().await?;

    println!("\n1. Two orders, each in one transaction with its message; and one that the shop rolls back.");
    let relay = shop.start_relay(&database, brokers);
    shop.place("A-1", "ada", 1250).await?;
    shop.place("A-2", "grace", 4900).await?;
    shop.place_and_regret("A-3", "nobody", 1).await?;
    await_mails(&mails, 2).await?;

    println!("\n2. The relay dies without a word. Orders go on: they only need the database.");
    relay.crash().await;
    shop.place("A-4", "linus", 300).await?;
    shop.place("A-5", "ada", 99).await?;
    println!("   … another relay takes over and finds in the topic where the first one ended.");
    let relay = shop.start_relay(&database, brokers);
    await_mails(&mails, 4).await?;

    println!("\n3. The mailer dies after it has read an order and before it has committed.");
    mailer.stop();
    mailer.join().await?;
    let mut dying = mailer::start(Dying, url, brokers, prefix).await?;
    shop.place("A-6", "barbara", 720).await?;
    let died = tokio::time::timeout(PATIENCE, dying.join()).await?;
    died.err().ok_or("the mailer ended without dying")?;
    drop(dying);
    let mut mailer = mailer::start(Mailer, url, brokers, prefix).await?;
    println!("   … started again, it resumes where its last transaction left it.");
    await_mails(&mails, 5).await?;

    println!("\n4. A relay that was paused wakes up and publishes order A-1 once more, at a new offset.");
    let first = records(brokers, topic)?.into_iter().find(Copy::is_first_order).ok_or("A-1 is not in the topic")?;
    publish_again(brokers, topic, first).await?;
    shop.place("A-7", "ada", 10).await?;
    await_mails(&mails, 6).await?;
    let count = records(brokers, topic)?.iter().filter(|record| record.is_first_order()).count();
    println!("   A-1 is in the topic {count} times, and one mail was sent for it.");

    println!("\n5. A stranger writes into the shop's topic.");
    let nonsense = Copy { partition: 0, key: b"ada".to_vec(), payload: b"nonsense".to_vec(), headers: None };
    publish_again(brokers, topic, nonsense).await?;
    let begun = Instant::now();
    while records(brokers, dead_letters)?.is_empty() && begun.elapsed() < PATIENCE {}
    println!("   {} dead letter, and the mailer goes on.", records(brokers, dead_letters)?.len());
    shop.place("A-8", "ada", 11).await?;
    await_mails(&mails, 7).await?;

    mailer.stop();
    mailer.join().await?;
    relay.stop().await?;
    let (orders, mails) = (shop.orders().await?, sent(&mails).await?);
    println!("\n{} orders, {} mails: {}", orders.len(), mails.len(), mails.join(", "));
    if orders == mails { Ok(()) } else { Err(format!("orders {orders:?} but mails {mails:?}").into()) }
}

/// Does its work, and dies before the commit.
struct Dying;

impl Handler for Dying {
    const NAME: &'static str = Mailer::NAME;
    type Contract = Json<OrderPlaced>;

    async fn handle(&self, placed: &OrderPlaced, tx: &Transaction<'_>) -> Sends {
        Mailer.handle(placed, tx).await?;
        println!("   mailer: dies with {} in hand", placed.order);
        std::panic::resume_unwind(Box::new("killed"))
    }
}

/// The orders for which a mail was sent.
async fn sent(client: &Client) -> Result<Vec<String>> {
    let sql = "select order_id from mailer.mails order by 1";
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

async fn await_mails(client: &Client, wanted: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mails = sent(client).await?;
        if mails.len() == wanted {
            return Ok(());
        }
        if mails.len() > wanted || begun.elapsed() > PATIENCE {
            return Err(format!("{} mails, not {wanted}: {}", mails.len(), mails.join(", ")).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A record as it is, to be published again.
struct Copy {
    partition: i32,
    key: Vec<u8>,
    payload: Vec<u8>,
    headers: Option<OwnedHeaders>,
}

impl Copy {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: message.headers().map(rdkafka::message::BorrowedHeaders::detach),
        }
    }

    fn is_first_order(&self) -> bool {
        String::from_utf8_lossy(&self.payload).contains("\"A-1\"")
    }
}

/// Everything that a topic holds now.
fn records(brokers: &str, topic: &str) -> Result<Vec<Copy>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "reader").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut records, mut ended) = (Vec::new(), 0);
    while ended < PARTITIONS {
        match tokio::task::block_in_place(|| consumer.poll(PATIENCE)).ok_or("the topic does not end")? {
            Ok(message) => records.push(Copy::of(&message)),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(records)
}

async fn publish_again(brokers: &str, topic: &str, copy: Copy) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let record = FutureRecord::to(topic).partition(copy.partition).key(&copy.key).payload(&copy.payload);
    let record = FutureRecord { headers: copy.headers, ..record };
    producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
    Ok(())
}

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}
