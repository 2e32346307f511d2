//! The mailer: a consumer with a table of its own. Work, position and offset are one transaction, so a record counts exactly
//! once, whatever is delivered twice and whoever dies in between; the crate `consumer` does the rest.

use consumer::{Consumer, Database, Each, Failure, Handle, Handler, Json, JsonMessage};
use outbox::Transaction;
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

const INSERT: &str = "insert into mailer.mails (order_id) values ($1)";
const TABLE: &str = "create table if not exists mailer.mails (number bigserial primary key, order_id text not null)";

/// What the shop says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    pub(crate) order: String,
    customer: String,
}

impl JsonMessage for OrderPlaced {
    const TOPIC: &'static str = "orders";
    const WRITER: Option<&'static str> = Some("/shop");
    const TYPE: &'static str = "shop.OrderPlaced.v1";

    fn key(&self) -> &str {
        &self.customer
    }
}

pub(crate) struct Mailer;

impl Handler for Mailer {
    const NAME: &'static str = "mailer";
    type Contract = Json<OrderPlaced>;

    async fn handle(&self, placed: &OrderPlaced, tx: &Transaction<'_>) -> Sends {
        tx.execute(INSERT, &[&placed.order]).await?;
        println!("   mailer: mail for {}", placed.order);
        Ok(Vec::new())
    }
}

/// What a message makes the mailer send: nothing.
pub(crate) type Sends = Result<Vec<OrderPlaced>, Failure>;

/// Makes the tables, joins the group, works. The relay beside it publishes the dead letters.
pub(crate) async fn start<H>(handler: H, url: &str, brokers: &str, prefix: &str) -> crate::Result<Handle>
where
    H: Handler<Contract = Json<OrderPlaced>>,
{
    let database = Database::open(url, None, "mailer", "mailer")?;
    let mut client = database.client().await?;
    outbox::migrate(&mut client, "mailer").await?;
    client.batch_execute(TABLE).await?;
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", brokers);
    let mailer = Consumer::builder(Each(handler), Json::default()).database(&database).kafka(kafka);
    Ok(mailer.topic_prefix(prefix).group(format!("{prefix}mailer")).with_relay().start().await?)
}
