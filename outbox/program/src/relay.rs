//! The daemon: a relay that runs until it is asked to stop, in good order at the first signal, at once at the second.
//!
//! A database or a broker that is away is waited for without end, as the relay does later on; what no waiting mends (a
//! wrong password, missing tables) ends it with the reason.

use std::time::{Duration, Instant};

use outbox::kafka::Unanswered;
use outbox::{Class, Outbox, Relay, RelayConfig};

use rdkafka::ClientConfig;

use crate::Failure;
use crate::arguments::Arguments;
use crate::signals::Signals;

/// How long the brokers may take to say that they do not want this program.
const KNOCK_WAIT: Duration = Duration::from_secs(3);
/// How often the database is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that it is away.
const TELL_EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut signals = Signals::hear()?;
    let (database, schema, kafka) = (arguments.at.database()?, arguments.at.schema()?, arguments.at.kafka()?);
    let outbox = tokio::select! {
        outbox = opened(&database, schema) => outbox?,
        () = signals.asked() => {
            tracing::info!("stopped before the database answered");
            return Ok(());
        }
    };
    let admitted = tokio::select! {
        admitted = admitted(kafka.clone()) => admitted,
        () = signals.asked() => return Ok(()),
    };
    admitted?;
    let mut config = RelayConfig::new(database, kafka);
    config.linger = Duration::from_micros(arguments.linger_us);
    config.retention = Duration::from_secs(arguments.retention_s);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tracing::info!(schema, brokers = arguments.at.brokers, "the relay starts");
    let relay = Relay::new(&outbox, config).run(async {
        // The sender is dropped to stop it.
        let _ = stopped.await;
    });
    let mut relay = std::pin::pin!(relay);
    tokio::select! {
        ended = &mut relay => return Ok(ended?),
        () = signals.asked() => tracing::info!("stopping"),
    }
    drop(stop);
    tokio::select! {
        ended = &mut relay => Ok(ended?),
        () = signals.asked() => Err(Failure::Usage("stopped at once by a second signal".to_owned())),
    }
}

/// Ends the start when the brokers, asked once, refuse this program. If they are away, the relay waits for them.
async fn admitted(kafka: ClientConfig) -> Result<(), Failure> {
    let asked = tokio::task::spawn_blocking(move || outbox::kafka::ask(&kafka, None, KNOCK_WAIT).map(drop));
    match asked.await {
        Ok(Err(refused @ (Unanswered::Refused(_) | Unanswered::Settings(_)))) => Err(Failure::Brokers(refused)),
        Ok(Err(Unanswered::Silent { .. }) | Ok(())) | Err(_) => Ok(()),
    }
}

/// Opens the outbox as soon as the database answers.
async fn opened(database: &outbox::Database, schema: &str) -> Result<Outbox, Failure> {
    let mut told: Option<Instant> = None;
    loop {
        let attempt = async { open(&database.connect().await?, schema).await };
        match attempt.await {
            Err(Failure::Outbox(error)) if matches!(error.class(), Class::Retry | Class::Unknown) => {
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, retry_in = ?TRY_EVERY, "waiting for the database");
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
            done => return done,
        }
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
