//! What comes of a command whose answer is waited for: a yes is in the read model before it is told, and a no is the service's.

use client::body_json;
use schemas::TopicName;
use tokio::time::Instant;

use super::Door;
use super::problem::Problem;
use crate::position::Position;
use crate::tail::Listening;

/// An answer that the caller prefers to wait for.
pub(super) struct Awaited {
    topic: TopicName,
    key: String,
    until: Instant,
    listening: Listening,
}

impl Awaited {
    /// Listens for what is said of this key, where that is preferred. To be made before the command is published, whose answer must
    /// not be missed.
    pub(super) fn until(until: Option<Instant>, door: &Door, topic: TopicName, key: &str) -> Option<Self> {
        let until = until?;
        Some(Awaited { topic, key: key.to_owned(), until, listening: door.tail.listen(topic, key) })
    }

    /// Whether the command was carried out, and the read model has it; not, where the time is up. A refusal is the problem.
    pub(super) async fn carried_out(mut self, door: &Door, command: &Position) -> Result<bool, Problem> {
        loop {
            let Ok(came) = tokio::time::timeout_at(self.until, self.listening.next()).await else { return Ok(false) };
            let (place, is_missed) = match came {
                Some(record) if record.cause != command.command => continue,
                Some(record) if record.message.version().is_none() => {
                    return Err(Problem::refused(&body_json(&record.message)));
                }
                Some(record) => (Position::of_event(record.topic, record.partition, record.offset), false),
                // Something may have been missed: the read model has it, now or soon.
                None => (command.clone(), true),
            };
            let left = self.until.saturating_duration_since(Instant::now());
            if !door.reads.reaches(&place, &self.key, left).await? {
                return Ok(false);
            }
            return match command.command.as_deref().filter(|_| is_missed) {
                Some(command) => door.is_not_refused(self.topic, &self.key, command).await.map(|()| true),
                None => Ok(true),
            };
        }
    }
}

impl Door {
    /// Fails with the service's refusal of this command, as far as the read model has one.
    pub(super) async fn is_not_refused(&self, topic: TopicName, key: &str, command: &str) -> Result<(), Problem> {
        match self.reads.answer(topic, key, command).await?.filter(|said| said.version.is_none()) {
            Some(said) => Err(Problem::refused(&serde_json::from_str(&said.body).unwrap_or_default())),
            None => Ok(()),
        }
    }
}
