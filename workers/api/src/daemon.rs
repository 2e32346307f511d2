//! The entry of the door's daemon: read the settings, then do what the subcommand says.
//!
//! All that can fail for a person's mistake fails before anything is joined or answered, in words that say what to do. SIGTERM and
//! SIGINT end a start, and drain what works; a second one ends it at once.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use client::{Connection, Publisher};
use consumer::{Consumer, Database, DatabaseError, Failure, Handle, Health};
use grammar::{ColorOptions, Exit, Secret, SettingsFile, ShellVerb, complain};
use replay_tool::dead_letters::Office;
use schemas::{Codec, TopicName};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use workers::pipeline_contract::Pipeline;
use workers::signals::{INSISTED, Signals, stopped};
use workers::start::{Obstacle, Progress, Start};
use workers::telemetry;

use crate::console::{self, Console};
use crate::daemons::{self, Daemons};
use crate::http::{self, Door};
use crate::key_file::KeyFile;
use crate::keys::{Role, new_key};
use crate::lag::{Lag, Look};
use crate::open_files;
use crate::placed::Placed;
use crate::probes::{self, Further, Shown};
use crate::serving::{self, Bounds};
use crate::settings::{LAYERED, Settings};
use crate::tail::Tail;
use crate::view::{Reads, SESSION, View};
use crate::who::Who;

const NAME: &str = "order-api";

/// An HTTP order API over a read model.
#[derive(Debug, Parser)]
#[command(name = NAME, version, about, after_help = exit_codes())]
struct Arguments {
    #[command(flatten)]
    color: ColorOptions,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Join the group, keep the read model, answer (the default).
    Run,
    /// Create the read model's schema.
    Migrate {
        /// Give this role, which need own nothing, what the daemon needs in the schema.
        #[arg(long, value_name = "ROLE")]
        grants: Option<String>,
    },
    /// Make a key: print it, once, and what the file of keys has of it.
    Key {
        /// The name of whoever gets it: commands say it.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it may do: orders:read, orders:write, stock:write, ops:act; may be repeated.
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = Role::parse)]
        roles: Vec<Role>,
    },
    /// Print the effective settings, secrets redacted.
    Config,
    /// Empty the read model and have all of it read again from the topics' beginning.
    Rewind,
    #[command(flatten)]
    Shell(ShellVerb),
}

fn exit_codes() -> String {
    grammar::exit_codes(&[(0, "done; the daemon: drained")], "")
}

/// Why the program ended with an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DaemonError(String);

impl DaemonError {
    pub(crate) fn of(error: impl std::fmt::Display) -> Self {
        DaemonError(error.to_string())
    }
}

impl From<DatabaseError> for DaemonError {
    /// With what a person can do about it.
    fn from(error: DatabaseError) -> Self {
        DaemonError::of(Failure::from(error))
    }
}

/// Run the program with these arguments (the first is its name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let read: Result<(Arguments, SettingsFile), Exit> = grammar::parse_layered(Arguments::command(), args, &LAYERED);
    let (arguments, file) = match read {
        Ok(read) => read,
        Err(exit) => return exit.into(),
    };
    arguments.color.apply();
    if let Some(Command::Shell(verb)) = &arguments.command {
        let shown = verb.run(grammar::layout(Arguments::command()));
        return told(shown.map(|()| Exit::Done).map_err(DaemonError::of)).into();
    }
    if let Some(Command::Key { name, roles }) = &arguments.command {
        return told(make_key(name, roles).map(|()| Exit::Done)).into();
    }
    told(try_main(arguments, &file)).into()
}

fn make_key(name: &str, roles: &[Role]) -> Result<(), DaemonError> {
    let (key, entry) = new_key(name, roles).map_err(DaemonError)?;
    say(&format!(
        "# The key, which is shown this once:\n#   {key}\n# For the file that --api-keys-file names:\n{}",
        entry.trim_end()
    ))
}

fn told(ended: Result<Exit, DaemonError>) -> Exit {
    ended.unwrap_or_else(|error| {
        complain(NAME, error);
        Exit::Failed
    })
}

fn try_main(arguments: Arguments, file: &SettingsFile) -> Result<Exit, DaemonError> {
    let settings = arguments.settings.completed(file).map_err(DaemonError::of)?;
    telemetry::start_logs(settings.log_format, &settings.log).map_err(DaemonError::of)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(DaemonError::of)?;
    let result = runtime.block_on(async {
        match arguments.command.unwrap_or(Command::Run) {
            Command::Run => run(settings).await.map(|()| Exit::Done),
            Command::Migrate { grants } => migrate(&settings, grants.as_deref()).await.map(|()| Exit::Done),
            Command::Config => say(settings.redacted().map_err(DaemonError::of)?.trim_end()).map(|()| Exit::Done),
            Command::Rewind => {
                view::rewind(&database(&settings, "order-api rewind")?).await?;
                say("the read model is empty; it is read again from the topics' beginning").map(|()| Exit::Done)
            }
            Command::Shell(_) | Command::Key { .. } => Ok(Exit::Done),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

fn say(text: &str) -> Result<(), DaemonError> {
    grammar::say(text).map_err(DaemonError::of)
}

fn database(settings: &Settings, application: &str) -> Result<Database, DaemonError> {
    open_database(settings, application, "")
}

fn open_database(settings: &Settings, application: &str, session: &str) -> Result<Database, DaemonError> {
    let (url, password) = (settings.database.url(), settings.database.password());
    let (url, password) = (url.map_err(DaemonError::of)?, password.map_err(DaemonError::of)?);
    let password = password.as_ref().map(Secret::expose);
    Database::open_with(url.expose(), password, &settings.schema, application, session).map_err(DaemonError::of)
}

async fn migrate(settings: &Settings, role: Option<&str>) -> Result<(), DaemonError> {
    let database = database(settings, "order-api migrate")?;
    let is_made = view::migrate(&database).await?;
    say(&format!(
        "schema {} of the read model: {}",
        settings.schema,
        if is_made { "made" } else { "is there already" }
    ))?;
    let Some(role) = role else { return Ok(()) };
    let given: Vec<String> = view::grant(&database, role).await?.iter().map(|sql| format!("{sql};")).collect();
    say(&if given.is_empty() { format!("role {role} has every right that it needs") } else { given.join("\n") })
}

fn codec(settings: &Settings) -> Result<Codec, DaemonError> {
    match &settings.schema_directory {
        Some(directory) => Codec::with_directory(directory).map_err(DaemonError::of),
        None => Ok(Codec::embedded()),
    }
}

/// What the parts of a process share from its first moment on.
struct Frame {
    settings: Settings,
    shown: Shown,
    stop: watch::Sender<bool>,
}

/// Listen, start, work, drain; everything joined before this returns.
async fn run(settings: Settings) -> Result<(), DaemonError> {
    let mut signals = Signals::listen().map_err(|error| DaemonError(format!("signals cannot be received: {error}")))?;
    let metrics = telemetry::start_metrics().map_err(DaemonError::of)?;
    crate::metrics::describe();
    let listener = listen(settings.listen.0, "LISTEN or --listen", "listening").await?;
    let (stop, stopping) = watch::channel(false);
    let shown = Shown {
        start: Progress::default(),
        health: Health::default(),
        further: Arc::new(OnceLock::new()),
        metrics: metrics.clone(),
    };
    let upkeep = tokio::spawn(telemetry::keep_up(metrics, stopping.clone()));
    let probes = axum::serve(listener, probes::router(shown.clone())).with_graceful_shutdown(stopped(stopping));
    let probes = tokio::spawn(probes.into_future());
    let frame = Frame { settings, shown, stop };
    let worked = tokio::select! {
        started = begin(&frame) => match started {
            Ok((consumer, opened)) => drain(consumer, opened, &frame, &mut signals).await,
            Err(error) => Err(error),
        },
        () = signals.request() => {
            let waited = frame.shown.start.waits_for().unwrap_or_default();
            tracing::info!(during = waited, "asked to end before the work began; ended");
            Ok(())
        }
    };
    frame.stop.send_replace(true);
    upkeep.await.map_err(DaemonError::of)?;
    probes.await.map_err(DaemonError::of)?.map_err(DaemonError::of)?;
    worked
}

async fn listen(address: std::net::SocketAddr, setting: &str, words: &str) -> Result<TcpListener, DaemonError> {
    let bound = workers::probes::bind(address).await;
    let (listener, bound) =
        bound.map_err(|error| DaemonError(format!("cannot listen on {address}: {error}; set {setting}")))?;
    tracing::info!(address = %bound, "{words}");
    Ok(listener)
}

/// Wait for the servers, look whether everything is as it has to be, then join.
async fn begin(frame: &Frame) -> Result<(Handle, Opened), DaemonError> {
    let Frame { settings, shown, .. } = frame;
    let start = Start::new(Duration::from_secs(settings.start_timeout_s), shown.start.clone());
    let connection = settings.connection().map_err(DaemonError::of)?;
    let brokers = format!("Kafka at {}", settings.brokers);
    let asked = start.await_server(&brokers, async || {
        let topic = connection.topic(TopicName::OrderEvents);
        connection.partitions(&topic).await.map_err(|error| Obstacle::NotYet(error.to_string()))
    });
    let partitions = asked.await.map_err(DaemonError)?;
    let database = database(settings, &view::instances(&settings.schema))?;
    let asked = start.await_server("Postgres", async || {
        let client = database.first_client().await?;
        view::check(&client, &settings.schema).await.map_err(Obstacle::from)
    });
    asked.await.map_err(DaemonError)?;
    let mut kafka = settings.client_config();
    if let Some(instance) = &settings.instance_id {
        kafka.set("group.instance.id", instance);
    }
    let consumer = Consumer::builder(View::new(partitions), Pipeline::new(codec(settings)?))
        .database(&database)
        .kafka(kafka)
        .group(settings.group())
        .topic_prefix(&settings.topic_prefix)
        .partitions(partitions)
        .health(&shown.health);
    let opened = open(frame, connection, partitions).await?;
    let consumer = consumer.start().await.map_err(DaemonError::of)?;
    shown.start.is_done();
    tracing::info!(partitions, "started");
    Ok((consumer, opened))
}

/// The door, open, and what goes on behind it.
struct Opened(Vec<JoinHandle<()>>);

/// Opens the door: from here on it answers.
async fn open(frame: &Frame, connection: Connection, partitions: i32) -> Result<Opened, DaemonError> {
    let Frame { settings, shown, stop } = frame;
    open_files::make_room(settings.max_streams);
    let (who, mut tasks) = callers(settings, stop).await?;
    let listener = listen(settings.api_listen.0, "API_LISTEN or --api-listen", "the API answers").await?;
    if who.is_anybody() {
        tracing::warn!("no keys are configured: everybody on this machine may do everything, and nobody else gets in");
    }
    let reading = open_database(settings, &view::readers(&settings.schema), SESSION)?;
    let (tail, reading_on) = Tail::start(&connection, &stop.subscribe()).map_err(DaemonError::of)?;
    tasks.extend(reading_on);
    let lag = Lag::default();
    let look = Look {
        kafka: settings.client_config(),
        topic_prefix: settings.topic_prefix.clone(),
        partitions,
        database: reading.clone(),
    };
    tasks.push(tokio::spawn(lag.clone().keep_looking(look, stop.subscribe())));
    let addresses = daemons::addresses(&settings.daemons).map_err(DaemonError::of)?;
    let daemons = Daemons::new(addresses).map_err(DaemonError::of)?;
    tasks.push(tokio::spawn(daemons.clone().keep_asking(stop.subscribe())));
    // Set once: a process opens one door.
    drop(shown.further.set(further(&tail, &who)));
    let reads = Reads::new(reading, &settings.topic_prefix, Arc::clone(tail.placed())).map_err(DaemonError::of)?;
    tasks.push(tokio::spawn(Placed::keep(tail.clone(), reads.clone(), stop.subscribe())));
    let door = Arc::new(Door {
        publisher: Publisher::open(&connection, http::SOURCE).map_err(DaemonError::of)?,
        reads,
        tail,
        lag,
        daemons,
        actions: settings.payment_actions().map_err(DaemonError::of)?,
        who,
        limits: settings.limits(),
        streams: AtomicUsize::new(0),
        lists: http::room_for_lists(),
        stopping: stop.subscribe(),
    });
    let (kafka, codec) = (settings.client_config(), codec(settings)?);
    let office = Office::new(kafka, &settings.topic_prefix, codec, console::LETTER_BOUNDS);
    let salt = uuid::Uuid::now_v7().to_string();
    let (console, sampling) = Console::start(Arc::clone(&door), office, salt, stop.subscribe());
    tasks.push(sampling);
    let answering = http::router(door).merge(console::router(console));
    let bounds = Bounds::with_streams(settings.max_streams);
    tasks.push(tokio::spawn(serving::serve(listener, answering, bounds, stop.subscribe())));
    Ok(Opened(tasks))
}

/// Whom the door knows, and what keeps the keys of those who vouch for them.
async fn callers(
    settings: &Settings,
    stop: &watch::Sender<bool>,
) -> Result<(Arc<Who>, Vec<JoinHandle<()>>), DaemonError> {
    let keys = settings.api_keys_file.clone().map(KeyFile::open).transpose().map_err(DaemonError::of)?.map(Arc::new);
    let (tokens, keeper) = settings.tokens.open().map_err(DaemonError::of)?.unzip();
    let mut tasks = Vec::new();
    if let Some(file) = &keys {
        tasks.push(tokio::spawn(Arc::clone(file).keep_looking(stop.subscribe())));
    }
    if let Some(mut keeper) = keeper {
        keeper.begin().await.map_err(|words| DaemonError(format!("the issuer's keys: {words}")))?;
        tasks.push(tokio::spawn(keeper.run(stop.subscribe())));
    }
    Ok((Arc::new(Who::new(keys, tokens)), tasks))
}

/// What the probes tell of the door.
fn further(tail: &Tail, who: &Arc<Who>) -> Further {
    let (tail, locked, known) = (tail.clone(), Arc::clone(who), Arc::clone(who));
    Further {
        obstacles: vec![Box::new(move || tail.obstacle()), Box::new(move || locked.obstacle())],
        notes: vec![Box::new(move || known.note())],
    }
}

/// Work until a signal comes; then let the consumer finish within the deadline. A second signal does not wait.
async fn drain(mut consumer: Handle, opened: Opened, frame: &Frame, signals: &mut Signals) -> Result<(), DaemonError> {
    let deadline = Duration::from_secs(frame.settings.shutdown_timeout_s);
    tokio::select! {
        ended = consumer.join() => return ended.map_err(DaemonError::of),
        () = signals.request() => {}
    }
    tracing::info!("draining");
    frame.stop.send_replace(true);
    consumer.stop();
    let all = async {
        for task in opened.0 {
            task.await.map_err(DaemonError::of)?;
        }
        consumer.join().await.map_err(DaemonError::of)?;
        tracing::info!("drained");
        Ok(())
    };
    tokio::select! {
        ended = tokio::time::timeout(deadline, all) => match ended {
            Ok(ended) => ended,
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
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/src/help.txt");
        assert_eq!(grammar::help_is_kept(Arguments::command(), kept.as_ref()), Ok(()));
    }
}
