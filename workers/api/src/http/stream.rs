//! An order's events as they happen, as a stream that can be resumed (SSE): each event's `id` is the version that it makes.
//!
//! First what was said before, out of the read model; then what is said now, from the end of the topic. Where the two do not meet,
//! or the stream was too slow, the read model is asked again: versions have no gap, so it shows. Refusals make no version, and are
//! no part of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use client::shown_text;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use schemas::{OrderId, TopicName};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::gate::Pass;
use super::orders::{AfterQuery, no_order};
use super::problem::{Kind, Problem};
use super::request::{Asked, OrderOf};
use super::{Door, Shared};
use crate::keys::Caller;
use crate::tail::Listening;

/// How often a stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// How long an order may take to be known, and the read model to have what was said already.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at the read model, at first and at most.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// One of the stream's events, in the parts that it has there.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it stands in the document alone")]
struct StreamedShape {
    /// The version that it makes.
    #[schema(example = "3")]
    id: String,
    /// What has happened.
    #[schema(example = "OrderConfirmed")]
    event: String,
    /// The event, as JSON.
    data: String,
}

/// An order's events, those before and those to come.
#[utoipa::path(get, path = "/v1/orders/{id}/events", tag = "orders",
    params(
        ("id" = String, Path),
        AfterQuery,
        ("Last-Event-ID" = Option<i64>, Header, description = "The version that was seen last: go on behind it"),
    ),
    responses(
        (status = 200, description = "Server-sent events, for as long as somebody listens", body = StreamedShape,
            content_type = "text/event-stream"),
    ))]
pub(super) async fn events(
    State(door): Shared,
    Extension(caller): Extension<Caller>,
    OrderOf(id): OrderOf,
    headers: HeaderMap,
    Asked(after): Asked<AfterQuery>,
) -> Result<Response, Problem> {
    let last = match headers.get("last-event-id") {
        None => 0,
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| Problem::bad("Last-Event-ID: the id of the last event that was seen, a whole number"))?,
    };
    let room = Room::take(&door)?;
    door.be_after(&after, id.as_str()).await?;
    let mut following = Following::new(Arc::clone(&door), id, last, room);
    if !following.is_known().await? {
        return Err(no_order(&door, &following.id).await?);
    }
    let stream = unfold(following, async |mut following| {
        let event = following.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    let stream = stream.take_until(Box::pin(Pass::of(&door, &caller, &headers).ends()));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// Room for one more stream; given back when it is dropped.
pub(crate) struct Room(Arc<Door>);

impl Room {
    /// One more, unless all are taken.
    pub(crate) fn take(door: &Arc<Door>) -> Result<Self, Problem> {
        let open = door.streams.fetch_add(1, Ordering::Relaxed);
        let room = Room(Arc::clone(door));
        door.count_streams();
        match open < door.limits.streams {
            true => Ok(room),
            false => Err(Problem::new(Kind::TooMany, "too many streams are open here; try again").retry_after(5)),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.count_streams();
    }
}

/// Who follows an order.
struct Following {
    door: Arc<Door>,
    id: OrderId,
    /// The version that was given last.
    last: i64,
    ready: VecDeque<(i64, Event)>,
    listening: Option<Listening>,
    stopping: watch::Receiver<bool>,
    _room: Room,
}

impl Following {
    fn new(door: Arc<Door>, id: OrderId, last: i64, room: Room) -> Self {
        let (ready, stopping) = (VecDeque::new(), door.stopping.clone());
        // Before the first look: what is said after it must not be missed.
        let listening = Some(door.tail.listen(TopicName::OrderEvents, id.as_str()));
        Following { door, id, last, ready, listening, stopping, _room: room }
    }

    /// Whether there is such an order, or is one in a moment.
    async fn is_known(&mut self) -> Result<bool, Problem> {
        let deadline = tokio::time::Instant::now() + KNOWN_WITHIN;
        loop {
            if self.door.reads.order(&self.id).await?.is_some() {
                return match self.meet().await? {
                    true => Ok(true),
                    false => {
                        let words = "the read model is too far behind to tell this order's events; try again";
                        Err(Problem::new(Kind::Unavailable, words).retry_after(1))
                    }
                };
            }
            let is_refused = self.door.reads.last_refusal(&self.id).await?.is_some();
            if is_refused || tokio::time::Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the read model has all that was said before this listened, and reads it; whether it has within the limit.
    async fn meet(&mut self) -> Result<bool, Problem> {
        let before = self.listening.as_ref().and_then(Listening::before);
        if let Some(position) = before
            && !self.door.reads.reaches(position, self.id.as_str(), KNOWN_WITHIN).await?
        {
            return Ok(false);
        }
        self.read_on().await?;
        Ok(true)
    }

    /// What the read model has behind what was given.
    async fn read_on(&mut self) -> Result<(), Problem> {
        let mut behind = self.ready.back().map_or(self.last, |(version, _)| *version);
        for said in self.door.reads.said_since(&self.id, behind).await? {
            // What is said again is no other event.
            if let Some(version) = said.version.filter(|version| *version > behind) {
                behind = version;
                self.ready.push_back((version, event(version, &said.name).data(said.body)));
            }
        }
        Ok(())
    }

    /// The next event; none where the instance ends, or the database does not answer: then the caller comes again, with the version
    /// that it saw last. A read model that is behind is waited for.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((version, event)) = self.ready.pop_front() {
                self.last = version;
                return Some(event);
            }
            let Some(listening) = &mut self.listening else {
                self.listening = Some(self.door.tail.listen(TopicName::OrderEvents, self.id.as_str()));
                // Boxed, as what else is done now and then: a stream waits nearly always, and has to be small then.
                while !Box::pin(self.meet()).await.ok()? {
                    if *self.stopping.borrow() {
                        return None;
                    }
                }
                continue;
            };
            let came = tokio::select! {
                came = listening.next() => came,
                // An error means that the sender is gone, which is an end as well.
                _ = self.stopping.wait_for(|stopped| *stopped) => return None,
            };
            let Some(record) = came else {
                self.listening = None;
                continue;
            };
            match record.message.version() {
                Some(version) if version == self.last + 1 => {
                    let body = shown_text(&record.message);
                    self.ready.push_back((version, event(version, record.message.name()).data(body)));
                }
                Some(version) if version > self.last => Box::pin(self.catch_up(version)).await?,
                Some(_) | None => {}
            }
        }
    }

    /// Reads on until the read model has this version; none where the stream ends.
    async fn catch_up(&mut self, version: i64) -> Option<()> {
        let mut pause = PAUSE;
        loop {
            self.read_on().await.ok()?;
            if self.ready.back().is_some_and(|(newest, _)| *newest >= version) {
                return Some(());
            }
            tokio::select! {
                // An error means that the sender is gone, which is an end as well.
                _ = self.stopping.wait_for(|stopped| *stopped) => return None,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }
}

fn event(version: i64, name: &str) -> Event {
    Event::default().id(version.to_string()).event(name)
}
