//! Do the roles have what writers and relays need?

use super::{Check, Look};
use crate::error::OutboxError;
use crate::grants::{self, Work};
use crate::operate::OperateError;

pub(super) async fn checks(look: &Look<'_>) -> Result<Vec<Check>, OperateError> {
    let row = look.client.query_one("select current_user::text", &[]).await;
    let this: String = row.map_err(OutboxError::database("asking for the role"))?.get(0);
    let relay = look.config.relay_role.clone().unwrap_or(this);
    let mut checks = vec![of_role(look, "relay's grants", &relay, Work::Relay).await?];
    if let Some(writer) = &look.config.writer_role {
        checks.push(of_role(look, "writer's grants", writer, Work::Write).await?);
    }
    if let Some(sender) = &look.config.sender_role {
        checks.push(of_role(look, "sender's grants", sender, Work::Send).await?);
    }
    Ok(checks)
}

async fn of_role(look: &Look<'_>, name: &'static str, role: &str, work: Work) -> Result<Check, OperateError> {
    if !grants::role_exists(look.client, role).await? {
        let advice = format!("create role \"{role}\" login; or name another");
        return Ok(Check::problem(name, format!("there is no role {role}"), advice));
    }
    let lacking = grants::lacking(look.client, &look.config.schema, role, work.rights()).await?;
    if lacking.is_empty() {
        return Ok(Check::ok(name, format!("{role} has all of them")));
    }
    let what = |statement: &String| {
        let right = statement.trim_start_matches("grant ");
        right.rsplit_once(" to ").map_or(right, |(right, _)| right).to_owned()
    };
    let found = format!("{role} lacks {}", lacking.iter().map(what).collect::<Vec<_>>().join(", "));
    let statements: Vec<String> = lacking.iter().map(|statement| format!("{statement};")).collect();
    Ok(Check::problem(name, found, statements.join(" ")))
}
