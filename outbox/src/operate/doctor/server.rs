//! Settings of the database server on which a promise rests, and its clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Client;

use super::Check;
use crate::error::OutboxError;
use crate::operate::OperateError;

/// Clocks that differ by more make ages and times misleading.
const MAX_SKEW: Duration = Duration::from_secs(2);
/// The oldest server that is supported.
const OLDEST_VERSION: i32 = 140_000;

pub(super) async fn checks(client: &Client) -> Result<Vec<Check>, OperateError> {
    let mut checks = Vec::new();
    let text = "select current_setting('server_version_num')::int, current_setting('server_version'), \
                current_setting('fsync'), current_setting('full_page_writes'), reset_val_of('synchronous_commit'), \
                reset_val_of('default_transaction_isolation'), pg_is_in_recovery()";
    let text = text
        .replace("reset_val_of('synchronous_commit')", &reset_value("synchronous_commit"))
        .replace("reset_val_of('default_transaction_isolation')", &reset_value("default_transaction_isolation"));
    let row = client.query_one(&text, &[]).await.map_err(OutboxError::database("reading the server's settings"))?;
    let (number, version): (i32, &str) = (row.get(0), row.get(1));
    checks.push(match number >= OLDEST_VERSION {
        true => Check::ok("server", format!("PostgreSQL {version}")),
        false => Check::problem("server", format!("PostgreSQL {version}"), "version 14 or newer is needed"),
    });
    if row.get(6) {
        let advice = "connect to the primary: a standby can neither be appended to nor led from";
        checks.push(Check::problem("server", "this server is a standby, which only reads", advice));
    }
    for (name, value, why) in [
        ("fsync", row.get::<_, &str>(2), "a crash of the machine can undo what was committed and published"),
        ("full_page_writes", row.get::<_, &str>(3), "a crash of the machine can tear pages"),
    ] {
        checks.push(match value {
            "on" => Check::ok(name, "on"),
            _ => Check::problem(name, format!("{value}: {why}"), format!("set {name} = on in postgresql.conf")),
        });
    }
    checks.push(match row.get::<_, Option<&str>>(4).unwrap_or("on") {
        "off" => Check::problem(
            "synchronous_commit",
            "off by default for this role and database: appending is refused",
            "set it to on, at least for the role that appends: alter role … set synchronous_commit = on",
        ),
        value => Check::ok("synchronous_commit", value),
    });
    checks.push(match row.get::<_, Option<&str>>(5).unwrap_or("read committed") {
        value @ "read committed" => Check::ok("isolation", format!("{value} by default")),
        value => Check::problem(
            "isolation",
            format!("{value} by default for this role and database: appending is refused"),
            "begin transactions that append with isolation level read committed, or set default_transaction_isolation",
        ),
    });
    checks.push(clock(client).await?);
    Ok(checks)
}

/// What a new session of this role begins with; connections of this crate may have changed it for themselves.
fn reset_value(name: &str) -> String {
    format!("(select reset_val from pg_settings where name = '{name}')")
}

async fn clock(client: &Client) -> Result<Check, OperateError> {
    let before = Timestamp::now();
    let row = client.query_one("select clock_timestamp()", &[]).await;
    let server: Timestamp = row.map_err(OutboxError::database("reading the server's clock"))?.get(0);
    let after = Timestamp::now();
    Ok(judge_clock(before, server, after))
}

/// The server answered at some moment between the two: only what lies outside is skew.
fn judge_clock(before: Timestamp, server: Timestamp, after: Timestamp) -> Check {
    let ahead = server.duration_since(after).max(jiff::SignedDuration::ZERO);
    let behind = before.duration_since(server).max(jiff::SignedDuration::ZERO);
    let skew = ahead.max(behind).unsigned_abs();
    let found = format!("the database's clock and this machine's differ by {} ms at least", skew.as_millis());
    if skew <= MAX_SKEW {
        return Check::ok("clock", found);
    }
    Check::warning("clock", found, "set both by NTP: ages, times of messages and `--since` are misleading")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Level;

    #[test]
    fn only_what_cannot_be_the_way_there_is_skew() {
        let at = |millis: i64| Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap();
        assert_eq!(judge_clock(at(0), at(5_000), at(9_000)).level, Level::Ok);
        assert_eq!(judge_clock(at(0), at(5_000), at(10)).level, Level::Warning);
        assert_eq!(judge_clock(at(5_000), at(0), at(5_010)).level, Level::Warning);
    }
}
