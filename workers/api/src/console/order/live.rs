//! An order's page while somebody looks: drawn again when the order service has said something, as the read model has it then.
//!
//! Nothing is asked again and again: the end of the topic says when. What other services said beforehand comes to the read model by
//! other partitions, so it is looked once more a moment after the last word.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use schemas::{OrderId, TopicName};
use tokio::sync::watch;

use super::history::Looked;
use super::{AskedFor, FormIds, PATIENCE, catch_up, part};
use crate::console::trouble::Trouble;
use crate::console::visit::{Asked, Visit};
use crate::console::{Console, Shared};
use crate::http::Room;
use crate::position::Position;
use crate::tail::Listening;

/// How often a stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How long after the last word it is looked once more.
const SETTLED: Duration = Duration::from_secs(1);

/// The page's changing part, now and each time that it has changed.
pub(in crate::console) async fn stream(
    State(console): Shared,
    visit: Visit,
    Path(id): Path<String>,
    Asked(asked): Asked<AskedFor>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let id = OrderId::new(id).map_err(|error| Trouble::of(&visit, error))?;
    let room = Room::take(&console.door).map_err(|problem| Trouble::of(&visit, problem))?;
    let pass = visit.pass(&console, &headers);
    let following = Following::new(console, visit, id, asked, room);
    let stream = unfold(following, async |mut following| {
        let part = following.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(part)), following))
    });
    let stream = stream.take_until(Box::pin(pass.ends()));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// Who looks.
struct Following {
    console: Arc<Console>,
    visit: Visit,
    id: OrderId,
    asked: AskedFor,
    ids: FormIds,
    listening: Option<Listening>,
    /// What was sent last; none before the first.
    sent: Option<String>,
    /// Whether something was said of which the rest may still come.
    is_settling: bool,
    stopping: watch::Receiver<bool>,
    _room: Room,
}

impl Following {
    fn new(console: Arc<Console>, visit: Visit, id: OrderId, asked: AskedFor, room: Room) -> Self {
        let stopping = console.door.stopping.clone();
        let listening = Some(console.door.tail.listen(TopicName::OrderEvents, id.as_str()));
        let ids = asked.form.as_deref().map_or_else(FormIds::new, FormIds::given);
        Following { console, visit, id, asked, ids, listening, sent: None, is_settling: true, stopping, _room: room }
    }

    /// The next one that differs; none where the instance ends or the database does not answer: then the browser comes again.
    async fn next(&mut self) -> Option<String> {
        if self.sent.is_none() {
            catch_up(&self.console.door, &self.id).await.ok()?;
        }
        loop {
            if self.sent.is_some() {
                self.wait().await?;
            }
            let looked = Looked::at(&self.console.door, &self.id).await.ok()?;
            let drawn = looked.map(|looked| part(&self.visit, &looked, &self.asked, &self.ids).into_string());
            let drawn = sendable(&drawn?);
            if self.sent.as_ref() != Some(&drawn) {
                self.sent = Some(drawn.clone());
                return Some(drawn);
            }
        }
    }

    /// Until there is something to look at; none where the stream ends.
    async fn wait(&mut self) -> Option<()> {
        let Some(listening) = &mut self.listening else {
            self.listening = Some(self.console.door.tail.listen(TopicName::OrderEvents, self.id.as_str()));
            return catch_up(&self.console.door, &self.id).await.ok();
        };
        let came = tokio::select! {
            came = listening.next() => came,
            // An error means that the sender is gone, which is an end as well.
            _ = self.stopping.wait_for(|stopped| *stopped) => return None,
            () = tokio::time::sleep(SETTLED), if self.is_settling => {
                self.is_settling = false;
                return Some(());
            }
        };
        self.is_settling = true;
        match came {
            Some(record) => {
                let place = Position::of_event(record.topic, record.partition, record.offset);
                // A read model that is behind is drawn as it is; it is looked once more.
                let _reached = self.console.door.reads.reaches(&place, self.id.as_str(), PATIENCE).await.ok()?;
            }
            // Something may have been missed.
            None => self.listening = None,
        }
        Some(())
    }
}

/// A message of the stream has lines, and no other ends of lines than one.
pub(super) fn sendable(drawn: &str) -> String {
    drawn.replace('\r', "&#13;")
}
