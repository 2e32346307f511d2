//! Has the order service make a request again that lies, or whose answer lies, among the dead letters of a service's topic.
//!
//! Such a record is never published again (`docs/decisions/0018-*`): `RedriveDeadLetter` only names it, and what follows comes out of
//! the services' tables. Whether the order still waits for it is asked of the state machine first, so that a dry run says what would
//! be. Deliberately absent: an edited body; a service's word follows from its tables.

use axum::http::HeaderMap;
use domain::saga::part_of;
use jiff::Timestamp;
use replay_tool::dead_letters::{DeadLetter, Filed};
use schemas::limits::MAX_DETAIL_BYTES;
use schemas::{CommandId, OrderCommand, OrderId, RedriveDeadLetter};
use tokio::time::Instant;
use uuid::Uuid;

use super::WAIT;
use crate::console::Console;
use crate::console::act::{Verdict, verdict};
use crate::console::visit::Visit;
use crate::http::{Kind, Problem};

/// What has come of it.
#[derive(Debug)]
pub(super) enum Asked {
    /// It was a dry run: what the order would say, and ask of other services.
    WouldSay(Vec<&'static str>),
    /// The order was told, by this command.
    Told(OrderId, CommandId),
}

/// The order that a letter of a service's topic is about; none where anybody may write the topic.
pub(super) fn order_of(letter: &DeadLetter) -> Option<OrderId> {
    letter.topic.written_by()?;
    OrderId::new(std::str::from_utf8(letter.key.as_deref()?).ok()?).ok()
}

/// Asks, or says what would be asked.
pub(super) async fn ask(
    console: &Console,
    visit: &Visit,
    headers: &HeaderMap,
    filed: &Filed,
    note: &str,
    is_dry: bool,
) -> Result<Asked, Problem> {
    let Some(order_id) = order_of(&filed.letter) else {
        let words = "nobody can be asked for this record again: its topic is everybody's, or its key no order's";
        return Err(Problem::bad(words));
    };
    if note.len() > MAX_DETAIL_BYTES {
        return Err(Problem::bad(format!("say why, in at most {MAX_DETAIL_BYTES} bytes: it goes with the command")));
    }
    let id = command_id(filed)?;
    let command = command(console, filed, order_id.clone(), id.clone(), (visit.caller().name(), note))?;
    let Some(found) = console.door.reads.order(&order_id).await? else {
        let words = format!("there is no order {order_id:?}: nobody waits for this record");
        return Err(Problem::new(Kind::NotFound, words));
    };
    if !found.what.has_taken(&id) {
        match verdict(&found.what, &command, Timestamp::now().into()) {
            Verdict::Done(names) if is_dry => return Ok(Asked::WouldSay(names)),
            Verdict::Done(_) => {}
            Verdict::Refused(problem) => return Err(*problem),
            Verdict::Nothing => return Err(Problem::new(Kind::Refused, "its order does not wait for it")),
        }
    }
    console.door.act(command, &id, Some(Instant::now() + WAIT), headers).await?;
    Ok(Asked::Told(order_id, id))
}

/// The same for the same letter as long as nothing is noted about it: two people, or one twice, ask once.
fn command_id(filed: &Filed) -> Result<CommandId, Problem> {
    let name = format!("{}/{}", filed.letter.spot, filed.notes.len());
    Ok(CommandId::new(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string())?)
}

fn command(
    console: &Console,
    filed: &Filed,
    order_id: OrderId,
    command_id: CommandId,
    (by, note): (&str, &str),
) -> Result<OrderCommand, Problem> {
    let letter = &filed.letter;
    let message = letter.decode(console.letters.office.codec()).map_err(|reason| {
        Problem::new(
            Kind::Refused,
            format!("which message it was cannot be read, so nobody can be asked for it: {reason}"),
        )
    })?;
    // A reply's cause is the request that it answers.
    let named = if letter.topic.carries_commands() { "ce_id" } else { "ce_causationid" };
    let request_id = letter.header(named).ok_or_else(|| {
        Problem::new(Kind::Refused, format!("it has no {named}, so it came from no service: discard it"))
    })?;
    let part = part_of(&message).map(CommandId::new).transpose()?;
    let command = RedriveDeadLetter {
        order_id,
        command_id,
        letter: letter.spot.to_string(),
        message: message.name().to_owned(),
        request_id: request_id.to_owned(),
        part,
        by: Some(by.to_owned()),
        note: Some(note.to_owned()),
    };
    Ok(command.into())
}
