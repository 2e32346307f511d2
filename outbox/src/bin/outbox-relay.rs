//! `outbox-relay`: the relay as a program of its own, for services that do not run it as a task.
//!
//! A thin shell around [`outbox::Relay`]: reads flags and environment, connects, stops in good order on SIGTERM or
//! SIGINT, at once on the second. Any number may run; one leads, the others stand by.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use outbox::{Database, Outbox, Relay, RelayConfig};
use rdkafka::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};

/// Publishes the messages of a transactional outbox in Postgres to Kafka.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Postgres, directly and not through a transaction pooler: postgres://user:password@host/name?sslmode=require
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// File that holds the database URL, instead of the flag
    #[arg(long, env = "DATABASE_URL_FILE")]
    database_url_file: Option<PathBuf>,
    /// Database schema of the outbox
    #[arg(long, env = "OUTBOX_SCHEMA")]
    schema: String,
    /// Kafka bootstrap servers
    #[arg(long, env = "KAFKA_BROKERS", default_value = "localhost:9092")]
    brokers: String,
    /// Any librdkafka property, repeatable: --kafka security.protocol=ssl
    #[arg(long = "kafka", value_name = "NAME=VALUE")]
    kafka: Vec<String>,
    /// Microseconds that the producer waits for more before it sends
    #[arg(long, env = "OUTBOX_LINGER_US", default_value_t = 0)]
    linger_us: u64,
    /// How logs are written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Clone, Copy, Subcommand)]
enum Verb {
    /// Publish until stopped (the default)
    Run,
    /// Create or upgrade the outbox's tables, and end
    Migrate,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

/// What ends the program with a message.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Outbox(#[from] outbox::OutboxError),
    #[error(transparent)]
    Relay(#[from] outbox::RelayError),
    #[error(transparent)]
    Url(#[from] outbox::DatabaseUrlError),
    #[error("signals: {0}")]
    Signals(std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_logging(arguments.log_format);
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("outbox-relay: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let database = Database::from_url(&database_url(arguments)?)?;
    let mut client = database.connect().await?;
    if matches!(arguments.verb, Some(Verb::Migrate)) {
        outbox::migrate(&mut client, &arguments.schema).await?;
        tracing::info!(schema = arguments.schema, "the outbox tables are up to date");
        return Ok(());
    }
    let outbox = open(&client, &arguments.schema).await?;
    drop(client);
    let mut config = RelayConfig::new(database, kafka(arguments)?);
    config.linger = Duration::from_micros(arguments.linger_us);
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let mut asked = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tracing::info!(schema = arguments.schema, brokers = arguments.brokers, "the relay starts");
    let relay = Relay::new(&outbox, config).run(async {
        // The sender is dropped to stop it.
        let _ = stopped.await;
    });
    let mut relay = std::pin::pin!(relay);
    tokio::select! {
        ended = &mut relay => return Ok(ended?),
        () = asked() => tracing::info!("stopping"),
    }
    drop(stop);
    tokio::select! {
        ended = &mut relay => Ok(ended?),
        () = asked() => Err(Failure::Usage("stopped at once by a second signal".to_owned())),
    }
}

#[cfg(feature = "planted-bugs")]
async fn open(client: &outbox::Client, schema: &str) -> Result<Outbox, Failure> {
    let recorded = Outbox::open_recorded(client, schema).await?;
    let Ok(name) = std::env::var("PLANTED_BUG") else { return Ok(recorded) };
    let bug = name.parse().map_err(|_| Failure::Usage(format!("there is no planted bug `{name}`")))?;
    Ok(Outbox::open(client, recorded.config().clone().with_planted_bug(bug)).await?)
}

#[cfg(not(feature = "planted-bugs"))]
async fn open(client: &outbox::Client, schema: &str) -> Result<Outbox, Failure> {
    if std::env::var_os("PLANTED_BUG").is_some() {
        return Err(Failure::Usage("PLANTED_BUG is set, and this program was built without planted bugs".to_owned()));
    }
    Ok(Outbox::open_recorded(client, schema).await?)
}

fn database_url(arguments: &Arguments) -> Result<String, Failure> {
    match (&arguments.database_url, &arguments.database_url_file) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map(|url| url.trim().to_owned())
            .map_err(|error| Failure::Usage(format!("{}: {error}", file.display()))),
        (None, None) => Err(Failure::Usage("give --database-url, DATABASE_URL or DATABASE_URL_FILE".to_owned())),
    }
}

fn kafka(arguments: &Arguments) -> Result<ClientConfig, Failure> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &arguments.brokers);
    for property in &arguments.kafka {
        let Some((name, value)) = property.split_once('=') else {
            return Err(Failure::Usage(format!("--kafka {property}: write NAME=VALUE")));
        };
        config.set(name, value);
    }
    Ok(config)
}

fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing_subscriber::filter::LevelFilter::INFO.into())
        .from_env_lossy();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
