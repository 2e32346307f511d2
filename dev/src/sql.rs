//! The few statements that the stack itself sends to a database, and the form of a URL for another database.
//!
//! Without TLS: our own servers listen on the loopback address, and tests on foreign ones speak to them in the same way.
//! Runs on a thread of its own, so that it may be called from inside an asynchronous runtime.

use std::thread;
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::error::{Error, Result};

const LIMIT: Duration = Duration::from_secs(30);

/// Sends one statement without parameters.
pub(crate) fn execute(url: &str, statement: &str) -> Result<()> {
    let failed = |reason: String| Error::Sql { statement: statement.to_owned(), reason };
    let outcome = thread::scope(|scope| scope.spawn(|| execute_here(url, statement)).join());
    outcome.unwrap_or_else(|_| Err("the thread for it panicked".to_owned())).map_err(failed)
}

fn execute_here(url: &str, statement: &str) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let work = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|error| words(&error))?;
        let connection = tokio::spawn(connection);
        let outcome = client.batch_execute(statement).await.map_err(|error| words(&error));
        drop(client);
        // Its end is the server's goodbye; the statement's outcome is what counts.
        let _ = connection.await;
        outcome
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, work).await }).map_err(|_| "no answer in 30 s".to_owned())?
}

fn words(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |refusal| refusal.message().to_owned())
}

/// The same server and user, another database. Both forms are understood: `postgres://…` and `host=… user=…`.
pub(crate) fn with_database(url: &str, name: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return format!("{url} dbname={name}") };
    let (place, parameters) = rest.split_once('?').map_or((rest, None), |(place, rest)| (place, Some(rest)));
    // A slash inside the authority would have to be written %2F.
    let authority = place.split_once('/').map_or(place, |(authority, _)| authority);
    let parameters = parameters.map(|parameters| format!("?{parameters}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{parameters}")
}

/// Refuses what could not be written into a statement as it is.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if fits { Ok(()) } else { Err(Error::DatabaseName { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced_in_every_form() {
        for (url, expected) in [
            ("postgres://u:p@h:5/postgres", "postgres://u:p@h:5/other"),
            ("postgresql://h", "postgresql://h/other"),
            ("postgres://u@h/a?sslmode=require&options=/y", "postgres://u@h/other?sslmode=require&options=/y"),
            ("postgres://h?host=a", "postgres://h/other?host=a"),
            ("host=h user=u dbname=a", "host=h user=u dbname=a dbname=other"),
        ] {
            assert_eq!(with_database(url, "other"), expected);
            let config: tokio_postgres::Config = expected.parse().unwrap();
            assert_eq!(config.get_dbname(), Some("other"));
        }
    }

    #[test]
    fn a_name_that_would_need_quotes_is_refused() {
        for name in ["", "1a", "a-b", "A", "a;drop", &"a".repeat(64)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        check_name("orders_2").unwrap();
    }
}
