//! Hears from other processes that something was committed.
//!
//! LISTEN on a connection of its own. A notification names lanes; an empty one, or one that cannot be read, means all.
//! Notifications only save time: whoever misses one finds the rows at the next poll, so a broken connection is mended in
//! the background and nothing waits for it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::database::Database;
use crate::error::OutboxError;
use crate::lanes::Lane;
use crate::relay::repeats::Repeats;
use crate::sql;

const RETRY: Duration = Duration::from_secs(1);
/// Notifications that may wait to be read; with more, one of them is as good as all.
const CAPACITY: usize = 1024;
/// A connection that breaks without a word is noticed by this.
const CHECK: Duration = Duration::from_secs(10);

/// What was heard since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) everything: bool,
    pub(crate) lanes: BTreeSet<Lane>,
}

/// The listening task; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    wake: Notify,
}

impl Listener {
    pub(crate) fn start(database: Database, schema: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let channel = sql::channel(schema);
        let task = tokio::spawn(listen(database, channel, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// Returns once something was heard since the last return.
    pub(crate) async fn heard(&self) {
        self.shared.wake.notified().await;
    }

    /// Takes what was heard; does not wait.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the task and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        // Aborted on purpose: there is nothing to learn from how it ended.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(database: Database, channel: String, shared: Arc<Shared>) {
    let mut repeats = Repeats::default();
    loop {
        if let Err(error) = listen_once(&database, &channel, &shared).await
            && let Some(untold) = repeats.tell(&error.to_string(), Instant::now())
        {
            tracing::warn!(%error, untold, "not listening for commits of other processes; polling meanwhile");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(database: &Database, channel: &str, shared: &Shared) -> Result<(), OutboxError> {
    let (sender, mut receiver) = mpsc::channel(CAPACITY);
    let client = database.open(Some(sender)).await?;
    let listening = || OutboxError::database("listening");
    let listen = format!("listen \"{channel}\"");
    let listens = tokio::time::timeout(CHECK, client.batch_execute(&listen)).await;
    listens.map_err(|_| OutboxError::TimedOut { doing: "listening" })?.map_err(listening())?;
    hear(shared, "");
    loop {
        match tokio::time::timeout(CHECK, receiver.recv()).await {
            Ok(Some(payload)) => hear(shared, &payload),
            Ok(None) => return Ok(()),
            Err(_) => {
                let check = tokio::time::timeout(CHECK, client.batch_execute("")).await;
                check.map_err(|_| OutboxError::TimedOut { doing: "listening" })?.map_err(listening())?;
            }
        }
    }
}

fn hear(shared: &Shared, payload: &str) {
    {
        let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match payload.split(',').map(str::parse).collect::<Result<Vec<Lane>, _>>() {
            Ok(lanes) => heard.lanes.extend(lanes),
            Err(_) => heard.everything = true,
        }
    }
    shared.wake.notify_one();
}
