//! The program: `loyalty-service setup`, then `loyalty-service run`; `loyalty-service rebuild` when in doubt; `parked`, `retry` and
//! `drop` for what cannot be taken.

use clap::{Parser, Subcommand};
use consumer::parked::Which;
use consumer::{Database, FromTo, rebuild};
use loyalty::book::Book;
use rdkafka::ClientConfig;
use tokio::signal::unix::{SignalKind, signal};

/// Points for the orders that a pipeline confirms.
#[derive(Parser)]
struct Options {
    /// Kafka's bootstrap addresses.
    #[arg(long, env = "KAFKA_BROKERS")]
    brokers: String,
    /// The database of its tables.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The schema of its tables.
    #[arg(long, default_value = "loyalty")]
    schema: String,
    /// What stands in front of every topic's name.
    #[arg(long, env = "TOPIC_PREFIX", default_value = "")]
    topic_prefix: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make its tables and its topics.
    Setup,
    /// Work until SIGTERM.
    Run,
    /// Show the orders whose events wait because one of them cannot be taken.
    Parked,
    /// Have one of them tried again at once.
    Retry { key: String },
    /// Give one of them up: its events go to the dead letters, with this note.
    Drop { key: String, note: String },
    /// Make the tables again from what the service has said, and compare: exit code 1 where they differ.
    Rebuild,
}

#[tokio::main]
async fn main() -> loyalty::Result<()> {
    let Options { brokers, database_url, schema, topic_prefix, verb } = Options::parse();
    let database = Database::open(&database_url, None, &schema, "loyalty")?;
    let mut kafka = ClientConfig::new();
    kafka.set("bootstrap.servers", brokers);
    match verb {
        Verb::Setup => loyalty::setup(&database, kafka, &topic_prefix).await,
        Verb::Run => {
            let mut terminate = signal(SignalKind::terminate())?;
            let service = loyalty::service(&database, kafka, &topic_prefix).start().await?;
            Ok(service.until(async { _ = terminate.recv().await }).await?)
        }
        Verb::Parked => {
            for key in loyalty::service(&database, kafka, &topic_prefix).parked(Which::All).await? {
                println!("{}: {} events since {}: {}", key.key, key.messages, key.since, key.cause);
            }
            Ok(())
        }
        Verb::Retry { key } => {
            let service = loyalty::service(&database, kafka, &topic_prefix);
            println!("{} keys are tried again", service.retry_parked(Which::Key(&key), "loyalty-service").await?);
            Ok(())
        }
        Verb::Drop { key, note } => {
            let service = loyalty::service(&database, kafka, &topic_prefix);
            println!("{} events are set aside", service.drop_parked(&key, "loyalty-service", &note).await?);
            Ok(())
        }
        Verb::Rebuild => {
            let rebuilding = rebuild::rebuild::<Book>(FromTo::default(), &database, &kafka, &topic_prefix);
            let rebuilt = rebuilding.await?;
            let points: i128 = rebuilt.state().accounts.values().copied().map(i128::from).sum();
            let comparison = rebuilt.compare().await?;
            println!("{points} points are earned\n{comparison}");
            if comparison.differences.is_empty() { Ok(()) } else { Err("the tables differ".into()) }
        }
    }
}
