//! Connections that many look-ups use at once: while one answer is under way, the next question goes out behind it.
//!
//! A look-up by a key is short, so none waits for long behind another one, and nobody waits for a connection that is free: under load
//! one packet carries many questions. What takes longer, a page or a count, has a connection of the pool to itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use consumer::{Database, DatabaseError};
use deadpool_postgres::Object;

/// So many are kept out of the pool, which leaves as many for what takes longer.
const CONNECTIONS: usize = 2;

type Held = Option<Arc<Object>>;

/// The shared connections; made when they are first asked for, and again once they have failed.
#[derive(Default)]
pub(super) struct Shared {
    held: [Mutex<Held>; CONNECTIONS],
    turn: AtomicUsize,
}

impl Shared {
    /// One of them, in turns.
    pub(super) async fn client(&self, database: &Database) -> Result<Arc<Object>, DatabaseError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        if let Some(client) = usable(&mut self.locked(turn)) {
            return Ok(client);
        }
        // Nobody waits for anybody else's: where the server is away, each has the pool's own time-out and no longer one.
        // Rare and large: every look-up's future would be as large, and every request's that holds one.
        let made = Arc::new(Box::pin(database.client()).await?);
        let mut held = self.locked(turn);
        Ok(usable(&mut held).unwrap_or_else(|| Arc::clone(held.insert(made))))
    }

    fn locked(&self, turn: usize) -> MutexGuard<'_, Held> {
        self.held[turn].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one that is held. One that has failed goes back to the pool, which sees that and makes another one.
fn usable(held: &mut Held) -> Held {
    held.take_if(|client| client.is_closed());
    held.clone()
}
