//! A file of commands over HTTP: a bounded number at a time, those of one order one after the other.
//!
//! What is wrong with one command is counted, as with Kafka. What would be said to every other one too (no connection, no key)
//! ends the whole: sending it all again is safe.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::{Message, OrderCommand};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use super::{HttpDoor, HttpError, Problem, Request, Told};
use crate::publisher::{FAILURES_KEPT, refuse_card_number};
use crate::{ClientError, Deliveries, Outlet, Record};

/// Requests at once.
const AT_ONCE: u32 = 32;

/// What a service's no is to whoever sends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// An answer, to be told with the others: the command has done what it could.
    Answers,
    /// Nobody waits for answers: one that did not come through.
    Failures,
}

/// A command that a service has refused.
#[derive(Debug, Clone)]
pub struct HttpRefusal {
    command: OrderCommand,
    id: Uuid,
    problem: Problem,
}

impl HttpRefusal {
    /// The event by which it was refused, as far as the API tells it; `send` gave the id of its cause.
    pub fn record(&self) -> Record {
        self.problem.refusal(&self.command, Some(self.id.to_string()))
    }
}

/// Sends commands to an API.
pub struct HttpOutlet {
    door: HttpDoor,
    /// How long the API waits for what becomes of each; none: only until it is in its topic.
    wait: Option<Duration>,
    taken_for: Refusals,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Book>,
    /// Something has ended.
    moved: Notify,
}

#[derive(Default)]
struct Book {
    deliveries: Deliveries,
    refusals: Vec<HttpRefusal>,
    /// Keys of what is on its way.
    under_way: HashSet<String>,
    /// Why nothing goes on.
    broken: Option<HttpError>,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, message: &Message, id: Uuid, taken_for: Refusals, told: Result<Told, HttpError>) {
        let mut book = self.book();
        book.under_way.remove(message.key());
        match (told, message) {
            (Ok(Told::Taken | Told::OnItsWay), _) => book.deliveries.delivered += 1,
            // Through Kafka it is written, and the service's no comes afterwards.
            (Ok(Told::Refused(problem)), Message::OrderCommand(command)) if taken_for == Refusals::Answers => {
                book.deliveries.delivered += 1;
                book.refusals.push(HttpRefusal { command: command.clone(), id, problem });
            }
            (Ok(Told::Refused(problem)), _) => {
                book.fail(format!("{} {} is refused: {}", message.name(), message.key(), problem.detail));
            }
            (Err(error), _) => {
                book.fail(format!("{} {} is not taken: {error}", message.name(), message.key()));
                if error.is_for_all() {
                    book.broken.get_or_insert(error);
                }
            }
        }
        drop(book);
        self.moved.notify_waiters();
    }
}

impl Book {
    fn fail(&mut self, words: String) {
        self.deliveries.failed += 1;
        if self.deliveries.failures.len() < FAILURES_KEPT {
            self.deliveries.failures.push(words);
        }
    }
}

impl HttpOutlet {
    /// To this API. With `wait` it waits so long for what a service says to each command.
    pub fn open(door: &HttpDoor, wait: Option<Duration>, taken_for: Refusals) -> Self {
        let room = usize::try_from(AT_ONCE).unwrap_or(1);
        HttpOutlet { door: door.clone(), wait, taken_for, room: Arc::new(Semaphore::new(room)), shared: Arc::default() }
    }

    /// What services have refused so far, where that is an answer.
    pub fn refusals(&self) -> Vec<HttpRefusal> {
        self.shared.book().refusals.clone()
    }

    /// What became of the commands so far.
    pub fn deliveries(&self) -> Deliveries {
        self.shared.book().deliveries.clone()
    }

    /// Waits until nothing of this key is on its way, and takes the way.
    async fn take_way(&self, key: &str) -> Result<(), HttpError> {
        loop {
            let moved = self.shared.moved.notified();
            {
                let mut book = self.shared.book();
                if let Some(error) = &book.broken {
                    return Err(error.clone());
                }
                if book.under_way.insert(key.to_owned()) {
                    book.deliveries.queued += 1;
                    return Ok(());
                }
            }
            moved.await;
        }
    }
}

impl Outlet for HttpOutlet {
    async fn send(&self, message: &Message) -> Result<Uuid, ClientError> {
        refuse_card_number(message)?;
        let request = Request::of(message)?;
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(ClientError::Task { detail: "nothing is sent any more".to_owned() });
        };
        self.take_way(message.key()).await?;
        let (id, message) = (Uuid::now_v7(), message.clone());
        let (door, wait, shared) = (self.door.clone(), self.wait, Arc::clone(&self.shared));
        let taken_for = self.taken_for;
        tokio::spawn(async move {
            let told = door.tell(&request, wait).await;
            shared.end(&message, id, taken_for, told);
            drop(room);
        });
        Ok(id)
    }

    /// Nothing is confirmed for `wait`: then it is given up.
    async fn flush(&self, wait: Duration) -> Result<Deliveries, ClientError> {
        loop {
            let moved = self.shared.moved.notified();
            let (waiting, broken) = {
                let book = self.shared.book();
                (book.under_way.len(), book.broken.clone())
            };
            if let Some(error) = broken {
                return Err(error.into());
            }
            if waiting == 0 {
                return Ok(self.deliveries());
            }
            if tokio::time::timeout(wait + super::LONGEST_WAIT, moved).await.is_err() {
                let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
                return Err(ClientError::FlushTimedOut { waiting, wait_s: wait.as_secs() });
            }
        }
    }
}
