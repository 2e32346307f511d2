//! The program: `loyalty-service setup`, then `loyalty-service run`; `loyalty-service rebuild` when in doubt.

use clap::{Parser, Subcommand};
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
