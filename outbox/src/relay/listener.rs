//! Hears from other processes that something was committed.
//!
//! A notification names lanes; an empty one, or one that cannot be read, means all. Whoever misses one finds the rows at the
//! next poll.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::database::Database;
use crate::lanes::Lane;
use crate::listening::Listening;
use crate::sql;

/// What was heard since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) everything: bool,
    pub(crate) lanes: BTreeSet<Lane>,
}

/// What listens; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    shared: Arc<Shared>,
    listening: Listening,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    wake: Notify,
}

impl Listener {
    pub(crate) fn start(database: Database, schema: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let hearing = Arc::clone(&shared);
        let listening = Listening::start(database, &sql::channel(schema), move |payload| hearing.hear(payload));
        Self { shared, listening }
    }

    /// Returns once something was heard since the last return.
    pub(crate) async fn heard(&self) {
        self.shared.wake.notified().await;
    }

    /// Takes what was heard; does not wait.
    pub(crate) fn take(&self) -> Heard {
        std::mem::take(&mut *self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends it and waits for its end.
    pub(crate) async fn stop(self) {
        self.listening.stop().await;
    }
}

impl Shared {
    fn hear(&self, payload: &str) {
        {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            match payload.split(',').map(str::parse).collect::<Result<Vec<Lane>, _>>() {
                Ok(lanes) => heard.lanes.extend(lanes),
                Err(_) => heard.everything = true,
            }
        }
        self.wake.notify_one();
    }
}
