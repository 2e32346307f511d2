//! What an operator does about parked keys, from outside of the consumer: list them, have them tried again, give them up.
//!
//! A consumer that runs notices within seconds. What is given up goes to the dead letters of its topic, through the outbox, with
//! the cause and with who has done it, when and why; it is published by the service's relay. Deliberately absent: programs and
//! tables for people, which are a program's own. A service whose [`Builder`] says where its servers are has the same three as
//! methods of it.

use deadpool_postgres::Object;
use jiff::Timestamp;
use outbox::inbox::Inbox;
use outbox::inbox::parking::{ParkedKey, ParkedMessage};
use outbox::{Outbox, OutboxMessage};

use crate::builder::{Builder, missing};
use crate::contract::Contract;
use crate::database::Database;
use crate::engine::Halted;
use crate::failure::Failure;
use crate::parking::letter_of;
use crate::service::Service;
use crate::status::ParkedKeyStatus;

/// Who has given a message up, in a dead letter's headers.
pub const DROPPED_BY_HEADER: &str = "kafka_dlt-dropped-by";
/// When.
pub const DROPPED_AT_HEADER: &str = "kafka_dlt-dropped-at";
/// Why.
pub const DROPPED_NOTE_HEADER: &str = "kafka_dlt-dropped-note";

/// Which keys are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them.
    All,
    /// This one, in whichever lanes it is parked.
    Key(&'a str),
}

impl<'a> Which<'a> {
    const fn key(self) -> Option<&'a [u8]> {
        match self {
            Which::All => None,
            Which::Key(key) => Some(key.as_bytes()),
        }
    }
}

/// How a service's dead letters are written, as its consumer is told.
#[derive(Debug, Clone, Copy)]
pub struct Letters<'a> {
    /// The service's name.
    pub service: &'a str,
    /// In front of every topic's name.
    pub topic_prefix: &'a str,
    /// The consumer group.
    pub group: &'a str,
    /// The largest dead letter with its body.
    pub limit_bytes: usize,
}

/// Who gives a key up, when and why.
#[derive(Debug, Clone, Copy)]
pub struct Signature<'a> {
    /// Who.
    pub by: &'a str,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub note: &'a str,
}

/// The parked keys, the oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn list(database: &Database, which: Which<'_>, now: Timestamp) -> Result<Vec<ParkedKeyStatus>, Failure> {
    let (client, inbox) = open(database).await?;
    let keys = inbox.parked_keys(&client, which.key()).await.map_err(Failure::of_outbox)?;
    Ok(keys.iter().map(|key| ParkedKeyStatus::of(key, now)).collect())
}

/// Have them tried again at once; how many.
///
/// # Errors
/// When the database refuses.
pub async fn retry(database: &Database, which: Which<'_>, by: &str, now: Timestamp) -> Result<u64, Failure> {
    let (client, inbox) = open(database).await?;
    inbox.ask_to_retry(&client, which.key(), by, now).await.map_err(Failure::of_outbox)
}

/// Give a key up: its messages go to the dead letters; how many they were.
///
/// # Errors
/// When the database refuses, and when a message is of a topic that is not the contract's: then nothing is done.
pub async fn drop<C: Contract>(
    database: &Database,
    outbox: &Outbox,
    letters: Letters<'_>,
    key: &str,
    signature: Signature<'_>,
) -> Result<u64, Failure> {
    let (mut client, inbox) = open(database).await?;
    let keys = inbox.parked_keys(&client, Some(key.as_bytes())).await.map_err(Failure::of_outbox)?;
    let mut dropped = 0;
    for ParkedKey { lane, key, .. } in &keys {
        let write = |parked: &ParkedKey, messages: Vec<ParkedMessage>| {
            let written = messages.into_iter().map(|message| written::<C>(parked, message, letters, signature));
            written.collect::<Result<Vec<_>, _>>()
        };
        let done = inbox.set_parked_aside(outbox, &mut client, (*lane, key), write).await;
        dropped += done.map_err(Failure::of_outbox)?;
    }
    Ok(dropped)
}

impl<S: Service> Builder<S> {
    /// The parked keys of the service, the oldest first. Starts nothing.
    ///
    /// # Errors
    /// In words for a person.
    pub async fn parked(&self, which: Which<'_>) -> Result<Vec<ParkedKeyStatus>, Halted> {
        list(self.parked_in()?, which, (self.clock)()).await.map_err(halted)
    }

    /// Have parked keys tried again at once; how many. Starts nothing.
    ///
    /// # Errors
    /// In words for a person.
    pub async fn retry_parked(&self, which: Which<'_>, by: &str) -> Result<u64, Halted> {
        retry(self.parked_in()?, which, by, (self.clock)()).await.map_err(halted)
    }

    /// Give a parked key up: its messages go to the dead letters, with who has done it and why; how many they were. Starts nothing.
    ///
    /// # Errors
    /// In words for a person.
    pub async fn drop_parked(&self, key: &str, by: &str, note: &str) -> Result<u64, Halted> {
        let database = self.parked_in()?;
        let kafka = self.kafka.as_ref().ok_or_else(|| missing::<S>("kafka configuration"))?;
        let outbox = self.opened_outbox(database, self.known_partitions(kafka).await?).await?;
        let letters = Letters {
            service: S::NAME,
            topic_prefix: &self.topic_prefix,
            group: &self.group,
            limit_bytes: self.dead_letter_limit_bytes,
        };
        let signature = Signature { by, at: (self.clock)(), note };
        drop::<S::Contract>(database, &outbox, letters, key, signature).await.map_err(halted)
    }

    fn parked_in(&self) -> Result<&Database, Halted> {
        self.database.as_ref().ok_or_else(|| missing::<S>("database"))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn halted(failure: Failure) -> Halted {
    Halted(failure.to_string())
}

async fn open(database: &Database) -> Result<(Object, Inbox), Failure> {
    let inbox = Inbox::new(database.schema()).map_err(Failure::of_outbox)?;
    Ok((database.client().await?, inbox))
}

/// The dead letter of a message that is given up.
fn written<C: Contract>(
    parked: &ParkedKey,
    message: ParkedMessage,
    letters: Letters<'_>,
    signature: Signature<'_>,
) -> Result<OutboxMessage, String> {
    let is_first = message.number == parked.first;
    let detail = if is_first { parked.cause.clone() } else { format!("behind another: {}", parked.cause) };
    let letter = letter_of::<C>(message, &detail)?;
    let Letters { service, topic_prefix, group, limit_bytes } = letters;
    let mut row = letter.into_message::<C>(service, topic_prefix, group, signature.at, limit_bytes);
    let ours = [
        (DROPPED_BY_HEADER, signature.by.to_owned()),
        (DROPPED_AT_HEADER, signature.at.to_string()),
        (DROPPED_NOTE_HEADER, crate::text::detail(signature.note)),
    ];
    row.headers.extend(ours.map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))));
    Ok(row)
}

#[cfg(test)]
mod tests {
    use outbox::inbox::parking::TimestampType;
    use outbox::inbox::place::Place;

    use super::*;
    use crate::test_contract::Letters as Contracted;

    #[test]
    fn what_is_given_up_says_why_it_was_parked_and_who_has_given_it_up() {
        let at = Timestamp::UNIX_EPOCH;
        let parked = ParkedKey {
            lane: 3,
            key: b"o-1".to_vec(),
            first: 4,
            next: 6,
            since: at,
            cause: "a constraint".into(),
            attempts: 2,
            next_attempt: at,
            asked: None,
        };
        let message = |number, topic: &str| ParkedMessage {
            lane: 3,
            key: b"o-1".to_vec(),
            number,
            topic: topic.into(),
            partition: 3,
            offset: 258,
            place: Place { partition: 3, offset: 258 },
            position: None,
            timestamp_type: TimestampType::Created,
            timestamp_ms: 7,
            payload: Some(b"o-1 text".to_vec()),
            headers: vec![("given".into(), None)],
            headers_left_out: 0,
            parked_at: at,
        };
        let letters = Letters { service: "order", topic_prefix: "t.", group: "g", limit_bytes: 1_000_000 };
        let signature = Signature { by: "ada", at, note: "it was a test" };
        let write = |message| written::<Contracted>(&parked, message, letters, signature);
        let header = |row: &OutboxMessage, name: &str| {
            let found = row.headers.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.clone());
            String::from_utf8(found.unwrap_or_default()).unwrap()
        };
        let first = write(message(4, "order.commands.v1")).unwrap();
        assert_eq!((&*first.topic, first.payload.as_deref()), ("t.order.commands.v1-dlt", Some(&b"o-1 text"[..])));
        assert_eq!(header(&first, "kafka_dlt-exception-fqcn"), "dropped");
        assert_eq!(header(&first, "kafka_dlt-exception-message"), "a constraint");
        assert_eq!(header(&first, DROPPED_BY_HEADER), "ada");
        assert_eq!(header(&first, DROPPED_NOTE_HEADER), "it was a test");
        let second = write(message(5, "order.commands.v1")).unwrap();
        assert_eq!(header(&second, "kafka_dlt-exception-message"), "behind another: a constraint");
        assert!(write(message(5, "elsewhere")).unwrap_err().contains("elsewhere"));
    }
}
