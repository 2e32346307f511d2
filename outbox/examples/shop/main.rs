//! A shop and its mailer: two services of somebody else's, with tables of their own and JSON on the wire.
//!
//! `cargo run -p outbox --example shop` starts a Kafka and a Postgres of its own (or takes `KAFKA_BROKERS` and
//! `DATABASE_URL`), lets things go wrong on purpose, prints what happens, and leaves nothing behind.
//!
//! `shop.rs` has the writing side and the relay, `mailer.rs` the consuming side: what a service of yours would need.

mod mailer;
mod shop;

use std::time::Duration;

use dev_stack::{Stack, StackConfig};
use outbox::Database;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio_postgres::NoTls;

use mailer::{Mailer, Mails};
use shop::Shop;

/// The topic's partition count, fixed for good.
const PARTITIONS: i32 = 3;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    println!("starting a Kafka and a Postgres …");
    let stack = tokio::task::block_in_place(|| Stack::from_env_or_start(StackConfig::in_project()))?;
    let name = format!("shop_example_{}", std::process::id());
    let url = tokio::task::block_in_place(|| stack.new_database(&name))?;
    let told = tell(&url, &stack.brokers(), &name.replace('_', ".")).await;
    // Even if something went wrong, and even on servers that are not ours, nothing stays.
    let admin = admin(&stack.brokers())?;
    admin.delete_topics(&[&name.replace('_', ".")], &AdminOptions::new()).await?;
    let postgres = outbox::connect(&stack.database_url().parse()?, NoTls).await?;
    postgres.batch_execute(&format!("drop database {name} with (force)")).await?;
    drop(postgres);
    tokio::task::block_in_place(|| stack.stop())?;
    told
}

/// What happens.
async fn tell(url: &str, brokers: &str, topic: &str) -> Result<()> {
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    for created in admin(brokers)?.create_topics(&[new], &AdminOptions::new()).await? {
        created.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    let database = Database::new(url.parse()?, NoTls);
    let mut shop = Shop::open(&database, topic, PARTITIONS).await?;
    let mut mailer = Mailer::open(&database, brokers, topic, PARTITIONS).await?;

    println!("\n1. Two orders, each in one transaction with its message; and one that the shop rolls back.");
    let relay = shop.start_relay(&database, brokers);
    shop.place("A-1", "ada", 1250).await?;
    shop.place("A-2", "grace", 4900).await?;
    shop.place_and_regret("A-3", "nobody", 1).await?;
    let first = mailer.read(2).await?;
    expect(&first, 2, 0)?;

    println!("\n2. The relay dies without a word. Orders go on: they only need the database.");
    relay.crash().await;
    shop.place("A-4", "linus", 300).await?;
    shop.place("A-5", "ada", 99).await?;
    println!("   … another relay takes over and finds in the topic where the first one ended.");
    let relay = shop.start_relay(&database, brokers);
    expect(&mailer.read(2).await?, 2, 0)?;

    println!("\n3. The mailer dies after it has read an order and before it has committed.");
    shop.place("A-6", "barbara", 720).await?;
    mailer.read_and_crash().await?;
    let mut mailer = Mailer::open(&database, brokers, topic, PARTITIONS).await?;
    println!("   … started again, it resumes where its last transaction left it.");
    expect(&mailer.read(1).await?, 1, 0)?;

    println!("\n4. A relay that was paused wakes up and publishes order A-1 once more, at a new offset.");
    let again = first.records.iter().find(|record| record.key == b"ada").ok_or("A-1 was not read")?;
    publish_again(brokers, topic, again).await?;
    shop.place("A-7", "ada", 10).await?;
    expect(&mailer.read(1).await?, 1, 1)?;

    relay.stop().await?;
    let (orders, mails) = (shop.orders().await?, mailer.mails().await?);
    println!("\n{} orders, {} mails: {}", orders.len(), mails.len(), mails.join(", "));
    if orders == mails { Ok(()) } else { Err(format!("orders {orders:?} but mails {mails:?}").into()) }
}

/// A record as it was, to be published again.
pub(crate) struct Copy {
    partition: i32,
    key: Vec<u8>,
    payload: Vec<u8>,
    headers: Option<rdkafka::message::OwnedHeaders>,
}

impl Copy {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: message.headers().map(rdkafka::message::BorrowedHeaders::detach),
        }
    }
}

async fn publish_again(brokers: &str, topic: &str, copy: &Copy) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let record = FutureRecord::to(topic).partition(copy.partition).key(&copy.key).payload(&copy.payload);
    let record = FutureRecord { headers: copy.headers.clone(), ..record };
    producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
    Ok(())
}

fn admin(brokers: &str) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new().set("bootstrap.servers", brokers).create()?)
}

fn expect(mails: &Mails, sent: usize, duplicates: usize) -> Result<()> {
    if (mails.sent, mails.duplicates) == (sent, duplicates) {
        return Ok(());
    }
    Err(format!("{} mails and {} duplicates, not {sent} and {duplicates}", mails.sent, mails.duplicates).into())
}
