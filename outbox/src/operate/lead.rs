//! Taking the leadership for a moment, so that nobody publishes while positions or epochs are changed.
//!
//! The same lock on the same kind of session as a relay's. A leader is only ended on request; what it still has in
//! flight may arrive later, as after any take-over, and consumers pass over it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{OperateError, sessions};
use crate::database::Database;
use crate::error::OutboxError;
use crate::relay::session::Session;
use crate::sql;

/// What to do about a relay that leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lead {
    /// Refuse, and name it.
    OnlyIfFree,
    /// End its database session; it stands by again by itself.
    Take,
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Faster than the standbys, which would otherwise be first.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A session that leads; it gives the leadership back when it is dropped.
pub(super) async fn take(database: &Database, schema: &str, lead: Lead) -> Result<Session, OperateError> {
    let quoted = sql::quoted_schema(schema)?;
    let looking = super::connect(database, schema).await?;
    let session = Session::open(database, schema).await?;
    let name = format!("set application_name = 'outbox-relay-operator {schema}'");
    session.run("naming a session", &name).await?;
    let began = Instant::now();
    let mut ended = None;
    while !session.try_lead().await? {
        let leader = sessions::leader(&looking, &quoted).await?;
        match (leader, lead) {
            (Some(leader), Lead::OnlyIfFree) => return Err(OperateError::Led(Box::new(leader))),
            (Some(leader), Lead::Take) if ended != Some(leader.pid) => {
                tracing::warn!(%leader, "ending the session of the leading relay");
                let end = looking.query_one("select pg_terminate_backend($1)", &[&leader.pid]).await;
                end.map_err(OutboxError::database("ending the session of the leading relay"))?;
                ended = Some(leader.pid);
            }
            (Some(_) | None, Lead::OnlyIfFree | Lead::Take) => {}
        }
        if began.elapsed() > PATIENCE {
            let reason = "another session was faster each time; stop the other relays for a moment".to_owned();
            return Err(OperateError::NotLeading(reason));
        }
        sleep(TRY_EVERY).await;
    }
    Ok(session)
}
