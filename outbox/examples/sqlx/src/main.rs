//! A service on sqlx: its own pool, its own transactions with savepoints, and messages that are sent if they commit.
//!
//! `./run` starts a Postgres and a Kafka, runs this, publishes with `outbox-relay`, and shows what a stock consumer reads.
//! Without it: `DATABASE_URL` says where Postgres is, `TOPIC` which topic of three partitions the messages are for.

use std::env;
use std::error::Error;

use outbox::{Database, Outbox, OutboxConfig, OutboxMessage, SendColumns, TopicSpec, send_sql};
use sqlx::postgres::PgPool;
use sqlx::{Acquire, PgConnection};

/// The schema of the shop's tables and of its outbox.
const SCHEMA: &str = "shop";

/// Sends messages in whatever transaction is open on this connection. All that sqlx has to know of the outbox.
async fn send(connection: &mut PgConnection, messages: &[OutboxMessage]) -> Result<(), Box<dyn Error>> {
    let columns = SendColumns::of(messages)?;
    sqlx::query(&send_sql(SCHEMA)?)
        .bind(columns.topics)
        .bind(columns.keys)
        .bind(columns.payloads)
        .bind(columns.types)
        .bind(columns.ids)
        .bind(columns.headers)
        .bind(columns.partitions)
        .bind(columns.times_us)
        .bind(columns.causations)
        .bind(columns.trace_parents)
        .execute(connection)
        .await?;
    Ok(())
}

/// Once per process, on a connection of the outbox' own driver: makes the tables and registers the topic.
async fn prepare(url: &str, topic: &str) -> Result<(), Box<dyn Error>> {
    let mut client = Database::new(url.parse()?, tokio_postgres::NoTls).connect().await?;
    outbox::migrate(&mut client, SCHEMA).await?;
    let mut config = OutboxConfig::new(SCHEMA, "/shop", vec![TopicSpec { name: topic.to_owned(), partitions: 3 }]);
    config.content_type = "application/json".to_owned();
    Outbox::open(&client, config).await?;
    Ok(())
}

fn placed(topic: &str, order: &str, customer: &str) -> OutboxMessage {
    let body = format!(r#"{{"order":"{order}","customer":"{customer}"}}"#);
    OutboxMessage::event(topic, "shop.OrderPlaced.v1").key(customer.to_owned()).payload(body).header("tenant", "eu")
}

async fn insert(connection: &mut PgConnection, order: &str) -> Result<(), sqlx::Error> {
    sqlx::query("insert into shop.orders (id) values ($1)").bind(order).execute(connection).await.map(|_| ())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, topic) = (env::var("DATABASE_URL")?, env::var("TOPIC")?);
    prepare(&url, &topic).await?;
    let pool = PgPool::connect(&url).await?;
    sqlx::query("create table if not exists shop.orders (id text primary key)").execute(&pool).await?;

    // Orders and their messages, of two customers, in one transaction.
    let mut transaction = pool.begin().await?;
    for (order, customer) in [("A-1", "ada"), ("A-2", "grace"), ("A-3", "ada")] {
        insert(&mut transaction, order).await?;
        send(&mut transaction, &[placed(&topic, order, customer)]).await?;
    }
    // One that a savepoint takes back, with its message.
    let mut savepoint = transaction.begin().await?;
    insert(&mut savepoint, "A-4").await?;
    send(&mut savepoint, &[placed(&topic, "A-4", "ada")]).await?;
    savepoint.rollback().await?;
    transaction.commit().await?;

    // One that comes to nothing.
    let mut transaction = pool.begin().await?;
    insert(&mut transaction, "A-5").await?;
    send(&mut transaction, &[placed(&topic, "A-5", "grace")]).await?;
    transaction.rollback().await?;

    // What cannot be published is refused where it is sent.
    let mut transaction = pool.begin().await?;
    let refused = send(&mut transaction, &[placed("no.such.topic", "A-6", "ada")]).await;
    println!("refused: {}", refused.err().ok_or("a topic that nobody registered was taken")?);
    transaction.rollback().await?;

    let orders: Vec<String> = sqlx::query_scalar("select id from shop.orders order by id").fetch_all(&pool).await?;
    println!("committed: {}", orders.join(", "));
    Ok(())
}
