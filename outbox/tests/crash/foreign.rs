//! A transaction as a program in another language does it: plain SQL, `outbox_send`, savepoints.
//!
//! Events are sent one by one; some are sent after a savepoint to which the transaction then goes back.

use outbox::{Class, Client, class_of};
use tokio_postgres::error::Severity;

use crate::body::Body;
use crate::settings::SCHEMA;

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Committed,
    Undone,
    Unknown,
    /// Refused for a reason that no fault explains.
    Refused(String),
}

/// Sends all of these, but takes those back that are in `never`, in the order of their numbers.
pub(crate) async fn carry_out(client: &Client, name: &str, topics: &[String], bodies: &[(Body, bool)]) -> Ended {
    let mut script = format!("begin; insert into app.transactions (name, doomed) values ('{name}', false);");
    for (body, keep) in bodies {
        let topic = &topics[usize::from(body.key.starts_with('b'))];
        let send = format!("select {SCHEMA}.outbox_send('{topic}', '{}', '{body}'::text, 'crash.Event.v1');", body.key);
        script.push_str(&match keep {
            true => send,
            false => format!("savepoint before; {send} rollback to savepoint before;"),
        });
    }
    if let Err(error) = client.batch_execute(&script).await {
        // Without COMMIT nothing is committed, whether the answer to this comes or not.
        let _ = client.batch_execute("rollback").await;
        return explained(&error);
    }
    match client.batch_execute("commit").await {
        Ok(()) => Ended::Committed,
        Err(error) => match error.as_db_error() {
            Some(answer) if answer.parsed_severity() == Some(Severity::Error) => explained(&error),
            Some(_) | None => Ended::Unknown,
        },
    }
}

fn explained(error: &tokio_postgres::Error) -> Ended {
    match class_of(error) {
        Class::Retry | Class::Unknown => Ended::Undone,
        Class::Conflict | Class::Permanent => {
            Ended::Refused(error.as_db_error().map_or_else(|| error.to_string(), |answer| answer.message().to_owned()))
        }
    }
}
