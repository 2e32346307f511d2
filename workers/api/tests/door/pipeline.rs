//! The pipeline's services and the door as processes, on a real Kafka and a real Postgres. Each test has topics, a database and
//! processes of its own; all share the servers.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use client::{Connection, Publisher};
use dev_stack::{Daemon, Server, Stack, StackConfig};
use rdkafka::ClientConfig;
use replay_tool::{CheckConfig, Keeper, Records, Report, ServiceTables};
use schemas::{CommandId, CustomerId, DescribeProduct, OrderId, OrderLine, PlaceOrder, ServiceName, Sku, Time};

use crate::api::{Answer, Api};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Longer than anything takes that happens at all: a killed member leaves its group after its session has timed out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());

/// What is not as usual.
#[derive(Debug, Default)]
pub(crate) struct Setting {
    /// On servers of its own, which may be paused.
    pub(crate) is_alone: bool,
    /// What the provider does, as the payment service's file has it.
    pub(crate) provider: &'static str,
    /// Where a provider is that is asked instead of the simulator; who knows the secret is told where customers go.
    pub(crate) stripe: Option<SocketAddr>,
}

const PROVIDER: &str = "provider.toml";

/// For this the payment service tells where customers go.
pub(crate) const ACTION_SECRET: &str = "planted-action-secret";

/// What the payment service's file says of the provider.
fn provider_file(folder: &Path, setting: &Setting) -> Outcome<String> {
    let Some(address) = setting.stripe else { return Ok(format!("[simulator]\n{}", setting.provider)) };
    let write = |name: &str, text: &str| -> Outcome<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let (key, hooks) = (write("stripe-key", "sk_test_planted\n")?, write("hook-secrets", "whsec_planted\n")?);
    let action = write("action-secrets", &format!("another\n{ACTION_SECRET}\n"))?;
    Ok(format!(
        "provider = \"stripe\"\nstripe_url = \"http://{address}\"\nstripe_key_file = {key:?}\nwebhook_listen = \"127.0.0.1:0\"\n\
         webhook_secrets_file = {hooks:?}\naction_secret_file = {action:?}\n"
    ))
}

/// Three services, and where the door finds them.
pub(crate) struct Pipeline {
    stack: Arc<Stack>,
    url: String,
    pub(crate) prefix: String,
    folder: PathBuf,
    services: Vec<Daemon>,
    pub(crate) publisher: Publisher,
    client: outbox::Client,
}

impl Pipeline {
    /// Topics, schemas, and the three services at work.
    pub(crate) async fn start(name: &str) -> Outcome<Self> {
        Self::start_as(name, Setting::default()).await
    }

    /// The same, in this setting.
    pub(crate) async fn start_as(name: &str, setting: Setting) -> Outcome<Self> {
        let unique = format!("door_{name}_{}", std::process::id());
        let database = unique.clone();
        let opened = tokio::task::spawn_blocking(move || -> Outcome<_> {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            let stack = match shared.upgrade().filter(|_| !setting.is_alone) {
                Some(stack) => stack,
                None if setting.is_alone => Arc::new(Stack::start(StackConfig::in_project())?),
                None => Arc::new(Stack::from_env_or_start(StackConfig::in_project())?),
            };
            if !setting.is_alone {
                *shared = Arc::downgrade(&stack);
            }
            let url = stack.new_database(&database)?;
            Ok((stack, url))
        });
        let (stack, url) = opened.await??;
        let prefix = format!("{unique}-");
        let folder = dev_stack::dev_folder().join(&unique);
        std::fs::create_dir_all(&folder)?;
        let connection = Connection::new(stack.brokers()).with_topic_prefix(&prefix);
        let publisher = Publisher::open(&connection, "/tests")?;
        let client = outbox::connect(&url.parse()?, tokio_postgres::NoTls).await?;
        std::fs::write(folder.join(PROVIDER), provider_file(&folder, &setting)?)?;
        let mut pipeline = Self { stack, url, prefix, folder, services: Vec::new(), publisher, client };
        pipeline.prepare()?;
        Ok(pipeline)
    }

    fn prepare(&mut self) -> Outcome {
        let mut create = self.service(ServiceName::Order);
        create.args(["topics", "create", "--partitions", "3", "--replicas", "1"]);
        succeed(create)?;
        for service in ServiceName::ALL {
            let mut migrate = self.service(service);
            migrate.arg("migrate");
            succeed(migrate)?;
        }
        for service in ServiceName::ALL {
            let mut command = self.service(service);
            command.env("PIPELINE_CONFIG", self.folder.join(PROVIDER));
            let log = self.folder.join(format!("{service}.log"));
            let daemon = Daemon::spawn_announced(command, service.as_str(), &log, "listening", PATIENCE)?;
            self.services.push(daemon);
        }
        for service in &self.services {
            service.wait_ready(PATIENCE)?;
        }
        let mut migrate = self.door_command();
        migrate.arg("migrate");
        succeed(migrate)?;
        Ok(())
    }

    fn service(&self, service: ServiceName) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api-daemon"));
        command.arg(service.as_str());
        self.environment(&mut command);
        command
    }

    /// Lets a service's program do something and end.
    pub(crate) fn operate(&self, service: ServiceName, words: &[&str]) -> Outcome {
        let mut command = self.service(service);
        command.args(words);
        tokio::task::block_in_place(|| succeed(command))
    }

    /// A service at work.
    pub(crate) fn daemon(&self, service: ServiceName) -> Outcome<&Daemon> {
        let found = self.services.iter().find(|daemon| daemon.name() == service.as_str());
        found.ok_or_else(|| format!("{service} is not at work").into())
    }

    /// The broker.
    pub(crate) fn kafka(&self) -> Outcome<&Server> {
        Ok(self.stack.kafka()?)
    }

    /// The door's program, which finds the servers.
    pub(crate) fn door_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_order-api"));
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command.env("DATABASE_URL", &self.url).env("KAFKA_BROKERS", self.stack.brokers());
        command.env("TOPIC_PREFIX", &self.prefix).env("LISTEN", "127.0.0.1:0");
        command.env("API_LISTEN", "127.0.0.1:0");
    }

    /// Starts the door and waits until it is ready.
    pub(crate) fn start_door(&self, name: &str) -> Outcome<Door> {
        self.start_door_with(name, |_| {})
    }

    /// The same with what else it is told.
    pub(crate) fn start_door_with(&self, name: &str, further: impl FnOnce(&mut Command)) -> Outcome<Door> {
        let door = self.open_door(name, further)?;
        door.daemon.wait_ready(PATIENCE)?;
        Ok(door)
    }

    /// The same for callers with these names and roles; their keys.
    pub(crate) fn start_door_for<const N: usize>(&self, callers: [(&str, &[&str]); N]) -> Outcome<(Door, [String; N])> {
        let mut keys = [const { String::new() }; N];
        let mut entries = String::new();
        for ((name, roles), key) in callers.into_iter().zip(&mut keys) {
            let (given, entry) = made(self, name, roles)?;
            *key = given;
            entries.push_str(&entry);
        }
        let file = self.write("keys.toml", &entries)?;
        let door = self.start_door_with("door", |command| {
            command.env("API_KEYS_FILE", &file);
        })?;
        Ok((door, keys))
    }

    /// The same, and does not wait until it is ready.
    pub(crate) fn open_door(&self, name: &str, further: impl FnOnce(&mut Command)) -> Outcome<Door> {
        let log = self.folder.join(format!("{name}.log"));
        let mut command = self.door_command();
        further(&mut command);
        let daemon = Daemon::spawn_announced(command, name, &log, "listening", PATIENCE)?;
        let line = daemon.wait_for_line("the API answers", PATIENCE)?.ok_or("it does not say where it answers")?;
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("address=")?.parse().ok());
        Ok(Door { api: Api::new(address.ok_or("no address")?), daemon })
    }

    /// Where Kafka is.
    pub(crate) fn brokers(&self) -> String {
        self.stack.brokers()
    }

    /// Files of this test's, its settings among them, that have this text.
    pub(crate) fn files_with(&self, text: &str) -> Outcome<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_file() && String::from_utf8_lossy(&std::fs::read(&path)?).contains(text) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// A file of this test's.
    pub(crate) fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// Runs a verb of the door's that ends by itself: its exit code and all that it printed.
    pub(crate) fn run(&self, verb: &[&str]) -> Outcome<(Option<i32>, String)> {
        let mut command = self.door_command();
        let output = tokio::task::block_in_place(|| command.args(verb).output())?;
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.code(), told))
    }

    /// What topics and tables say of one another, the read model's among them.
    pub(crate) async fn check(&self) -> Outcome<Report> {
        let mut kafka = ClientConfig::new();
        kafka.set("bootstrap.servers", self.stack.brokers());
        let records = Records::Kafka { config: kafka, prefix: self.prefix.clone(), patience: PATIENCE };
        let mut config = CheckConfig::new(records, &self.url);
        config.view = Some(ServiceTables::of(Keeper::View, &self.url));
        Ok(replay_tool::check(config).await?)
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: i64) -> Outcome {
        let command = CommandId::new(format!("receive-{sku}"))?;
        self.publisher.receive_stock(Sku::new(sku)?, quantity, command).await?;
        Ok(())
    }

    pub(crate) async fn describe(&self, sku: &str, title: &str) -> Outcome {
        let (command_id, title) = (CommandId::new(format!("{title}-{sku}"))?, title.to_owned());
        let (currency, by, note) = ("EUR".to_owned(), None, None);
        let sku = Sku::new(sku)?;
        let describe = DescribeProduct { sku, command_id, title, price_minor: 250, currency, by, note };
        self.publisher.publish(&describe.into()).await?;
        Ok(())
    }

    /// Places an order of so many pieces, each of 2.50.
    pub(crate) async fn place(&self, order: &str, customer: &str, lines: &[(&str, i64)]) -> Outcome {
        let line = |(sku, quantity): &(&str, i64)| -> Outcome<OrderLine> {
            Ok(OrderLine { sku: Sku::new(*sku)?, quantity: *quantity, unit_price_minor: 250 })
        };
        let lines = lines.iter().map(line).collect::<Outcome<_>>()?;
        let placed_at = Time::from_micros(1_790_000_000_000_000);
        let (order, customer) = (OrderId::new(order)?, CustomerId::new(customer)?);
        self.publisher.place(PlaceOrder::new(order, customer, placed_at, "EUR", lines)).await?;
        Ok(())
    }

    /// The first column of a query's rows, as texts.
    pub(crate) async fn query(&self, sql: &str) -> Outcome<Vec<String>> {
        Ok(self.client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Keeps the read model from taking anything until this is dropped; it can be read.
    pub(crate) async fn hold_view(&self) -> Outcome<outbox::Client> {
        let client = outbox::connect(&self.url.parse()?, tokio_postgres::NoTls).await?;
        let hold =
            "set idle_in_transaction_session_timeout = 0; begin; lock table view.orders, view.heard in exclusive mode";
        client.batch_execute(hold).await?;
        Ok(client)
    }

    /// Changes something on purpose.
    pub(crate) async fn script(&self, sql: &str) -> Outcome {
        Ok(self.client.batch_execute(sql).await?)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for service in &self.services {
                eprintln!("{}", service.tail());
            }
        } else if std::env::var_os("KEEP_TEST_LOGS").is_none() {
            // What is left of a log is in nobody's way.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

/// A key that the program makes: the key, and its entry.
pub(crate) fn made(pipeline: &Pipeline, name: &str, roles: &[&str]) -> Outcome<(String, String)> {
    let mut words = vec!["key", "--name", name];
    roles.iter().for_each(|role| words.extend(["--role", role]));
    let (code, told) = pipeline.run(&words)?;
    assert_eq!(code, Some(0), "{told}");
    let key = told.split_whitespace().find(|word| word.starts_with("oak_")).ok_or("no key")?.to_owned();
    Ok((key, told))
}

/// A door that is open.
pub(crate) struct Door {
    pub(crate) api: Api,
    pub(crate) daemon: Daemon,
}

impl Door {
    /// A series of its metrics, by name and labels; none where there is no such series yet.
    pub(crate) fn metric(&self, series: &str) -> Outcome<Option<f64>> {
        let (_, text) = tokio::task::block_in_place(|| self.daemon.get("/metrics"))?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?)
    }

    /// Waits until a series has this value.
    pub(crate) async fn until_metric(&self, series: &str, wanted: f64) -> Outcome {
        until(series, || async {
            let found = self.metric(series)?;
            if found == Some(wanted) { Ok(()) } else { Err(format!("{found:?}").into()) }
        })
        .await
    }
}

/// Asks a door to end, and sees that it does so in good order.
pub(crate) fn stop(door: Door) -> Outcome {
    let daemon = door.daemon;
    daemon.terminate()?;
    let status = tokio::task::block_in_place(|| daemon.wait_timeout(PATIENCE))?;
    match status.and_then(|status| status.code()) {
        Some(0) => Ok(()),
        code => Err(format!("it ended with {code:?}:\n{}", daemon.tail()).into()),
    }
}

fn succeed(mut command: Command) -> Outcome {
    let output = tokio::task::block_in_place(|| command.output())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Looks until `look` succeeds; its last complaint says what was missing.
pub(crate) async fn until<T, F: Future<Output = Outcome<T>>>(what: &str, mut look: impl FnMut() -> F) -> Outcome<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() >= deadline => return Err(format!("{what}: not in time: {error}").into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(25)).await,
        }
    }
}

/// Looks until the order at this path is in this state; how it stands then.
pub(crate) async fn until_state(api: &Api, path: &str, state: &str) -> Outcome<Answer> {
    until(&format!("it is {state}"), || async {
        let found = api.get(path).await?.of(200)?;
        if found.text("state") == state { Ok(found) } else { Err(format!("{found:?}").into()) }
    })
    .await
}
