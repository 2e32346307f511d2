//! What a process does while another leads: tell the leader what was committed here, and wait for its turn.
//!
//! NOTIFY is sent after the commits, for many at once, on a connection of its own: inside a transaction it would
//! serialise all commits of the database. A program without a relay runs an [`Announcer`] to do the same.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::database::Database;
use crate::error::OutboxError;
use crate::hint::Hints;
use crate::lanes::Lane;
use crate::relay::session::Session;
use crate::relay::stop::Stop;
use crate::relay::{RelayConfig, RelayError, RelayStatus, Role};
use crate::repeats::Repeats;
use crate::sql;
use crate::store::Outbox;

/// Postgres takes less than 8,000 bytes of payload.
const MAX_PAYLOAD_BYTES: usize = 7_000;
/// How often a standby looks for a silent leader, unless silence is short.
const LOOK_FOR_SILENCE: Duration = Duration::from_secs(1);

/// How waiting for the lead ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nobody else led.
    AtOnce,
    /// Another relay led meanwhile.
    AfterAnother,
    /// Asked to stop.
    Stopped,
}

/// Waits until this session leads; announces commits of this process meanwhile.
pub(crate) async fn wait_for_turn(
    outbox: &Outbox,
    config: &RelayConfig,
    session: &Session,
    status: &RelayStatus,
    stop: &mut Stop,
) -> Result<Turn, RelayError> {
    let hints = &outbox.shared.hints;
    let channel = sql::channel(&outbox.config().schema);
    let mut turns = interval(config.standby_interval);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = LOOK_FOR_SILENCE.min(config.stale_after / 4);
    let mut looked = Instant::now();
    let mut turn = Turn::AtOnce;
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(Turn::Stopped),
            () = hints.handed() => announce(hints, session, &channel).await?,
            _ = turns.tick() => {
                if session.try_lead().await? {
                    return Ok(turn);
                }
                if turn == Turn::AtOnce {
                    turn = Turn::AfterAnother;
                    status.set_role(Role::Standby);
                }
                if looked.elapsed() >= look {
                    looked = Instant::now();
                    session.end_silent_leader(config.stale_after).await?;
                }
            }
        }
    }
}

/// Sends one notification for everything that was handed over.
async fn announce(hints: &Hints, session: &Session, channel: &str) -> Result<(), OutboxError> {
    let handed = hints.take();
    let mut lanes = handed.lanes;
    lanes.extend(handed.hints.iter().map(|hint| hint.lane));
    if lanes.is_empty() {
        return Ok(());
    }
    let payload = payload_of(&lanes);
    session.query("announcing commits", "select pg_notify($1, $2)", &[&channel, &payload]).await.map(|_| ())
}

/// The lanes' numbers; empty, which means all, when they do not fit.
fn payload_of(lanes: &BTreeSet<Lane>) -> String {
    let payload = lanes.iter().map(Lane::to_string).collect::<Vec<_>>().join(",");
    if payload.len() > MAX_PAYLOAD_BYTES { String::new() } else { payload }
}

/// Tells the leader, in another process, what this process has committed. For programs that write to the outbox without
/// running a [`super::Relay`]; without it their messages wait for the leader's next poll.
#[derive(Debug)]
pub struct Announcer {
    outbox: Outbox,
    database: Database,
}

impl Announcer {
    /// For this outbox, on a connection of its own.
    pub fn new(outbox: &Outbox, database: Database) -> Self {
        Self { outbox: outbox.clone(), database }
    }

    /// Announces until `shutdown` completes. Mends its connection by itself.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let hints = Arc::clone(&self.outbox.shared.hints);
        let channel = sql::channel(&self.outbox.config().schema);
        let mut repeats = Repeats::default();
        let announcing = async {
            loop {
                let result = async {
                    let session = Session::open(&self.database, &self.outbox.config().schema).await?;
                    loop {
                        hints.handed().await;
                        announce(&hints, &session, &channel).await?;
                    }
                };
                let result: Result<(), OutboxError> = result.await;
                if let Err(error) = result
                    && let Some(untold) = repeats.tell(&error.to_string(), std::time::Instant::now())
                {
                    tracing::warn!(%error, untold, "commits are not announced; the relay finds them by polling");
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = announcing => {}
        }
    }
}
