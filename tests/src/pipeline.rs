//! The pipeline under test: three services with topics, a database and processes of their own.
//!
//! Dropped before [`Pipeline::check_clean`] has found nothing, it prints the end of every log; its folder then stays, as
//! it always does with `KEEP_TEST_LOGS` set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Connection, Publisher, Record, Selection, TopicReader};
use domain::simulator::SimulatorConfig;
use rdkafka::ClientConfig;
use schemas::{CommandId, Message, OrderId, PlaceOrder, ReceiveStock, ServiceName, Sku, TopicName};
use tokio::task::JoinHandle;

use crate::daemon::Program;
use crate::settings::SettingsFile;
use crate::webhooks::{AFTERWARDS, WEBHOOK_SECRETS};
use crate::{Broker, Daemon, Finished, LONG, OrderRow, Outcome, Servers, Settings, Tables, is_sound, trouble, until};

/// How long a daemon may take to end after SIGTERM; its own deadline is 20 s.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// Three services.
pub struct Pipeline {
    servers: Servers,
    settings: Settings,
    prefix: String,
    database_url: String,
    daemons_database: String,
    role: String,
    program: Program,
    daemons: BTreeMap<(ServiceName, usize), Daemon>,
    tables: Tables,
    broker: Broker,
    pub(crate) publisher: Arc<Publisher>,
    connection: Connection,
    publishing: Connection,
    is_clean: AtomicBool,
}

impl Pipeline {
    /// Prepares and starts everything, and waits until all instances are ready. `program` is `pipeline-daemon`.
    pub async fn start(program: &str, servers: &Servers, settings: Settings) -> Outcome<Self> {
        let mut pipeline = Self::prepare(program, servers, settings).await?;
        pipeline.start_services(&ServiceName::ALL).await?;
        Ok(pipeline)
    }

    /// Migrates and creates the topics; starts nothing.
    pub async fn prepare(program: &str, servers: &Servers, settings: Settings) -> Outcome<Self> {
        let name = Servers::unique_name();
        let (stack, database) = (servers.clone(), name.clone());
        let database_url = tokio::task::spawn_blocking(move || stack.stack().new_database(&database)).await??;
        let prefix = format!("{name}-");
        let folder = dev_stack::dev_folder().join("tests").join(&name);
        let program = Program { path: PathBuf::from(program), folder, read_only_root: settings.read_only_root };
        std::fs::create_dir_all(&program.folder)?;
        if servers.credentials().is_ok() {
            grant(servers, &program, &prefix).await?;
        }
        let kafka = servers.client_config("topic-admin")?;
        let (topics, partitions) = (&prefix, settings.partitions);
        until("the topics are made", LONG, async || {
            Ok(provision::topics::create(&kafka, topics, partitions, 1, jiff::Timestamp::now()).await?)
        })
        .await?;
        let publishing = connection(servers, "publisher", &prefix)?;
        let tables = Tables::create(&database_url).await?;
        let pipeline = Pipeline {
            daemons_database: tables.create_role(&database_url, &name).await?,
            role: name,
            tables,
            broker: Broker::new(servers.admin_config()?, &prefix)?,
            publisher: Arc::new(Publisher::open(&publishing, "/tests")?),
            connection: connection(servers, "orders", &prefix)?,
            publishing,
            program,
            servers: servers.clone(),
            daemons: BTreeMap::new(),
            is_clean: AtomicBool::new(false),
            settings,
            prefix,
            database_url,
        };
        for service in ServiceName::ALL {
            pipeline.write_settings(service)?;
        }
        Ok(pipeline)
    }

    fn write_settings(&self, service: ServiceName) -> Outcome {
        let brokers = self.settings.brokers.clone().unwrap_or_else(|| self.servers.brokers());
        let statement = Some(self.statement_file());
        let hooked = self.settings.webhooks && service == ServiceName::Payment;
        let afterwards = self.settings.webhooks.then(|| self.program.folder.join(AFTERWARDS));
        let own = self.servers.properties(&format!("{service}-worker"))?.into_iter();
        let mut kafka: BTreeMap<String, toml::Value> = own.map(|(name, value)| (name, value.into())).collect();
        kafka.insert("session.timeout.ms".to_owned(), i64::from(self.settings.session_timeout_ms).into());
        let file = SettingsFile {
            brokers: &brokers,
            database_url: &self.daemons_database,
            topic_prefix: &self.prefix,
            listen: "127.0.0.1:0",
            log: "info",
            partitions: self.settings.partitions,
            confirm_within_ms: self.settings.confirm_within_ms,
            ship_within_ms: self.settings.ship_within_ms,
            hold_within_ms: self.settings.hold_within_ms,
            return_within_ms: self.settings.return_within_ms,
            hold_above_minor: self.settings.hold_above_minor,
            timer_period_ms: self.settings.timer_period_ms,
            max_batch_items: self.settings.max_batch_items,
            parked_pause_s: self.settings.parked_pause_s,
            parked_messages_of_key: self.settings.parked_messages_of_key,
            parked_flood_keys: self.settings.parked_flood_keys,
            webhook_listen: hooked.then_some("127.0.0.1:0"),
            webhook_secrets_file: hooked.then(|| self.program.folder.join(WEBHOOK_SECRETS)),
            kafka,
            provider: &self.settings.provider,
            simulator: SimulatorConfig { statement, afterwards, ..self.settings.simulator.clone() },
        };
        std::fs::write(self.settings_file(service), toml::to_string(&file)?)?;
        Ok(())
    }

    fn settings_file(&self, service: ServiceName) -> PathBuf {
        self.program.folder.join(format!("{service}.toml"))
    }

    pub(crate) fn statement_file(&self) -> PathBuf {
        self.program.folder.join("statement.jsonl")
    }

    /// Goes over to other topics, which are there; those before are deleted. No daemon may run.
    pub fn move_to(&mut self, prefix: &str) -> Outcome {
        self.broker.delete_topics();
        prefix.clone_into(&mut self.prefix);
        self.publishing = connection(&self.servers, "publisher", prefix)?;
        self.connection = connection(&self.servers, "orders", prefix)?;
        self.publisher = Arc::new(Publisher::open(&self.publishing, "/tests")?);
        self.broker = Broker::new(self.servers.admin_config()?, prefix)?;
        ServiceName::ALL.into_iter().try_for_each(|service| self.write_settings(service))
    }

    /// Changes what instances started from now on are told.
    pub fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) -> Outcome {
        change(&mut self.settings);
        ServiceName::ALL.into_iter().try_for_each(|service| self.write_settings(service))
    }

    // ---------------------------------------------------------------- processes

    /// Starts all instances of these services that do not run, and waits until they are ready.
    pub async fn start_services(&mut self, services: &[ServiceName]) -> Outcome {
        for service in services {
            for instance in 0..self.settings.instances {
                if !self.daemons.contains_key(&(*service, instance)) {
                    self.spawn(*service, instance).await?;
                }
            }
        }
        for ((service, _), daemon) in &self.daemons {
            if services.contains(service) {
                daemon.await_ready().await?;
            }
        }
        Ok(())
    }

    /// Starts one instance under its own id; does not wait until it is ready.
    pub async fn spawn(&mut self, service: ServiceName, instance: usize) -> Outcome {
        let arguments = self.arguments(service, &["run", "--instance-id", &format!("{service}-{instance}")]);
        let daemon = self.program.start(service, &format!("{service}-{instance}"), &arguments).await?;
        self.daemons.insert((service, instance), daemon);
        Ok(())
    }

    pub(crate) fn arguments(&self, service: ServiceName, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--config".to_owned(), self.settings_file(service).display().to_string()]);
        if let Some((_, bug)) = self.settings.planted_bug.filter(|(concerned, _)| *concerned == service) {
            all.extend(["--planted-bug".to_owned(), bug.to_owned()]);
        }
        all
    }

    /// Runs a subcommand of a daemon with this pipeline's settings.
    pub async fn run(&self, service: ServiceName, arguments: &[&str]) -> Outcome<Finished> {
        self.program.run(service, &format!("{service}-{}", arguments[0]), &self.arguments(service, arguments)).await
    }

    /// Runs `migrate` as the owner, for the daemons' role.
    pub async fn migrate(&self, service: ServiceName) -> Outcome<Finished> {
        self.run(service, &["migrate", "--database-url", &self.database_url, "--grants", &self.role]).await
    }

    /// The role that the daemons connect as: it owns nothing.
    pub fn daemons_role(&self) -> &str {
        &self.role
    }

    /// Makes a role that may read everything and do nothing else; the words by which it connects.
    pub async fn create_reader(&self) -> Outcome<String> {
        self.tables.create_reader(&self.database_url, &format!("{}_reader", self.role)).await
    }

    /// A running instance.
    pub fn daemon(&self, service: ServiceName, instance: usize) -> Outcome<&Daemon> {
        self.daemons.get(&(service, instance)).ok_or_else(|| trouble(format!("{service}-{instance} is not running")))
    }

    /// Every running instance.
    pub fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        self.daemons.values()
    }

    /// SIGKILL to one instance.
    pub fn kill9(&mut self, service: ServiceName, instance: usize) -> Outcome {
        self.take(service, instance)?.kill9()
    }

    /// SIGKILL to all instances of a service.
    pub fn kill9_all(&mut self, service: ServiceName) -> Outcome {
        (0..self.settings.instances).try_for_each(|instance| self.kill9(service, instance))
    }

    /// SIGTERM to one instance, and waits for its end.
    pub async fn stop(&mut self, service: ServiceName, instance: usize) -> Outcome<Finished> {
        let daemon = self.take(service, instance)?;
        daemon.terminate()?;
        daemon.finish(DRAIN_LIMIT).await
    }

    /// SIGTERM to every instance of these services, one after the other, and waits for their ends.
    pub async fn stop_services(&mut self, services: &[ServiceName]) -> Outcome {
        let running: Vec<(ServiceName, usize)> =
            self.daemons.keys().filter(|(service, _)| services.contains(service)).copied().collect();
        for (service, instance) in running {
            self.stop(service, instance).await?;
        }
        Ok(())
    }

    /// Takes an instance out of the pipeline: it may end.
    pub fn take(&mut self, service: ServiceName, instance: usize) -> Outcome<Daemon> {
        self.is_clean.store(false, Ordering::Relaxed);
        let taken = self.daemons.remove(&(service, instance));
        taken.ok_or_else(|| trouble(format!("{service}-{instance} is not running")))
    }

    // ---------------------------------------------------------------- commands

    /// Publishes messages as a client does, and waits until the broker has them.
    pub async fn publish<M: Into<Message> + Clone>(&self, messages: &[M]) -> Outcome {
        self.is_clean.store(false, Ordering::Relaxed);
        for message in messages {
            self.publisher.send(&message.clone().into()).await?;
        }
        let before = self.publisher.flush(LONG).await?;
        if before.failed > 0 {
            return Err(trouble(format!("not published: {:?}", before.failures)));
        }
        Ok(())
    }

    /// From here on commands are published by a client that knows nothing of the outage that the one before went through.
    pub fn renew_publisher(&mut self) -> Outcome {
        self.publisher = Arc::new(Publisher::open(&self.publishing, "/tests")?);
        Ok(())
    }

    /// Receives this stock and waits until inventory has booked it.
    pub async fn receive(&self, stock: &BTreeMap<Sku, i64>) -> Outcome {
        let receipts = stock.iter().map(|(sku, quantity)| {
            let command_id = CommandId::new(format!("receipt-{sku}"))?;
            Ok(ReceiveStock::of(sku.clone(), command_id, *quantity))
        });
        self.publish(&receipts.collect::<Outcome<Vec<_>>>()?).await?;
        let wanted = i64::try_from(stock.len())?;
        self.until("all stock is booked", async || {
            let booked = self.tables.number("select count(*) from inventory.stock_receipts").await?;
            if booked >= wanted { Ok(()) } else { Err(trouble(format!("{booked} of {wanted} receipts are booked"))) }
        })
        .await
    }

    /// Publishes orders one by one at this pace, beside whatever the test does; to be joined.
    pub fn trickle(&self, orders: &[PlaceOrder], per_second: u32) -> JoinHandle<Outcome> {
        let (publisher, orders) = (self.publisher.clone(), orders.to_vec());
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
            for order in orders {
                tick.tick().await;
                publisher.send(&order.into()).await?;
            }
            let done = publisher.flush(LONG).await?;
            if done.failed > 0 { Err(trouble(format!("not published: {:?}", done.failures))) } else { Ok(()) }
        })
    }

    // ---------------------------------------------------------------- looking

    /// Waits for a condition; fails at once when an instance has ended that should run.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Outcome<T>) -> Outcome<T> {
        let mut ended = None;
        let looked = until(what, LONG, async || {
            ended = self.daemons.values().find(|daemon| !daemon.is_running());
            if ended.is_some() { Ok(None) } else { look().await.map(Some) }
        });
        let looked = looked.await?;
        looked.ok_or_else(|| trouble(format!("{what}: {} has ended", ended.map_or("a daemon", Daemon::name))))
    }

    /// Waits until every sound order of these has ended, and gives all rows.
    pub async fn await_terminal(&self, orders: &[PlaceOrder]) -> Outcome<BTreeMap<String, OrderRow>> {
        self.until("all orders have ended", async || {
            let rows = self.tables.orders().await?;
            let ended = |order: &&PlaceOrder| rows.get(order.order_id.as_str()).is_some_and(OrderRow::has_ended);
            let missing: Vec<&OrderId> =
                orders.iter().filter(|order| is_sound(order) && !ended(order)).map(|order| &order.order_id).collect();
            match missing.first() {
                None => Ok(rows),
                Some(first) => Err(trouble(format!(
                    "{} orders have not, for instance {first}: {:?}",
                    missing.len(),
                    rows.get(first.as_str())
                ))),
            }
        })
        .await
    }

    /// Waits until at least so many orders are at this stage or have ended.
    pub async fn await_stage(&self, stage: &str, count: usize) -> Outcome {
        self.until(&format!("{count} orders are {stage}"), async || {
            let stages = self.tables.stages().await?;
            let there = stages.get(stage).copied().unwrap_or_default();
            if there >= count { Ok(()) } else { Err(trouble(format!("{stages:?}"))) }
        })
        .await
    }

    /// Waits until at least so many orders have ended; how many have.
    pub async fn await_ended(&self, count: usize) -> Outcome<usize> {
        self.until(&format!("{count} orders have ended"), async || {
            let rows = self.tables.orders().await?;
            let ended = rows.values().filter(|row| row.has_ended()).count();
            if ended >= count { Ok(ended) } else { Err(trouble(format!("{ended} have"))) }
        })
        .await
    }

    /// The services' tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Raw access to the topics.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Everything that counts on a topic, decoded, up to its end.
    pub async fn messages(&self, topic: TopicName) -> Outcome<Vec<Record>> {
        let selection = Selection { topic, key: None, from_end: false };
        let mut reader = TopicReader::open(&self.connection, selection).await?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_to_end(LONG, &mut |_| {}).await? {
            records.push(record);
        }
        Ok(records)
    }

    /// What stands in front of the topics' names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The database's URL, as the owner of everything in it; the daemons connect as a role that owns nothing.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The servers that it runs on.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Where its logs and files are.
    pub fn folder(&self) -> &Path {
        &self.program.folder
    }

    /// As [`Pipeline::check_clean`], for a test whose pipeline is not meant to end clean: it has asserted what it wanted.
    pub fn accept(&self) {
        self.is_clean.store(true, Ordering::Relaxed);
    }

    // ---------------------------------------------------------------- inside the package

    pub(crate) fn client_config(&self) -> Outcome<ClientConfig> {
        self.servers.client_config("replay-tool")
    }

    pub(crate) fn statement_path(&self) -> PathBuf {
        self.statement_file()
    }
}

/// Gives the programs the rights that `topics acls` prints, and no others.
async fn grant(servers: &Servers, program: &Program, prefix: &str) -> Outcome {
    let nowhere = ["--database-url", "postgres://nobody@localhost/nothing"];
    let printing = ["topics", "acls", "--brokers", &servers.brokers(), "--topic-prefix", prefix];
    let arguments: Vec<String> = printing.into_iter().chain(nowhere).map(str::to_owned).collect();
    let printed = program.run(ServiceName::Order, "acls", &arguments).await?;
    if printed.code != Some(0) {
        return Err(trouble(printed.output));
    }
    let servers = servers.clone();
    let added = tokio::task::spawn_blocking(move || Outcome::Ok(servers.stack().kafka()?.add_acls(&printed.output)?));
    let added = added.await??;
    if added > 0 { Ok(()) } else { Err(trouble("no right was printed")) }
}

fn connection(servers: &Servers, user: &str, prefix: &str) -> Outcome<Connection> {
    let connection = Connection::new(servers.brokers()).with_topic_prefix(prefix);
    let mut properties = servers.properties(user)?.into_iter();
    Ok(properties.try_fold(connection, |connection, (name, value)| connection.with_property(&name, &value))?)
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if !self.is_clean.load(Ordering::Relaxed) || std::thread::panicking() {
            eprintln!("logs are in {}", self.program.folder.display());
            for daemon in self.daemons.values() {
                eprintln!("---- the end of {}\n{}\n", daemon.log_file().display(), daemon.tail());
            }
            eprintln!("{}", self.servers.tails());
        } else if std::env::var_os("KEEP_TEST_LOGS").is_none() {
            // What cannot be removed is removed with the development folder.
            let _ = std::fs::remove_dir_all(&self.program.folder);
        }
        self.daemons.clear();
        // The tests after this one shall not pay for its partitions.
        self.broker.delete_topics();
    }
}
