//! The entry of the three daemons: read the configuration, then do what the subcommand says.
//!
//! All that can fail for a person's mistake fails before anything is joined or consumed, in words that say what to do.
//! SIGTERM and SIGINT end a start, and drain what works; a second one, later than a second after, ends it at once.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use consumer::{Consumer, Database, DatabaseError, Failure, Handle, Health, Roads, Service};
use grammar::{ColorOptions, Exit, Secret, SettingsFile, ShellVerb, complain};
use outbox::{Outbox, OutboxConfig, TopicSpec};
use provision::{migrate, topics};
use schemas::{Codec, ServiceName};
use tokio::sync::watch;

use crate::accept_gap::Gap;
use crate::accept_restore::{self, Restore};
use crate::config::{self, Config};
use crate::payment::{Lookout, believed, webhooks};
use crate::pipeline_contract::Pipeline;
use crate::planted::Planted;
use crate::signals::{INSISTED, Signals, stopped};
use crate::start::{Obstacle, Progress, Start};
use crate::{acls, clock, http, parked, postgres, probes, relay, services, status, telemetry, verbs};

/// How long the brokers may take for one of the start's questions.
const START_QUESTION: Duration = Duration::from_secs(3);

/// A worker of the order pipeline.
#[derive(Debug, Parser)]
#[command(version, about, after_help = exit_codes())]
struct Arguments {
    #[command(flatten)]
    color: ColorOptions,
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Join the group and work (the default).
    Run,
    /// Create or upgrade this service's schema.
    Migrate {
        /// Give this role, which need own nothing, what a daemon needs in the schema; to be repeated after an upgrade.
        #[arg(long, value_name = "ROLE")]
        grants: Option<String>,
    },
    /// The pipeline's topics.
    Topics {
        #[command(subcommand)]
        action: TopicsAction,
    },
    /// Print the effective configuration, secrets redacted.
    Config,
    /// Go on from the older state that the database was set back to: what was published after it is void.
    AcceptRestore(Restore),
    /// Let a held partition go on after its missing messages: they are given up for this service.
    AcceptGap(Gap),
    /// Keys whose messages wait because one of them cannot be taken.
    Parked {
        #[command(subcommand)]
        action: parked::Action,
    },
    #[command(flatten)]
    Shell(ShellVerb),
}

fn exit_codes() -> String {
    grammar::exit_codes(&[(0, "done; a daemon: drained"), (1, "topics check: they are not as they have to be")], "")
}

#[derive(Debug, Clone, Subcommand)]
enum TopicsAction {
    /// Create what is missing, then check.
    Create,
    /// Check that all topics are there as they have to be: layout, settings, archive, copies. Exits with 1 on a mistake, and
    /// where an archive does not keep up with retention.
    Check {
        /// Let warnings count too: for production, where an acknowledged record must lie in two copies.
        #[arg(long)]
        strict: bool,
    },
    /// Print the least rights of every program on a secured cluster; asks nobody.
    Acls(acls::Options),
}

/// Why a daemon ended with an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DaemonError(pub(crate) String);

impl DaemonError {
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        DaemonError(error.to_string())
    }

    /// With what a person can do about it.
    pub(crate) fn of_database(error: DatabaseError) -> Self {
        DaemonError::of(Failure::from(error))
    }
}

/// Run a daemon with these arguments (the first is the program's name).
pub fn main(service: ServiceName, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let definition = || config::of_service(Arguments::command(), service);
    let read: Result<(Arguments, SettingsFile), Exit> = grammar::parse_layered(definition(), args, &config::LAYERED);
    let (arguments, file) = match read {
        Ok(read) => read,
        Err(exit) => return exit.into(),
    };
    arguments.color.apply();
    if let Some(Command::Shell(verb)) = &arguments.command {
        return told(service, verb.run(grammar::layout(definition())).map(|()| Exit::Done).map_err(DaemonError::of))
            .into();
    }
    told(service, try_main(service, arguments, &file)).into()
}

fn told(service: ServiceName, ended: Result<Exit, DaemonError>) -> Exit {
    ended.unwrap_or_else(|error| {
        complain(&format!("{service}-worker"), error);
        Exit::Failed
    })
}

fn try_main(service: ServiceName, arguments: Arguments, file: &SettingsFile) -> Result<Exit, DaemonError> {
    let config = arguments.config.completed(service, file).map_err(DaemonError::of)?;
    let planted = match &config.planted_bug {
        Some(name) => Planted::by_name(name).map_err(DaemonError::of)?,
        None => Planted::NONE,
    };
    let command = arguments.command.unwrap_or(Command::Run);
    if matches!(command, Command::Config) {
        grammar::say(&config.redacted().map_err(DaemonError::of)?).map_err(DaemonError::of)?;
        return Ok(Exit::Done);
    }
    if let Command::Topics { action: TopicsAction::Acls(options) } = &command {
        grammar::say(&acls::text(options, &config.brokers, &config.topic_prefix)).map_err(DaemonError::of)?;
        return Ok(Exit::Done);
    }
    telemetry::start_logs(config.log_format, &config.log).map_err(DaemonError::of)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(DaemonError::of)?;
    let result = runtime.block_on(async {
        match command {
            Command::Run => run(service, config, planted).await.map(|()| Exit::Done),
            Command::Migrate { grants } => {
                verbs::migrate(service, &config, grants.as_deref()).await.map(|()| Exit::Done)
            }
            Command::Topics { action: TopicsAction::Create } => {
                verbs::create_topics(&config).await.map(|()| Exit::Done)
            }
            Command::Topics { action: TopicsAction::Check { strict } } => verbs::check_topics(&config, strict).await,
            Command::Topics { action: TopicsAction::Acls(_) } | Command::Config | Command::Shell(_) => Ok(Exit::Done),
            Command::Parked { action } => parked::act(service, &config, &action).await,
            Command::AcceptGap(gap) => verbs::accept_gap(service, &config, &gap).await.map(|()| Exit::Done),
            Command::AcceptRestore(restore) => {
                let database = database(service, &config)?;
                let done = accept_restore::accept(&database, config.client_config(), service, &restore).await;
                done.map_err(DaemonError::of).and_then(|done| verbs::say(&done.to_string())).map(|()| Exit::Done)
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

pub(crate) fn database(service: ServiceName, config: &Config) -> Result<Database, DaemonError> {
    let (url, password) = (config.database.url(), config.database.password());
    let (url, password) = (url.map_err(DaemonError::of)?, password.map_err(DaemonError::of)?);
    let (password, name) = (password.as_ref().map(Secret::expose), format!("{service}-worker"));
    Database::open(url.expose(), password, &config.schema, &name).map_err(DaemonError::of)
}

/// How long the relay may take when somebody insists on the end.
const INSISTED_LIMIT: Duration = Duration::from_secs(1);

/// What the parts of a process share from its first moment on.
struct Frame {
    service: ServiceName,
    config: Config,
    planted: Planted,
    shown: http::Shown,
    stop: watch::Sender<bool>,
}

/// Listen, start, work, drain; everything joined before this returns.
async fn run(service: ServiceName, config: Config, planted: Planted) -> Result<(), DaemonError> {
    let mut signals = Signals::listen().map_err(|error| DaemonError(format!("signals cannot be received: {error}")))?;
    let metrics = telemetry::start_metrics().map_err(DaemonError::of)?;
    clock::plant(planted);
    believed::plant(planted);
    let (listener, bound) = probes::bind(config.listen.0).await.map_err(|error| {
        DaemonError(format!("cannot listen on {}: {error}; set LISTEN or --listen", config.listen.0))
    })?;
    tracing::info!(service = service.as_str(), address = %bound, "listening");
    let (stop, stopping) = watch::channel(false);
    let shown = http::Shown {
        start: Progress::default(),
        health: Health::default(),
        relay: Arc::new(OnceLock::new()),
        metrics: metrics.clone(),
        about: status::About::now(service, &config),
    };
    let upkeep = tokio::spawn(telemetry::keep_up(metrics, stopping.clone()));
    let served = tokio::spawn(http::serve(listener, shown.clone(), stopped(stopping)));
    let frame = Frame { service, config, planted, shown, stop };
    let mut hooked = None;
    let worked = match service {
        ServiceName::Order => start_and_work(&frame, &mut signals, services::order).await,
        ServiceName::Inventory => start_and_work(&frame, &mut signals, services::inventory).await,
        ServiceName::Payment => {
            let database = database(service, &frame.config)?;
            let lookout = Lookout::open(database.clone());
            let options = &frame.config.payment;
            let provider = options.open(frame.config.simulator()).map_err(DaemonError)?;
            let opened = webhooks::open(options, database, provider.clone(), frame.stop.subscribe());
            hooked = opened.await.map_err(DaemonError)?;
            let service =
                |config: &_, planted, partitions| Ok(services::payment(config, planted, partitions, provider, lookout));
            start_and_work(&frame, &mut signals, service).await
        }
    };
    frame.stop.send_replace(true);
    upkeep.await.map_err(DaemonError::of)?;
    served.await.map_err(DaemonError::of)?.map_err(DaemonError::of)?;
    if let Some(hooked) = hooked {
        hooked.await.map_err(DaemonError::of)?.map_err(DaemonError::of)?;
    }
    worked
}

/// A signal during the start ends it, with nothing to drain.
async fn start_and_work<S: Service<Contract = Pipeline>>(
    frame: &Frame,
    signals: &mut Signals,
    service: impl FnOnce(&Config, Planted, i32) -> Result<S, DaemonError>,
) -> Result<(), DaemonError> {
    let started = tokio::select! {
        started = Started::begin(frame) => started?,
        () = signals.request() => {
            let waited = frame.shown.start.waits_for().unwrap_or_default();
            tracing::info!(during = waited, "asked to end before the work began; ended");
            return Ok(());
        }
    };
    let service = service(&frame.config, frame.planted, started.partitions)?;
    work(service, frame, signals, started).await
}

/// What a start has found.
struct Started {
    partitions: i32,
    database: Database,
    outbox: Outbox,
}

impl Started {
    /// Wait for the servers, then look whether everything is as it has to be.
    async fn begin(frame: &Frame) -> Result<Self, DaemonError> {
        let Frame { config, service, .. } = frame;
        let service = *service;
        let start = Start::new(Duration::from_secs(config.start_timeout_s), frame.shown.start.clone());
        let (kafka, prefix) = (config.client_config(), config.topic_prefix.as_str());
        let brokers = format!("Kafka at {}", config.brokers);
        let asked = start.await_server(&brokers, async || {
            topics::check_within(&kafka, prefix, None, clock::now(), START_QUESTION).await.map_err(Obstacle::from)
        });
        let topics::Checked { partitions, alarms, .. } = asked.await.map_err(DaemonError)?;
        // No reason to stand still: what is lost does not come back by that, and what is late has time.
        alarms.iter().for_each(|alarm| tracing::error!("{alarm}"));
        let database = database(service, config)?;
        let topics = topics_written(service, prefix, partitions);
        let asked = start.await_server("Postgres", async || {
            let client = database.first_client().await?;
            migrate::check(&client, service, &config.schema).await?;
            postgres::check_sessions(&database).await?;
            clock::look(service, &database).await?;
            let outbox = OutboxConfig::new(&config.schema, service.source(), topics.clone());
            Outbox::open(&client, outbox).await.map_err(|error| Obstacle::from(Failure::of_outbox(error)))
        });
        let outbox = asked.await.map_err(DaemonError)?;
        frame.shown.start.is_done();
        Ok(Started { partitions, database, outbox })
    }
}

/// The topics that a service's outbox writes to.
pub(crate) fn topics_written(service: ServiceName, prefix: &str, partitions: i32) -> Vec<TopicSpec> {
    let names = service.written_names().into_iter();
    names.map(|name| TopicSpec { name: format!("{prefix}{name}"), partitions }).collect()
}

/// Everything of one instance, joined before this returns.
async fn work<S: Service<Contract = Pipeline>>(
    service: S,
    frame: &Frame,
    signals: &mut Signals,
    started: Started,
) -> Result<(), DaemonError> {
    let Frame { service: name, config, planted, shown, stop } = frame;
    let name = *name;
    let Started { partitions, database, outbox } = started;
    let codec = match &config.schema_directory {
        Some(directory) => Codec::with_directory(directory).map_err(DaemonError::of)?,
        None => Codec::embedded(),
    };
    let mut kafka = config.client_config();
    if let Some(instance) = &config.instance_id {
        kafka.set("group.instance.id", instance);
    }
    let linger = Duration::from_micros(config.relay_linger_us);
    let relay = relay::Running::start(&outbox, &database, &config.client_config(), linger);
    let status = shown.relay.get_or_init(|| relay.status()).clone();
    let clocks = tokio::spawn(clock::watch(name, database.clone(), stop.subscribe()));
    tracing::info!(service = S::NAME, partitions, "started");
    let consumer = Consumer::builder(service, Pipeline::new(codec))
        .database(&database)
        .outbox(&outbox)
        .kafka(kafka)
        .group(config.group())
        .topic_prefix(&config.topic_prefix)
        .partitions(partitions)
        .max_batch_items(config.max_batch_items)
        .max_pace(Duration::from_micros(config.max_pace_us))
        .timer_period(Duration::from_millis(config.timer_period_ms))
        .dead_letter_limit_bytes(topics::MAX_DEAD_LETTER_BYTES)
        .parking(config.parking())
        .clock(clock::now)
        .deadlines_rest(deadlines_rest(name, config))
        .roads(roads(name))
        .health(&shown.health)
        .planted(planted.client);
    let deadline = Duration::from_secs(config.shutdown_timeout_s);
    let worked = match consumer.start().await {
        Ok(consumer) => drain(consumer, stop, signals, deadline).await,
        Err(error) => Err(DaemonError::of(error)),
    };
    stop.send_replace(true);
    clocks.await.map_err(DaemonError::of)?;
    let waiting = status.report().backlog.filter(|messages| *messages > 0);
    let outcome = worked.and(end_relay(relay, signals).await);
    farewell(waiting, outcome.is_ok());
    outcome
}

/// How long no deadline fires after an older state was accepted: the orders under way get their time once more, because the
/// answers that they wait for are only now repeated.
fn deadlines_rest(service: ServiceName, config: &Config) -> Duration {
    let rest_ms = if service == ServiceName::Order { config.confirm_within_ms } else { 0 };
    Duration::from_millis(u64::try_from(rest_ms).unwrap_or(0))
}

/// What a person can do about a database that was set back.
fn roads(service: ServiceName) -> Roads {
    Roads {
        forward: format!(
            "stop the {service} workers, run `replay-tool rebuild --service {service} --swap`, start them"
        ),
        back: format!("run `{service}-worker accept-restore`"),
    }
}

/// The relay goes last: it publishes what the last batches have appended, unless somebody insists on the end.
async fn end_relay(relay: relay::Running, signals: &mut Signals) -> Result<(), DaemonError> {
    if signals.has_insisted() {
        let stopped = tokio::time::timeout(INSISTED_LIMIT, relay.stop()).await;
        return stopped.unwrap_or_else(|_| Err("the relay has not stopped yet".into())).map_err(DaemonError);
    }
    tokio::select! {
        relayed = relay.stop() => relayed.map_err(DaemonError),
        () = signals.request() => Err(DaemonError(INSISTED.into())),
    }
}

/// Say what is done, and what is left to whoever works next. `waiting`: messages that the relay, if it led, had still to
/// publish when the engine had ended.
fn farewell(waiting: Option<i64>, is_drained: bool) {
    let messages = waiting.unwrap_or_default();
    if is_drained {
        tracing::info!(messages, "drained; the messages that waited then are published, now or by the next relay");
    } else {
        tracing::warn!(
            messages,
            "not drained: what is committed is published by the next relay, the rest is taken again"
        );
    }
}

/// Work until a signal comes; then let the consumer finish within the deadline. A second signal does not wait.
async fn drain(
    mut consumer: Handle,
    stop: &watch::Sender<bool>,
    signals: &mut Signals,
    deadline: Duration,
) -> Result<(), DaemonError> {
    tokio::select! {
        ended = consumer.join() => return ended.map_err(DaemonError::of),
        () = signals.request() => {}
    }
    tracing::info!("draining");
    stop.send_replace(true);
    consumer.stop();
    tokio::select! {
        ended = tokio::time::timeout(deadline, consumer.join()) => match ended {
            Ok(ended) => ended.map_err(DaemonError::of),
            Err(_) => Err(DaemonError(format!("draining took longer than {deadline:?}"))),
        },
        () = signals.request() => Err(DaemonError(INSISTED.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent_and_the_pages_of_help_are_the_kept_ones() {
        let definition = || config::of_service(Arguments::command(), ServiceName::Order);
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/src/help.txt");
        assert_eq!(grammar::help_is_kept(definition(), kept.as_ref()), Ok(()));
    }
}
