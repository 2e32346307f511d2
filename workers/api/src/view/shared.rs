//! Connections that many look-ups use at once: while one answer is under way, the next question goes out behind it.
//!
//! A look-up by a key is short, so none waits for long behind another one, and nobody waits for a connection that is free: under load
//! one packet carries many questions. What takes longer, a page or a count, has a connection of the pool to itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use consumer::{Database, DatabaseError};
use deadpool_postgres::Object;
use tokio::sync::Mutex;

/// So many are kept out of the pool, which leaves as many for what takes longer.
const CONNECTIONS: usize = 2;

/// The shared connections; made when they are first asked for, and again once they have failed.
#[derive(Default)]
pub(super) struct Shared {
    held: [Mutex<Option<Arc<Object>>>; CONNECTIONS],
    turn: AtomicUsize,
}

impl Shared {
    /// One of them, in turns.
    pub(super) async fn client(&self, database: &Database) -> Result<Arc<Object>, DatabaseError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let mut held = self.held[turn].lock().await;
        if let Some(client) = held.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        // Back to the pool first, which sees that it has failed, and has room then.
        *held = None;
        let client = Arc::new(database.client().await?);
        *held = Some(Arc::clone(&client));
        Ok(client)
    }
}
