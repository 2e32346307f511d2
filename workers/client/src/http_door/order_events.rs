//! An order's events over HTTP: those that were, then those to come, exactly once, however often the connection is lost.
//!
//! The versions of an order have no gap, and a stream goes on behind the one that was seen last. A refusal makes no version and is
//! no part of it: it is the answer to its own request.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use reqwest::Response;
use schemas::{MessageType, OrderId, TopicName};
use serde::Deserialize;
use tokio::time::Instant;

use super::pauses::Pauses;
use super::server_events::{ServerEvent, ServerEvents};
use super::{HttpDoor, HttpError, Problem};
use crate::rendering::message_of;
use crate::{Came, ClientError, Record};

type Opening = Pin<Box<dyn Future<Output = Result<Option<Response>, HttpError>> + Send>>;

enum Line {
    /// Not before then.
    Closed(Instant),
    Opening(Opening),
    Open(Box<Response>, ServerEvents),
}

/// Follows one order.
pub struct OrderEvents {
    door: HttpDoor,
    order_id: OrderId,
    /// The version that was given last.
    seen: i64,
    /// The version when it was opened.
    end: i64,
    end_told: bool,
    line: Line,
    pauses: Pauses,
    ready: VecDeque<Record>,
    /// Why there is no such order, where it was refused.
    refusal: Option<Problem>,
}

#[derive(Deserialize)]
struct Version {
    version: i64,
}

impl OrderEvents {
    /// Finds out how many events there are; reading begins with the first `next`.
    ///
    /// # Errors
    /// The API cannot be asked.
    pub async fn open(door: &HttpDoor, order_id: &OrderId) -> Result<Self, HttpError> {
        let (end, refusal) = match door.find::<Version>(&["orders", order_id.as_str()], &[]).await? {
            Ok(Version { version }) => (version, None),
            Err(problem) => (0, Some(problem).filter(|problem| !problem.reasons.is_empty())),
        };
        Ok(OrderEvents {
            door: door.clone(),
            order_id: order_id.clone(),
            seen: 0,
            end,
            end_told: false,
            line: Line::Closed(Instant::now()),
            pauses: Pauses::default(),
            ready: VecDeque::new(),
            refusal,
        })
    }

    /// Why there is no such order, where it was refused.
    pub fn refusal(&self) -> Option<&Problem> {
        self.refusal.as_ref()
    }

    /// Events still to be given to where it was when this was opened.
    pub fn remaining(&self) -> u64 {
        u64::try_from(self.end - self.seen).unwrap_or(0)
    }

    /// The next event; `Idle` when nothing comes within `wait`.
    ///
    /// # Errors
    /// The API says no, or nothing.
    pub async fn next(&mut self, wait: Duration) -> Result<Came, ClientError> {
        if !self.end_told && self.remaining() == 0 {
            self.end_told = true;
            return Ok(Came::End);
        }
        let deadline = Instant::now() + wait;
        while self.ready.is_empty() {
            match tokio::time::timeout_at(deadline, self.read_on()).await {
                Err(_) => return Ok(Came::Idle),
                Ok(read) => read?,
            }
        }
        let Some(record) = self.ready.pop_front() else { return Ok(Came::Idle) };
        self.seen = record.message.version().unwrap_or(self.seen);
        Ok(Came::Message(Box::new(record)))
    }

    /// All events to where it was when this was opened.
    ///
    /// # Errors
    /// The API says no, or nothing for so long.
    pub async fn to_end(&mut self, patience: Duration) -> Result<Vec<Record>, ClientError> {
        let mut records = Vec::new();
        while self.remaining() > 0 {
            match self.next(patience).await? {
                Came::Message(record) => records.push(*record),
                Came::End => break,
                Came::Idle => {
                    let (topic, wait_s) = (TopicName::OrderEvents.as_str().to_owned(), patience.as_secs());
                    return Err(ClientError::NoProgress { topic, wait_s, left: self.remaining() });
                }
            }
        }
        Ok(records)
    }

    /// One step: wait, connect, or read. Given up in the middle, it goes on where it was.
    async fn read_on(&mut self) -> Result<(), HttpError> {
        match &mut self.line {
            Line::Closed(until) => {
                tokio::time::sleep_until(*until).await;
                let (door, order_id) = (self.door.clone(), self.order_id.clone());
                self.line = Line::Opening(Box::pin(door.stream(order_id, self.seen)));
            }
            Line::Opening(opening) => {
                let opened = opening.as_mut().await;
                self.line = Line::Closed(Instant::now() + self.pauses.next(None));
                if let Some(response) = opened? {
                    self.line = Line::Open(Box::new(response), ServerEvents::default());
                }
            }
            Line::Open(response, events) => {
                let said = match response.chunk().await {
                    Ok(Some(piece)) => events.push(&piece).map_err(|error| self.door.strange(error.to_string()))?,
                    // Another instance goes on with it.
                    Ok(None) | Err(_) => {
                        self.line = Line::Closed(Instant::now() + self.pauses.next(None));
                        Vec::new()
                    }
                };
                for event in said {
                    self.pauses = Pauses::default();
                    self.take(&event)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &ServerEvent) -> Result<(), HttpError> {
        // A kind of a later version of the pipeline is nothing that could be told.
        let known = MessageType::on(TopicName::OrderEvents).find(|known| known.name() == event.name);
        let Some(message_type) = known else { return Ok(()) };
        let message = serde_json::from_str(&event.data).and_then(|body| message_of(message_type, body));
        let message = message.map_err(|error| self.door.strange(format!("{}: {error}", event.name)))?;
        let time = message.at().unwrap_or_else(|| schemas::Time::from_micros(0));
        self.ready.push_back(Record::of_nowhere(TopicName::OrderEvents, time, message));
        Ok(())
    }
}
