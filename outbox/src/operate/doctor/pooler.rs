//! Is there a pooler between this program and the database that hands one server session to many?
//!
//! A relay's leadership is a lock of its session, and its notifications come to its session. Behind a pooler that gives
//! away sessions between transactions both are lost without an error, so this is looked for and not left to trouble.

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::Check;
use crate::database::Database;
use crate::error::OutboxError;

const NAME: &str = "connection";

/// What was seen of two connections, used in turns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// Backends of the first, statement by statement.
    first: Vec<i32>,
    /// Backends of the second.
    second: Vec<i32>,
    /// A setting that the first made was there in its next statements.
    setting_kept: bool,
}

impl Seen {
    fn check(&self) -> Check {
        let moved = self.first.windows(2).any(|pair| pair[0] != pair[1]);
        let shared = self.first.iter().any(|pid| self.second.contains(pid));
        let found = match (shared, moved, self.setting_kept) {
            (true, _, _) => "two connections got the same database session",
            (false, true, _) => "one connection got several database sessions",
            (false, false, false) => "a setting of the session was forgotten between two statements",
            (false, false, true) => {
                return Check::ok(NAME, "direct: one session per connection, which keeps its state");
            }
        };
        let advice = "a pooler in transaction mode is in between (PgBouncer, a managed \"pooled\" address): give the relay \
            the direct address, or a pool in session mode. Programs that only append may go through it";
        Check::problem(NAME, found, advice)
    }
}

/// Uses two connections in turns and compares what they say of their sessions.
pub(super) async fn checks(database: &Database, client: &ClientWrapper) -> Vec<Check> {
    let check = match look(database, client).await {
        Ok(seen) => seen.check(),
        Err(error) => Check::warning(
            NAME,
            format!("could not be looked at: {error}"),
            "make sure that it is direct and not through a pooler in transaction mode",
        ),
    };
    vec![check]
}

async fn look(database: &Database, first: &ClientWrapper) -> Result<Seen, OutboxError> {
    let failed = || OutboxError::database("comparing two connections");
    let second = database.open(None).await?;
    let mut seen = Seen { first: Vec::new(), second: Vec::new(), setting_kept: true };
    first.batch_execute("set outbox.probe = 'kept'").await.map_err(failed())?;
    for _ in 0..3 {
        seen.first.push(pid(first).await?);
        seen.second.push(pid(&second).await?);
        let kept = ask(first, "select coalesce(current_setting('outbox.probe', true), '')").await?;
        seen.setting_kept &= kept == "kept";
    }
    Ok(seen)
}

async fn pid(client: &Client) -> Result<i32, OutboxError> {
    let answer = ask(client, "select pg_backend_pid()").await?;
    answer.parse().map_err(|_| OutboxError::CorruptRow { what: "the number of a session" })
}

/// Asks as text: prepared statements do not survive every pooler.
async fn ask(client: &Client, text: &str) -> Result<String, OutboxError> {
    let answer = client.simple_query(text).await.map_err(OutboxError::database("comparing two connections"))?;
    let row = answer.iter().find_map(|message| {
        if let SimpleQueryMessage::Row(row) = message { row.get(0).map(str::to_owned) } else { None }
    });
    row.ok_or(OutboxError::CorruptRow { what: "no answer" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Level;

    fn level(first: &[i32], second: &[i32], setting_kept: bool) -> Level {
        Seen { first: first.to_vec(), second: second.to_vec(), setting_kept }.check().level
    }

    #[test]
    fn a_session_that_is_shared_or_changes_betrays_a_pooler() {
        assert_eq!(level(&[1, 1, 1], &[2, 2, 2], true), Level::Ok);
        assert_eq!(level(&[1, 1, 1], &[1, 1, 1], true), Level::Problem);
        assert_eq!(level(&[1, 1, 3], &[2, 2, 2], true), Level::Problem);
        assert_eq!(level(&[1, 1, 1], &[2, 2, 2], false), Level::Problem);
    }
}
