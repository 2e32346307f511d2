//! The same over HTTP: each order by itself, so many at once. The API's answer to a command is heard first, then its events.

use futures_util::{StreamExt as _, TryStreamExt as _};
use schemas::{CommandId, Message, OrderId};

use super::Change;
use super::answers;
use super::orders::Wanted;
use super::report::Fate;
use crate::cli::Session;
use crate::cli::output::{Failure, spinner};
use crate::{HttpDoor, Request, Told};

/// Orders at once.
const AT_ONCE: usize = 16;

/// What becomes of each order, in the order in which they were given.
pub(super) async fn carry_out(
    session: &Session,
    door: &HttpDoor,
    change: &Change,
    id: &CommandId,
    wanted: &Wanted,
) -> Result<Vec<(OrderId, Fate)>, Failure> {
    let bar = spinner("{spinner} {pos} orders answered  {elapsed}");
    let one = async |order_id: &OrderId| {
        let fate = one(session, door, change, id, order_id).await;
        bar.inc(1);
        fate
    };
    let fates = futures_util::stream::iter(&wanted.ids).map(one).buffered(AT_ONCE).try_collect().await;
    bar.finish_and_clear();
    fates
}

async fn one(
    session: &Session,
    door: &HttpDoor,
    change: &Change,
    id: &CommandId,
    order_id: &OrderId,
) -> Result<(OrderId, Fate), Failure> {
    let command = change.command(order_id, id);
    let request = Request::of(&Message::from(command.clone()))?;
    let wait = (!change.asked.no_wait).then_some(session.patience);
    // Before the command: what is there now is old.
    let events = session.way.order_events(order_id).await?;
    let fate = match door.tell(&request, wait).await {
        Ok(Told::Taken | Told::OnItsWay) => Fate::Sent,
        Ok(Told::Refused(problem)) => Fate::Refused(Box::new(problem.refusal(&command, None))),
        Err(error) => Fate::NotSent(error.to_string()),
    };
    let mut fates = [(order_id.clone(), fate)];
    if wait.is_some() {
        answers::wait(session, change, id, events, &mut fates).await?;
    }
    let [told] = fates;
    Ok(told)
}
