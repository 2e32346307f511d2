//! The daemon: a relay that runs until it is asked to stop, in good order at the first signal, at once at the second.

use std::time::Duration;

use outbox::{Outbox, Relay, RelayConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::arguments::Arguments;

pub(crate) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (database, schema) = (arguments.at.database()?, arguments.at.schema()?);
    let client = database.connect().await?;
    let outbox = open(&client, schema).await?;
    drop(client);
    let mut config = RelayConfig::new(database, arguments.at.kafka()?);
    config.linger = Duration::from_micros(arguments.linger_us);
    config.retention = Duration::from_secs(arguments.retention_s);
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let mut asked = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tracing::info!(schema, brokers = arguments.at.brokers, "the relay starts");
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
