//! The shop: a table of its own, and a message in the same transaction. The relay runs beside it as a task.

use outbox::{
    Client, Database, Expect, Outbox, OutboxConfig, OutboxMessage, Relay, RelayConfig, RelayError, TopicSpec, params,
};
use rdkafka::ClientConfig;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Result;

const INSERT: &str = "insert into shop.orders (id, customer, total_minor) values ($1, $2, $3)";

pub(crate) struct Shop {
    outbox: Outbox,
    client: Client,
    topic: String,
}

impl Shop {
    /// Makes the tables, the shop's own and the outbox's, and opens the outbox.
    pub(crate) async fn open(database: &Database, topic: &str, partitions: i32) -> Result<Self> {
        let mut client = database.connect().await?;
        outbox::migrate(&mut client, "shop").await?;
        let own = "create table if not exists shop.orders \
                   (id text primary key, customer text not null, total_minor bigint not null)";
        client.batch_execute(own).await?;
        let spec = TopicSpec { name: topic.to_owned(), partitions };
        let mut config = OutboxConfig::new("shop", "/shop", vec![spec]);
        config.content_type = "application/json".to_owned();
        let outbox = Outbox::open(&client, config).await?;
        Ok(Self { outbox, client, topic: topic.to_owned() })
    }

    /// Order and message in one transaction: both or neither.
    pub(crate) async fn place(&mut self, id: &str, customer: &str, total_minor: i64) -> Result<()> {
        let message = self.placed(id, customer, total_minor);
        let mut transaction = self.outbox.begin(&mut self.client).await?;
        // Deferred statements travel with the commit, in one round trip.
        transaction.defer(INSERT, params![id.to_owned(), customer.to_owned(), total_minor], Expect::Rows(1));
        let committed = transaction.commit(vec![message]).await?;
        println!("   order {id} of {customer}, sequence {} of its lane", committed.places[0].sequence);
        Ok(())
    }

    /// An order that comes to nothing, and so does its message.
    pub(crate) async fn place_and_regret(&mut self, id: &str, customer: &str, total_minor: i64) -> Result<()> {
        let transaction = self.outbox.begin(&mut self.client).await?;
        transaction.execute(INSERT, &[&id, &customer, &total_minor]).await?;
        transaction.rollback().await?;
        println!("   order {id} rolled back");
        Ok(())
    }

    /// The orders' ids.
    pub(crate) async fn orders(&self) -> Result<Vec<String>> {
        let rows = self.client.query("select id from shop.orders order by id", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Runs the relay until it is stopped. Any number of processes may do so: one leads, the others stand by.
    pub(crate) fn start_relay(&self, database: &Database, brokers: &str) -> RunningRelay {
        let mut kafka = ClientConfig::new();
        kafka.set("bootstrap.servers", brokers);
        let relay = Relay::new(&self.outbox, RelayConfig::new(database.clone(), kafka));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(relay.run(async { drop(stopped.await) }));
        RunningRelay { stop, task }
    }

    fn placed(&self, id: &str, customer: &str, total_minor: i64) -> OutboxMessage {
        let body = format!(r#"{{"order":"{id}","customer":"{customer}","total_minor":{total_minor}}}"#);
        // One customer's orders stay in their order.
        OutboxMessage::event(self.topic.as_str(), "shop.OrderPlaced.v1").key(customer.to_owned()).payload(body)
    }
}

pub(crate) struct RunningRelay {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::result::Result<(), RelayError>>,
}

impl RunningRelay {
    /// Lets what is in flight arrive.
    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.stop);
        Ok(self.task.await??)
    }

    /// As `kill -9` does it: nothing is saved, nothing is released.
    pub(crate) async fn crash(self) {
        self.task.abort();
        drop(self.task.await);
    }
}
