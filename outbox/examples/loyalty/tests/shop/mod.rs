//! An order service that says what a test wants, with the outbox and the relay that the real one has, and the loyalty service as
//! a process. Each test has a database and topics of its own; all share the servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use consumer::FromTo;
use consumer::rebuild::rebuild;
use dev_stack::{Child, Stack, StackConfig};
use loyalty::book::Book;
use outbox::{Client, Outbox, OutboxConfig, OutboxMessage, Relay, RelayConfig, TopicSpec};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use schemas::{Codec, Message, MessageType, Time};
use serde::de::DeserializeSeed as _;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_postgres::NoTls;

pub(crate) type Result<T> = loyalty::Result<T>;

const PARTITIONS: i32 = 3;
/// Longer than anything takes that happens at all: a killed member leaves its group after its session has timed out.
const PATIENCE: Duration = Duration::from_secs(120);

static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());

/// The order service's side, and the way to the loyalty service.
pub(crate) struct Shop {
    stack: Arc<Stack>,
    url: String,
    prefix: String,
    pub(crate) schema: String,
    folder: PathBuf,
    client: Client,
    looking: Client,
    outbox: Outbox,
    /// Dropped, it ends the relay.
    _relay: oneshot::Sender<()>,
}

impl Shop {
    pub(crate) async fn open(name: &str) -> Result<Self> {
        let unique = format!("loyalty_{name}_{}", std::process::id());
        let database = unique.clone();
        let opened = tokio::task::spawn_blocking(move || -> Result<_> {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            let stack = match shared.upgrade() {
                Some(stack) => stack,
                None => Arc::new(Stack::from_env_or_start(StackConfig::in_project())?),
            };
            *shared = Arc::downgrade(&stack);
            let url = stack.new_database(&database)?;
            Ok((stack, url))
        });
        let (stack, url) = opened.await??;
        let (prefix, topic) = (format!("{unique}-"), format!("{unique}-order.events.v1"));
        let admin: AdminClient<DefaultClientContext> = kafka(&stack).create()?;
        let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
        for made in admin.create_topics(&[new], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        let config: tokio_postgres::Config = url.parse()?;
        let (mut client, looking) = (outbox::connect(&config, NoTls).await?, outbox::connect(&config, NoTls).await?);
        outbox::migrate(&mut client, "orders").await?;
        let mut settings =
            OutboxConfig::new("orders", "/order", vec![TopicSpec { name: topic, partitions: PARTITIONS }]);
        settings.content_type = "application/avro".to_owned();
        let outbox = Outbox::open(&client, settings).await?;
        let relay = Relay::new(&outbox, RelayConfig::new(outbox::Database::new(config, NoTls), kafka(&stack)));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(relay.run(async { drop(stopped.await) }));
        let folder = dev_stack::dev_folder().join(&unique);
        fs::create_dir_all(&folder)?;
        let schema = "loyalty".to_owned();
        let shop = Self { stack, url, prefix, schema, folder, client, looking, outbox, _relay: stop };
        let (code, told) = shop.run(&["setup"])?;
        assert_eq!(code, Some(0), "{told}");
        Ok(shop)
    }

    pub(crate) async fn placed(&mut self, order: &str, customer: &str, total_minor: i64) -> Result<()> {
        let placed = json!({"customer_id": customer, "placed_at": 0, "currency": "USD", "lines": [],
            "total_minor": total_minor, "confirm_by": 0});
        self.say(event(MessageType::OrderPlaced, order, 1, placed)?).await
    }

    pub(crate) async fn confirmed(&mut self, order: &str) -> Result<()> {
        self.say(event(MessageType::OrderConfirmed, order, 3, json!({}))?).await
    }

    pub(crate) async fn cancelled(&mut self, order: &str) -> Result<()> {
        let cancelled = json!({"reason": "CaptureFailed", "command_id": null});
        self.say(event(MessageType::OrderCancelled, order, 5, cancelled)?).await
    }

    async fn say(&mut self, message: Message) -> Result<()> {
        let topic = format!("{}order.events.v1", self.prefix);
        let row = OutboxMessage::event(topic.as_str(), message.type_name())
            .key(message.key().to_owned())
            .payload(Codec::embedded().encode(&message)?);
        self.outbox.begin(&mut self.client).await?.commit(vec![row]).await?;
        Ok(())
    }

    /// A record that no outbox has sent.
    pub(crate) async fn stranger_writes(&self, payload: &str) -> Result<()> {
        let producer: FutureProducer = kafka(&self.stack).create()?;
        let topic = format!("{}order.events.v1", self.prefix);
        let record = FutureRecord::to(&topic).key("k").payload(payload);
        producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    pub(crate) fn start_service(&self) -> Result<Child> {
        Ok(Child::spawn(self.command(&["run"]), "loyalty-service", &self.folder.join("service.log"))?)
    }

    /// Asks it to end, and sees that it does so in good order.
    pub(crate) fn stop_service(&self, service: Child) -> Result<()> {
        service.terminate()?;
        let status = tokio::task::block_in_place(|| service.wait_timeout(PATIENCE))?;
        match status.and_then(|status| status.code()) {
            Some(0) => Ok(fs::remove_dir_all(&self.folder)?),
            code => Err(format!("it ended with {code:?}:\n{}", service.tail()).into()),
        }
    }

    /// Runs a verb that ends by itself; its exit code and all that it printed.
    pub(crate) fn run(&self, verb: &[&str]) -> Result<(Option<i32>, String)> {
        let output = tokio::task::block_in_place(|| self.command(verb).output())?;
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.code(), told))
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loyalty-service"));
        command.env("DATABASE_URL", &self.url).env("KAFKA_BROKERS", self.stack.brokers());
        command.args(["--topic-prefix", &self.prefix, "--schema", &self.schema]).args(verb);
        command
    }

    /// Every customer's points.
    pub(crate) async fn accounts(&self) -> Result<BTreeMap<String, i64>> {
        let sql = format!("select customer, points from {}.loyalty_accounts", self.schema);
        Ok(self.looking.query(&sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Every order's state.
    pub(crate) async fn states(&self) -> Result<BTreeMap<String, String>> {
        let sql = format!("select order_id, state from {}.loyalty_entries", self.schema);
        Ok(self.looking.query(&sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The first column of a query.
    pub(crate) async fn query(&self, sql: &str) -> Result<Vec<String>> {
        Ok(self.looking.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Changes something on purpose.
    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        Ok(self.looking.batch_execute(sql).await?)
    }

    /// Makes the tables again, in a schema of their own.
    pub(crate) async fn rebuild_into(&self, schema: &str) -> Result<()> {
        let database = consumer::Database::open(&self.url, None, &self.schema, "tests")?;
        let rebuilt = rebuild::<Book>(FromTo::default(), &database, &kafka(&self.stack), &self.prefix).await?;
        Ok(rebuilt.write_to(schema).await?)
    }

    /// Holds every account until it is dropped.
    pub(crate) async fn lock_accounts(&self) -> Result<Client> {
        let client = outbox::connect(&self.url.parse()?, NoTls).await?;
        let sql = format!("begin; lock table {}.loyalty_accounts in share row exclusive mode", self.schema);
        client.batch_execute(&sql).await?;
        Ok(client)
    }

    /// Whether a session of the service waits for such a lock.
    pub(crate) async fn waits_for_lock(&self) -> Result<()> {
        let sql = "select query from pg_stat_activity where datname = current_database() \
                   and application_name = 'loyalty' and wait_event_type = 'Lock'";
        let waiting = self.query(sql).await?;
        if waiting.is_empty() { Err("nobody waits".into()) } else { Ok(()) }
    }

    /// Whether something was set aside.
    pub(crate) async fn has_dead_letter(&self) -> Result<()> {
        let sql = format!(
            "select t.name from {0}.outbox_messages m join {0}.outbox_lanes using (lane) \
             join {0}.outbox_topics t on t.id = topic_id where t.name like '%-dlt'",
            self.schema
        );
        let letters = self.query(&sql).await?;
        if letters.len() == 1 { Ok(()) } else { Err(format!("{letters:?}").into()) }
    }
}

fn kafka(stack: &Stack) -> ClientConfig {
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", stack.brokers());
    kafka
}

fn at() -> Time {
    Time::from_micros(0)
}

/// Looks until `look` succeeds; its last complaint says what was missing.
pub(crate) async fn until(what: &str, look: impl AsyncFn() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(format!("{what}: not in time: {error}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// An event of an order: what each of them says, and its own fields; what may be left out is.
fn event(message_type: MessageType, order: &str, version: i64, mut body: Value) -> Result<Message> {
    let head = json!({"order_id": order, "version": version, "at": at().as_micros()});
    if let (Some(fields), Value::Object(head)) = (body.as_object_mut(), head) {
        fields.extend(head);
    }
    Ok(message_type.deserialize(body)?)
}
