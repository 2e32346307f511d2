//! The verbs that change an order: each publishes a command and waits for what the order service makes of it.
//!
//! One way for all of them, and for one order as for many: `verbs` has the table of verbs, `commands` what each can be
//! told, `orders` which orders, `publish` sends, or `over_http`, `answers` knows the answers, `dry_run` asks the state machine
//! instead, `report` tells.
//! What is allowed is the service's to say; nothing is refused here that it would take.

mod answers;
mod commands;
mod dry_run;
mod orders;
mod over_http;
mod publish;
mod report;
mod verbs;

use schemas::{CommandId, OrderCommand, OrderId};
use uuid::Uuid;

use self::answers::Awaits;
use self::orders::{Target, Wanted};
use self::report::Fate;
pub(super) use self::verbs::{ChangeVerb, FreeingVerb};
use super::output::{Failure, spinner};
use super::way::{Events, Way};
use super::{End, Session};

/// A verb with its options, whichever it is.
pub(super) struct Change {
    /// What becomes of an order, as in "order 1 is cancelled".
    done: &'static str,
    /// Which answer is waited for.
    awaits: Awaits,
    orders: orders::Orders,
    asked: verbs::Asked,
    /// The command for one of the orders.
    command: Box<dyn Fn(Head) -> OrderCommand + Send + Sync>,
}

/// What every command begins and ends with.
struct Head {
    order_id: OrderId,
    command_id: CommandId,
    by: Option<String>,
    note: Option<String>,
}

impl Change {
    fn command(&self, order_id: &OrderId, command_id: &CommandId) -> OrderCommand {
        let (by, note) = (self.asked.by.clone(), self.asked.note.clone());
        (self.command)(Head { order_id: order_id.clone(), command_id: command_id.clone(), by, note })
    }
}

pub(super) async fn run(session: &Session, change: Change) -> Result<End, Failure> {
    let wanted = change.orders.read().await?;
    let id = change.asked.command_id.clone().map_or_else(|| CommandId::new(Uuid::now_v7().to_string()), Ok);
    let id = id.map_err(|error| Failure::Words(error.to_string()))?;
    if change.asked.dry_run {
        let tried = dry_run::run(session, &change, &id, &wanted).await?;
        return dry_run::tell(session, &wanted, &tried);
    }
    if wanted.target == Target::Many {
        eprintln!("commands have the id {id}; --command-id {id} repeats them without a second effect");
    }
    let fates = carry_out(session, &change, &id, &wanted).await?;
    report::tell(session, &change, &id, &wanted, &fates)
}

/// What becomes of each order, in the order in which they were given.
async fn carry_out(
    session: &Session,
    change: &Change,
    id: &CommandId,
    wanted: &Wanted,
) -> Result<Vec<(OrderId, Fate)>, Failure> {
    if wanted.ids.is_empty() {
        return Ok(Vec::new());
    }
    let connection = match &session.way {
        Way::Kafka(connection) => connection,
        Way::Http(door) => return over_http::carry_out(session, door, change, id, wanted).await,
    };
    // Opened first and from the beginning: an answer may be there already, when the command is a repetition.
    let reader = publish::answers_reader(connection, wanted).await?;
    let mut fates = publish::publish(session, connection, change, id, wanted).await?;
    if !change.asked.no_wait {
        let bar = spinner("{spinner} {elapsed} waiting for answers");
        answers::wait(session, change, id, Events::Topic(Box::new(reader)), &mut fates).await?;
        bar.finish_and_clear();
    }
    Ok(fates)
}
