//! Hears the notifications of a channel: LISTEN on a connection of its own, which is mended in the background.
//!
//! Notifications only save time: whoever misses one finds what it was about at its next look into the table, so nothing waits for the
//! connection. It has to be a direct one: behind a pooler that exchanges sessions nothing is heard. Deliberately absent: what a
//! payload means, and sending (`pg_notify`, in the transaction that it tells of).

use std::time::{Duration, Instant};

use postgres_protocol::escape::escape_identifier;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::database::Database;
use crate::error::OutboxError;
use crate::repeats::Repeats;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Notifications that may wait to be read; those beyond are dropped.
const CAPACITY: usize = 1024;
/// A connection that breaks without a word is noticed by this.
const CHECK: Duration = Duration::from_secs(10);

/// A task that listens; it ends when this is dropped.
#[derive(Debug)]
pub struct Listening(JoinHandle<()>);

impl Listening {
    /// Listens on this channel. `hear` is given each payload, and an empty one whenever listening begins: what was sent before may
    /// have been missed. It must not wait for anything.
    pub fn start(database: Database, channel: &str, hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let channel = escape_identifier(channel);
        Self(tokio::spawn(async move { listen(&database, &channel, &hear).await }))
    }

    /// Ends the task and waits for its end.
    pub async fn stop(mut self) {
        self.0.abort();
        // Aborted on purpose: there is nothing to learn from how it ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn listen(database: &Database, channel: &str, hear: &(impl Fn(&str) + Sync)) {
    let (mut repeats, mut backoff) = (Repeats::default(), Backoff::new(FIRST_PAUSE, LONGEST_PAUSE));
    loop {
        let began = Instant::now();
        if let Err(error) = listen_once(database, channel, hear).await
            && let Some(untold) = repeats.tell(&error.to_string(), Instant::now())
        {
            tracing::warn!(%error, channel, untold, "not listening for what other processes commit; polling meanwhile");
        }
        backoff.worked_for(began.elapsed());
        tokio::time::sleep(backoff.wait()).await;
    }
}

async fn listen_once(database: &Database, channel: &str, hear: &(impl Fn(&str) + Sync)) -> Result<(), OutboxError> {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let client = database.open(Some(sender)).await?;
    let listening = || OutboxError::database("listening");
    let listen = format!("listen {channel}");
    let listens = tokio::time::timeout(CHECK, client.batch_execute(&listen)).await;
    listens.map_err(|_| OutboxError::TimedOut { doing: "listening" })?.map_err(listening())?;
    hear("");
    loop {
        match tokio::time::timeout(CHECK, receiver.recv()).await {
            Ok(Some(payload)) => hear(&payload),
            Ok(None) => return Ok(()),
            Err(_) => {
                let check = tokio::time::timeout(CHECK, client.batch_execute("")).await;
                check.map_err(|_| OutboxError::TimedOut { doing: "listening" })?.map_err(listening())?;
            }
        }
    }
}
