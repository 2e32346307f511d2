//! Holds a verb where it is: a broker that stands still, or a lock in Postgres. That it is held there is looked for, not
//! waited for: a connection to the broker, a session that waits for a lock.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use dev_stack::Child;
use outbox::Client;
use tests::{LONG, Outcome, Pipeline, trouble, until};

/// How soon a server must see that a verb is gone. Its wait for a lock would end after 10 s in any case.
const SOON: Duration = Duration::from_secs(8);

/// Sessions of the tool in the pipeline's database.
const SESSIONS: &str = "select count(*) from pg_stat_activity \
                        where datname = current_database() and application_name = 'replay-tool'";

/// What holds a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The broker is stopped: whoever asks it anything waits.
    Broker,
    /// This table is locked against all readers.
    Readers(&'static str),
    /// This table is locked against whoever wants it for himself.
    Owners(&'static str),
}

/// A hold, until it is released.
pub(crate) struct Held<'p> {
    pipeline: &'p Pipeline,
    lock: Option<Client>,
}

impl<'p> Held<'p> {
    pub(crate) async fn begin(pipeline: &'p Pipeline, hold: Hold) -> Outcome<Held<'p>> {
        let lock = match hold {
            Hold::Broker => {
                pipeline.servers().stack().kafka()?.pause()?;
                None
            }
            Hold::Readers(table) => Some(lock(pipeline, table, "access exclusive").await?),
            Hold::Owners(table) => Some(lock(pipeline, table, "access share").await?),
        };
        Ok(Held { pipeline, lock })
    }

    /// Waits until it holds this verb.
    pub(crate) async fn await_in(&self, verb: &Child) -> Outcome {
        until("the verb is held", LONG, async || {
            let is_held = match self.lock {
                Some(_) => {
                    let waiting = format!("{SESSIONS} and wait_event_type = 'Lock'");
                    self.pipeline.tables().number(&waiting).await? > 0
                }
                None => is_connected(verb.pid(), self.broker_port()?)?,
            };
            if is_held { Ok(()) } else { Err(trouble(verb.tail())) }
        })
        .await
    }

    /// Waits until nothing that a verb held in Postgres is held any more, though this hold is not released.
    pub(crate) async fn await_nobody(&self) -> Outcome {
        let locks = "select count(*) from pg_locks where locktype = 'advisory' \
                     and database = (select oid from pg_database where datname = current_database())";
        until("no session and no lock stays", SOON, async || {
            let tables = self.pipeline.tables();
            let (sessions, locks) = (tables.number(SESSIONS).await?, tables.number(locks).await?);
            if (sessions, locks) == (0, 0) { Ok(()) } else { Err(trouble(format!("{sessions}, {locks}"))) }
        })
        .await
    }

    pub(crate) async fn release(self) -> Outcome {
        match self.lock {
            Some(client) => client.batch_execute("rollback").await?,
            None => self.pipeline.servers().stack().kafka()?.resume()?,
        }
        Ok(())
    }

    fn broker_port(&self) -> Outcome<u16> {
        Ok(self.pipeline.servers().stack().kafka()?.address().port())
    }
}

async fn lock(pipeline: &Pipeline, table: &str, mode: &str) -> Outcome<Client> {
    let client = outbox::connect(&pipeline.database_url().parse()?, tokio_postgres::NoTls).await?;
    let hold = format!("set idle_in_transaction_session_timeout = 0; begin; lock table {table} in {mode} mode");
    client.batch_execute(&hold).await?;
    Ok(client)
}

/// Whether a process has a connection to this port that is established; by a stopped server the kernel establishes it.
fn is_connected(pid: i32, port: u16) -> Outcome<bool> {
    let mut sockets = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        // It may be closed by now.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        sockets.extend(target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')).map(str::to_owned));
    }
    let (end, established) = (format!(":{port:04X}"), "01");
    let lines = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    Ok(lines.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, state, _, _, _, _, _, socket, ..] = fields.as_slice() else { return false };
        remote.ends_with(&end) && *state == established && sockets.contains(*socket)
    }))
}
