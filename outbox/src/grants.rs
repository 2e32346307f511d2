//! Which rights a role needs at run time, by what its program does: the least with which everything works.
//!
//! Tables are owned by whoever migrates; a role that runs daemons owns nothing. What a role lacks is asked of the catalog,
//! so it need not be able to log in. Deliberately absent: revoking, and operators' verbs, which the owner runs.

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Client;

use crate::error::OutboxError;

/// A table, or a view, and a privilege on it.
pub type Right = (&'static str, &'static str);

/// What a program does with an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Appends messages in its own transactions.
    Write,
    /// Publishes what was appended.
    Relay,
    /// Keeps its place in the topics that it consumes, in the inbox.
    Consume,
    /// Inserts into `outbox_sends` from another language; triggers append with their owner's rights.
    Send,
}

impl Work {
    /// The rights that it takes. Tables that a version does not have are passed over.
    pub const fn rights(self) -> &'static [Right] {
        match self {
            Self::Write => WRITE,
            Self::Relay => RELAY,
            Self::Consume => CONSUME,
            Self::Send => SEND,
        }
    }
}

const WRITE: &[Right] = &[
    ("outbox_version", "SELECT"),
    ("outbox_identity", "SELECT"),
    ("outbox_identity", "INSERT"),
    ("outbox_topics", "SELECT"),
    ("outbox_topics", "INSERT"),
    ("outbox_lanes", "SELECT"),
    ("outbox_lanes", "INSERT"),
    ("outbox_rotation", "SELECT"),
    ("outbox_messages", "SELECT"),
    ("outbox_messages_0", "SELECT"),
    ("outbox_messages_0", "INSERT"),
    ("outbox_messages_1", "SELECT"),
    ("outbox_messages_1", "INSERT"),
];

/// It truncates the tables in turns, begins a new epoch, with the messages again, after a restore, and forgets how far a lane was
/// published when the topic does not hold that any more.
const RELAY: &[Right] = &[
    ("outbox_version", "SELECT"),
    ("outbox_identity", "SELECT"),
    ("outbox_identity", "INSERT"),
    ("outbox_topics", "SELECT"),
    ("outbox_lanes", "SELECT"),
    ("outbox_lanes", "UPDATE"),
    ("outbox_epochs", "SELECT"),
    ("outbox_epochs", "INSERT"),
    ("outbox_positions", "SELECT"),
    ("outbox_positions", "INSERT"),
    ("outbox_positions", "UPDATE"),
    ("outbox_positions", "DELETE"),
    ("outbox_rotation", "SELECT"),
    ("outbox_rotation", "UPDATE"),
    ("outbox_messages", "SELECT"),
    ("outbox_messages_0", "SELECT"),
    ("outbox_messages_0", "INSERT"),
    ("outbox_messages_0", "TRUNCATE"),
    ("outbox_messages_1", "SELECT"),
    ("outbox_messages_1", "INSERT"),
    ("outbox_messages_1", "TRUNCATE"),
    ("outbox_sends", "TRUNCATE"),
];

const CONSUME: &[Right] = &[
    ("outbox_version", "SELECT"),
    ("inbox_offsets", "SELECT"),
    ("inbox_offsets", "INSERT"),
    ("inbox_offsets", "UPDATE"),
    ("inbox_positions", "SELECT"),
    ("inbox_positions", "INSERT"),
    ("inbox_positions", "UPDATE"),
    ("inbox_parked_keys", "SELECT"),
    ("inbox_parked_keys", "INSERT"),
    ("inbox_parked_keys", "UPDATE"),
    ("inbox_parked_keys", "DELETE"),
    ("inbox_parked", "SELECT"),
    ("inbox_parked", "INSERT"),
    ("inbox_parked", "DELETE"),
];

const SEND: &[Right] = &[("outbox_sends", "INSERT")];

/// Whether there is such a role.
///
/// # Errors
/// When the catalog cannot be read.
pub(crate) async fn role_exists(client: &Client, role: &str) -> Result<bool, OutboxError> {
    let found = client.query_opt("select from pg_roles where rolname = $1", &[&role]).await;
    found.map(|row| row.is_some()).map_err(OutboxError::database("looking for a role"))
}

/// What `role` lacks of these rights in `schema`, as the statements that give it.
///
/// # Errors
/// [`OutboxError::Configuration`] when there is no such role.
pub async fn lacking(client: &Client, schema: &str, role: &str, rights: &[Right]) -> Result<Vec<String>, OutboxError> {
    if !role_exists(client, role).await? {
        let quoted = escape_identifier(role);
        let reason = format!("there is no role {role}: create it first, for instance create role {quoted} login");
        return Err(OutboxError::Configuration { reason });
    }
    let (tables, privileges): (Vec<&str>, Vec<&str>) = rights.iter().copied().unzip();
    let text = "select format('grant usage on schema %I to %I', $2::text, $1::text) \
                  where not has_schema_privilege($1::name, $2::text, 'usage') \
                union \
                select format('grant %s on %I.%I to %I', lower(g.privilege), $2::text, c.relname, $1::text) \
                  from unnest($3::text[], $4::text[]) as g (name, privilege) \
                  join pg_class c on c.relname = g.name and c.relnamespace = to_regnamespace(quote_ident($2::text)) \
                  where (c.relkind = 'r' or g.privilege = 'SELECT') \
                    and not has_table_privilege($1::name, c.oid, g.privilege) \
                union \
                select format('grant execute on function %s to %I', p.oid::regprocedure, $1::text) from pg_proc p \
                  where p.pronamespace = to_regnamespace(quote_ident($2::text)) and p.proname ~ '^outbox_' \
                    and not has_function_privilege($1::name, p.oid, 'execute') \
                order by 1";
    let rows = client.query(text, &[&role, &schema, &tables, &privileges]).await;
    let rows = rows.map_err(OutboxError::database("reading grants"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Gives `role` what it lacks of these rights in `schema`, in one transaction; the statements that did it.
///
/// # Errors
/// [`OutboxError::Configuration`] when there is no such role; the database's when the caller may not grant.
pub async fn grant(
    client: &mut Client,
    schema: &str,
    role: &str,
    rights: &[Right],
) -> Result<Vec<String>, OutboxError> {
    let statements = lacking(client, schema, role, rights).await?;
    let failed = || OutboxError::database("granting");
    let transaction = client.transaction().await.map_err(failed())?;
    for statement in &statements {
        transaction.batch_execute(statement).await.map_err(failed())?;
    }
    transaction.commit().await.map_err(failed())?;
    Ok(statements)
}
