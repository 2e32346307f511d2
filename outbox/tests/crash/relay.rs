//! A relay as a process, with a writer beside it that shares its outbox, so that messages reach it from memory too.

use std::time::Duration;

use outbox::{Database, Outbox, Relay, RelayConfig, RelayStatus, Role};
use tokio_postgres::NoTls;

use crate::Outcome;
use crate::journal::Journal;
use crate::settings::{self, IN_FLIGHT, STALE_AFTER, Settings};
use crate::writer::Writer;

/// Relays, and writes, until the process ends.
pub(crate) async fn run(settings: Settings, name: &str) -> Outcome<()> {
    let database: tokio_postgres::Config = settings.writers_url.parse()?;
    let outbox = open(&settings, &database).await;
    let relay = Relay::new(&outbox, config(&settings, database));
    let status = relay.status();
    let journal = Journal::create(&settings.folder, &format!("{name}.role"))?;
    let writer = Writer::new(&settings, &outbox, &format!("{name}.a"))?;
    tokio::select! {
        ended = relay.run(std::future::pending()) => Ok(ended?),
        ended = writer.run() => ended,
        ended = tell_roles(status, journal) => ended,
    }
}

/// Opens the outbox as soon as the database lets it.
pub(crate) async fn open(settings: &Settings, database: &tokio_postgres::Config) -> Outbox {
    loop {
        if let Ok(client) = outbox::connect(database, NoTls).await
            && let Ok(outbox) = Outbox::open(&client, settings.outbox()).await
        {
            return outbox;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything shorter than by default, so that a cycle is short.
fn config(settings: &Settings, database: tokio_postgres::Config) -> RelayConfig {
    let mut config = RelayConfig::new(Database::new(database, NoTls), settings.kafka());
    config.max_in_flight_messages = IN_FLIGHT;
    config.batch_rows = 100;
    config.poll_interval = Duration::from_millis(100);
    config.standby_interval = Duration::from_millis(30);
    config.position_interval = Duration::from_millis(30);
    config.fence_age = STALE_AFTER / 3;
    config.stale_after = STALE_AFTER;
    config.hold = Duration::from_millis(500);
    // Tables change places and are truncated all the time, under everything else that happens.
    config.retention = settings::RETENTION;
    config.rotation_interval = Duration::from_millis(200);
    config
}

async fn tell_roles(status: RelayStatus, mut journal: Journal) -> Outcome<()> {
    let mut told = None;
    loop {
        let role = status.report().role;
        if told != Some(role) {
            told = Some(role);
            journal.role(match role {
                Role::Disconnected => "disconnected",
                Role::Standby => "standby",
                Role::TakingOver => "taking-over",
                Role::Leading => "leading",
            })?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
