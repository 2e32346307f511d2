//! Do the roles have what writers and relays need? Asked of the catalog, so the roles need not be able to log in.

use super::{Check, Look};
use crate::error::OutboxError;
use crate::operate::OperateError;

/// What a program needs that appends: table and privilege. Tables that a version does not have are passed over.
const WRITER: &[(&str, &str)] = &[
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

/// What a relay needs.
const RELAY: &[(&str, &str)] = &[
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

/// What a service in another language needs, whose inserts the triggers append with their owner's rights.
const SENDER: &[(&str, &str)] = &[("outbox_sends", "INSERT")];

pub(super) async fn checks(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let row = look.client.query_one("select current_user::text", &[]).await;
    let this: String = row.map_err(OutboxError::database("asking for the role"))?.get(0);
    let relay = look.config.relay_role.clone().unwrap_or(this);
    let mut checks = vec![of_role(look, "relay's grants", &relay, RELAY).await?];
    if let Some(writer) = &look.config.writer_role {
        checks.push(of_role(look, "writer's grants", writer, WRITER).await?);
    }
    if let Some(sender) = &look.config.sender_role {
        checks.push(of_role(look, "sender's grants", sender, SENDER).await?);
    }
    Ok(checks)
}

async fn of_role(
    look: &Look<'_>,
    name: &'static str,
    role: &str,
    needed: &[(&str, &str)],
) -> Result<Check, OperateError> {
    let failed = || OutboxError::database("reading grants");
    let exists = look.client.query_opt("select from pg_roles where rolname = $1", &[&role]).await.map_err(failed())?;
    if exists.is_none() {
        let advice = format!("create role \"{role}\" login; or name another");
        return Ok(Check::problem(name, format!("there is no role {role}"), advice));
    }
    let schema = &look.config.schema;
    let (tables, privileges): (Vec<&str>, Vec<&str>) = needed.iter().copied().unzip();
    // Spelled as the statement that grants it.
    let text = "select format('usage on schema %I', $2::text) \
                  where not has_schema_privilege($1::name, $2::text, 'usage') \
                union all \
                select format('%s on %I.%I', lower(g.privilege), $2::text, c.relname) \
                  from unnest($3::text[], $4::text[]) as g (name, privilege) \
                  join pg_class c on c.relname = g.name and c.relnamespace = $2::text::regnamespace \
                  where (c.relkind = 'r' or g.privilege = 'SELECT') \
                    and not has_table_privilege($1::name, c.oid, g.privilege) \
                union all \
                select 'execute on function ' || p.oid::regprocedure from pg_proc p \
                  where p.pronamespace = $2::text::regnamespace and p.proname ~ '^outbox_' \
                    and not has_function_privilege($1::name, p.oid, 'execute')";
    let rows = look.client.query(text, &[&role, schema, &tables, &privileges]).await.map_err(failed())?;
    let missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if missing.is_empty() {
        return Ok(Check::ok(name, format!("{role} has all of them")));
    }
    let grants: Vec<String> = missing.iter().map(|what| format!("grant {what} to \"{role}\";")).collect();
    Ok(Check::problem(name, format!("{role} lacks {}", missing.join(", ")), grants.join(" ")))
}
