//! What a daemon asks of its Postgres server besides rows: whether a connection is one session, and what time it is there.
//!
//! A transaction pooler gives each transaction of a connection to another session: search path, prepared statements and the
//! relay's advisory lock are then somebody else's. It is found out by asking two open connections, in turns, which backend
//! answers: behind a pooler they meet the same one, or one of them meets two.

use std::time::Instant;

use consumer::Database;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::clock::{Look, host};
use consumer::Failure;

/// How many times each connection is asked; a busy pooler may answer twice from the same backend by chance.
const ROUNDS: usize = 4;

/// Fails with words when the connections are not sessions.
///
/// # Errors
/// [`Failure::Halt`] behind a transaction pooler, [`Failure::Retry`] when the server does not answer.
pub(crate) async fn check_sessions(database: &Database) -> Result<(), Failure> {
    let (one, other) = (database.client().await?, database.client().await?);
    let mut seen = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        // The order changes from round to round: a pooler that hands out its backends in turn would look like two sessions.
        seen.push(if round % 2 == 0 {
            [backend_of(&one).await?, backend_of(&other).await?]
        } else {
            let second = backend_of(&other).await?;
            [backend_of(&one).await?, second]
        });
    }
    if are_sessions(&seen) {
        return Ok(());
    }
    Err(Failure::Halt(
        "two statements of one connection did not meet the same Postgres session: there is a transaction pooler \
         (PgBouncer with pool_mode=transaction, or its like) in between. Name the Postgres server itself, or a pool with \
         pool_mode=session, in DATABASE_URL"
            .into(),
    ))
}

/// Whether two connections that are open at once, asked in turns, have each a backend of its own.
fn are_sessions(seen: &[[String; 2]]) -> bool {
    seen.iter().all(|pair| pair[0] != pair[1] && Some(pair) == seen.first())
}

/// The backend that answers, asked in a transaction of its own and without a prepared statement.
async fn backend_of(client: &Client) -> Result<String, Failure> {
    let answer = client.simple_query("select pg_backend_pid()").await?;
    // The protocol's other messages carry no value.
    let pid =
        answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
    pid.map(str::to_owned).ok_or_else(|| Failure::Retry("the database named no backend".into()))
}

/// Its clock beside this host's.
pub(crate) async fn look_at_clock(database: &Database) -> Result<Look, Failure> {
    let client = database.client().await?;
    let asked = Instant::now();
    let row = client.query_one("select clock_timestamp()", &[]).await?;
    Ok(Look { trip: asked.elapsed(), host: host::now(), database: row.get(0) })
}

#[cfg(test)]
mod tests {
    use super::are_sessions;

    fn seen(pairs: &[(&str, &str)]) -> Vec<[String; 2]> {
        pairs.iter().map(|(one, other)| [(*one).to_owned(), (*other).to_owned()]).collect()
    }

    #[test]
    fn a_server_gives_each_connection_its_own_backend() {
        assert!(are_sessions(&seen(&[("7", "8"), ("7", "8"), ("7", "8")])));
    }

    #[test]
    fn a_pooler_gives_both_the_same_one_or_one_of_them_two() {
        assert!(!are_sessions(&seen(&[("7", "7"), ("7", "7")])));
        assert!(!are_sessions(&seen(&[("7", "8"), ("7", "7")])));
        assert!(!are_sessions(&seen(&[("7", "8"), ("9", "8")])));
        assert!(!are_sessions(&seen(&[("7", "8"), ("8", "7")])));
    }
}
