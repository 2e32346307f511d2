//! The entry of the three daemons: read the configuration, then do what the subcommand says.
//!
//! All that can fail for a person's mistake fails before anything is joined or consumed, in words that say what to do.
//! SIGTERM and SIGINT drain; a second one ends the process at once.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use outbox::inbox::Inbox;
use outbox::{Outbox, OutboxConfig, TopicSpec};
use schemas::{Codec, ServiceName, TopicName};
use tokio::sync::watch;

use crate::accept_gap::{self, Gap};
use crate::config::{Config, Flags};
use crate::health::Health;
use crate::inventory::{InventoryService, stock};
use crate::order::{OrderService, saga};
use crate::payment::{PaymentService, charge, simulator::Simulator};
use crate::planted::Planted;
use crate::runtime::{Database, Engine, EngineConfig, Failure, Service};
use crate::{http, migrate, relay, telemetry, topics};

/// A worker of the order pipeline.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Join the group and work (the default).
    Run,
    /// Create or upgrade this service's schema.
    Migrate,
    /// The pipeline's topics.
    Topics {
        #[command(subcommand)]
        action: TopicsAction,
    },
    /// Print the effective configuration, secrets redacted.
    Config,
    /// Let a held partition go on after its missing messages: they are given up for this service.
    AcceptGap(Gap),
}

#[derive(Debug, Clone, Subcommand)]
enum TopicsAction {
    /// Create what is missing, then check.
    Create,
    /// Check that all topics are there as they have to be.
    Check,
}

/// Why a daemon ended with an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DaemonError(String);

impl DaemonError {
    fn of(error: impl std::fmt::Display) -> Self {
        DaemonError(error.to_string())
    }
}

/// Run a daemon with these arguments (the first is the program's name). Exit codes: 0 done, 1 failed, 2 wrong usage.
pub fn main(service: ServiceName, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing can only fail when nobody reads.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match try_main(service, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{service}-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_main(service: ServiceName, arguments: Arguments) -> Result<(), DaemonError> {
    let config = Config::resolve(service, &arguments.flags).map_err(DaemonError::of)?;
    let planted = match &config.planted_bug {
        Some(name) => Planted::by_name(name).map_err(DaemonError::of)?,
        None => Planted::NONE,
    };
    let command = arguments.command.unwrap_or(Command::Run);
    if matches!(command, Command::Config) {
        print!("{}", config.redacted().map_err(DaemonError::of)?);
        return Ok(());
    }
    telemetry::start_logs(config.log_format, &config.log).map_err(DaemonError::of)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(DaemonError::of)?;
    let result = runtime.block_on(async {
        match command {
            Command::Run => run(service, config, planted).await,
            Command::Migrate => migrate_schema(service, &config).await,
            Command::Topics { action: TopicsAction::Create } => {
                let kafka = config.client_config();
                topics::create(&kafka, &config.topic_prefix, config.partitions, config.replicas)
                    .await
                    .map_err(DaemonError::of)
            }
            Command::Topics { action: TopicsAction::Check } => {
                topics::check(&config.client_config(), &config.topic_prefix, None)
                    .await
                    .map(|_| ())
                    .map_err(DaemonError::of)
            }
            Command::AcceptGap(gap) => {
                accept_gap::accept(&database(service, &config)?, &config.topic_prefix, service, &gap)
                    .await
                    .map(|done| println!("{done}"))
                    .map_err(DaemonError::of)
            }
            Command::Config => Ok(()),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn database(service: ServiceName, config: &Config) -> Result<Database, DaemonError> {
    let application = format!("{service}-worker");
    Database::open(&config.database_url, config.database_password.as_deref(), &config.schema, &application)
        .map_err(DaemonError::of)
}

async fn migrate_schema(service: ServiceName, config: &Config) -> Result<(), DaemonError> {
    let mut client = database(service, config)?.client().await.map_err(DaemonError::of)?;
    migrate::migrate(&mut client, service, &config.schema).await.map_err(DaemonError::of)
}

async fn run(service: ServiceName, config: Config, planted: Planted) -> Result<(), DaemonError> {
    let partitions =
        topics::check(&config.client_config(), &config.topic_prefix, None).await.map_err(DaemonError::of)?;
    match service {
        ServiceName::Order => {
            let policy = saga::Policy { confirm_within_ms: config.confirm_within_ms, planted };
            work(OrderService::new(policy, partitions), config, partitions).await
        }
        ServiceName::Inventory => work(InventoryService::new(stock::Policy { planted }), config, partitions).await,
        ServiceName::Payment => {
            let provider = Simulator::open(config.simulator.clone()).map_err(DaemonError::of)?;
            let policy = charge::Policy { planted, ..charge::Policy::default() };
            work(PaymentService::new(policy, partitions, Arc::new(provider)), config, partitions).await
        }
    }
}

/// The topics that a service's outbox writes to: its own, and the dead letters of what it reads.
fn outbox_topics<S: Service>(prefix: &str, partitions: i32) -> Vec<TopicSpec> {
    let own = TopicName::ALL
        .iter()
        .filter(|topic| topic.written_by() == Some(S::NAME))
        .map(|topic| topic.as_str().to_owned());
    let dead = S::INPUTS.iter().map(|topic| topic.dead_letter());
    own.chain(dead).map(|name| TopicSpec { name: format!("{prefix}{name}"), partitions }).collect()
}

/// Everything of one instance, joined before this returns.
async fn work<S: Service>(service: S, config: Config, partitions: i32) -> Result<(), DaemonError> {
    let metrics = telemetry::start_metrics().map_err(DaemonError::of)?;
    let database = database(S::NAME, &config)?;
    let outbox = open_outbox::<S>(&database, &config, partitions).await?;
    let codec = match &config.schema_directory {
        Some(directory) => Codec::with_directory(directory).map_err(DaemonError::of)?,
        None => Codec::embedded(),
    };
    let (listener, bound) = http::bind(config.listen)
        .await
        .map_err(|error| DaemonError(format!("cannot listen on {}: {error}; set LISTEN or --listen", config.listen)))?;
    let (stop, stopping) = watch::channel(false);
    let health = Health::default();
    let linger = Duration::from_micros(config.relay_linger_us);
    let relay = relay::Running::start(&outbox, &database, &config.client_config(), linger);
    let mut kafka = config.client_config();
    if let Some(instance) = &config.instance_id {
        kafka.set("group.instance.id", instance);
    }
    let engine = Engine::new(
        service,
        EngineConfig {
            kafka,
            group: config.group(),
            topic_prefix: config.topic_prefix.clone(),
            max_batch_items: config.max_batch_items,
            max_pace_us: config.max_pace_us,
            dead_letter_limit_bytes: topics::MAX_DEAD_LETTER_BYTES,
            inbox: Inbox::new(&config.schema).map_err(DaemonError::of)?,
            database,
            outbox,
            codec: Arc::new(codec),
            health: health.clone(),
            shutdown: stopping.clone(),
        },
    )
    .map_err(DaemonError::of)?;
    tracing::info!(service = S::NAME.as_str(), address = %bound, partitions, "started");
    let served = tokio::spawn(http::serve(listener, health, relay.status(), metrics, ended(stopping)));
    let worked = drain(engine, stop, Duration::from_secs(config.shutdown_timeout_s)).await;
    // The relay goes last: it publishes what the last batches have appended.
    let relayed = relay.stop().await;
    served.await.map_err(DaemonError::of)?.map_err(DaemonError::of)?;
    worked.and(relayed.map_err(DaemonError::of))
}

async fn open_outbox<S: Service>(database: &Database, config: &Config, partitions: i32) -> Result<Outbox, DaemonError> {
    let client = database.client().await.map_err(DaemonError::of)?;
    migrate::check(&client, S::NAME, &config.schema).await.map_err(|failure: Failure| DaemonError::of(failure))?;
    let topics = outbox_topics::<S>(&config.topic_prefix, partitions);
    Outbox::open(&client, OutboxConfig::new(&config.schema, S::NAME.source(), topics)).await.map_err(DaemonError::of)
}

/// Work until a signal comes; then let the engine finish within the deadline. A second signal does not wait.
async fn drain<S: Service>(
    engine: Engine<S>,
    stop: watch::Sender<bool>,
    deadline: Duration,
) -> Result<(), DaemonError> {
    let mut worker = tokio::spawn(engine.run());
    let result = tokio::select! {
        ended = &mut worker => ended,
        () = signal() => {
            tracing::info!("draining");
            stop.send_replace(true);
            tokio::select! {
                ended = tokio::time::timeout(deadline, &mut worker) => match ended {
                    Ok(ended) => ended,
                    Err(_) => return Err(DaemonError(format!("draining took longer than {deadline:?}"))),
                },
                () = signal() => return Err(DaemonError("ended by a second signal".into())),
            }
        }
    };
    stop.send_replace(true);
    match result {
        Ok(result) => result.map_err(DaemonError::of),
        Err(error) => Err(DaemonError::of(error)),
    }
}

/// SIGTERM or SIGINT.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be received; end this process by force");
            std::future::pending().await
        }
    }
}

async fn ended(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}
