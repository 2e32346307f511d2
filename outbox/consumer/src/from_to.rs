//! The contract of a service that reads one topic of somebody else's and says JSON messages on one of its own.
//!
//! Somebody else's bytes are whatever they are: [`Reads`] says how they are read. Deliberately absent: writing to that topic.

use std::marker::PhantomData;

use crate::contract::Contract;
use crate::json::JsonMessage;

/// A topic of somebody else's.
pub trait Reads: Send + Sync + 'static {
    /// What is read from it.
    type Message: Send + Sync + 'static;
    /// The topic, without the deployment's prefix.
    const TOPIC: &'static str;
    /// The source of the only outbox that writes to it; `None` where anyone may.
    const WRITER: Option<&'static str>;

    /// The record's key.
    fn key(message: &Self::Message) -> &str;

    /// Whether a message of this `ce_type` is one of these; a record of the writer with another type is skipped.
    fn belongs(_ce_type: &str) -> bool {
        true
    }

    /// The message of a payload.
    ///
    /// # Errors
    /// In words, why it is none.
    fn read(&self, payload: &[u8]) -> Result<Self::Message, String>;
}

/// A message on either topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Either<I, O> {
    /// Somebody else's.
    Read(I),
    /// The service's own.
    Said(O),
}

/// The contract of reading `R` and saying `M`.
#[derive(Debug)]
pub struct FromTo<R, M> {
    reads: R,
    says: PhantomData<fn() -> M>,
}

impl<R, M> FromTo<R, M> {
    /// With what reading takes.
    pub fn new(reads: R) -> Self {
        FromTo { reads, says: PhantomData }
    }
}

impl<R: Default, M> Default for FromTo<R, M> {
    fn default() -> Self {
        FromTo::new(R::default())
    }
}

impl<R: Reads, M: JsonMessage> Contract for FromTo<R, M> {
    type Topic = &'static str;
    type Message = Either<R::Message, M>;

    const TOPICS: &'static [&'static str] = &[R::TOPIC, M::TOPIC];
    const CONTENT_TYPE: &'static str = "application/json";

    fn topic_name(topic: &'static str) -> &'static str {
        topic
    }

    fn written_by(topic: &'static str) -> Option<&'static str> {
        if topic == M::TOPIC { M::WRITER } else { R::WRITER }
    }

    /// Others read that topic too, so the letters are named for whose they are.
    fn dead_letter_topic(topic: &'static str) -> String {
        format!("{}.{topic}-dlt", M::WRITER.unwrap_or(M::TOPIC).trim_start_matches('/'))
    }

    fn topic(message: &Self::Message) -> &'static str {
        match message {
            Either::Read(_) => R::TOPIC,
            Either::Said(_) => M::TOPIC,
        }
    }

    fn key(message: &Self::Message) -> &str {
        match message {
            Either::Read(message) => R::key(message),
            Either::Said(message) => message.key(),
        }
    }

    fn name(message: &Self::Message) -> &'static str {
        match message {
            Either::Read(_) => R::TOPIC,
            Either::Said(message) => message.ce_type(),
        }
    }

    fn belongs(ce_type: &str, topics: &[&'static str]) -> bool {
        (topics.contains(&R::TOPIC) && R::belongs(ce_type))
            || (topics.contains(&M::TOPIC) && M::TYPES.contains(&ce_type))
    }

    fn decode(&self, topic: &'static str, payload: &[u8]) -> Result<Self::Message, String> {
        if topic == M::TOPIC {
            return serde_json::from_slice(payload).map(Either::Said).map_err(|error| error.to_string());
        }
        self.reads.read(payload).map(Either::Read)
    }

    fn encode(&self, message: &Self::Message) -> Result<Vec<u8>, String> {
        match message {
            Either::Read(_) => Err(format!("{} is somebody else's: it is only read", R::TOPIC)),
            Either::Said(message) => serde_json::to_vec(message).map_err(|error| error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    struct Lines;

    impl Reads for Lines {
        type Message = String;
        const TOPIC: &'static str = "lines";
        const WRITER: Option<&'static str> = None;

        fn key(line: &String) -> &str {
            line
        }

        fn belongs(ce_type: &str) -> bool {
            ce_type == "line"
        }

        fn read(&self, payload: &[u8]) -> Result<String, String> {
            String::from_utf8(payload.to_vec()).map_err(|error| error.to_string())
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Length {
        line: String,
        bytes: usize,
    }

    impl JsonMessage for Length {
        const TOPIC: &'static str = "lengths";
        const WRITER: Option<&'static str> = Some("/measurer");
        const TYPE: &'static str = "Short";
        const TYPES: &'static [&'static str] = &["Short", "Long"];

        fn key(&self) -> &str {
            &self.line
        }

        fn ce_type(&self) -> &'static str {
            if self.bytes < 5 { "Short" } else { "Long" }
        }
    }

    type Measured = FromTo<Lines, Length>;

    #[test]
    fn each_topic_has_its_writer_its_types_and_its_bytes() {
        let contract = Measured::new(Lines);
        assert_eq!((Measured::written_by("lines"), Measured::written_by("lengths")), (None, Some("/measurer")));
        assert!(Measured::belongs("line", &["lines"]) && !Measured::belongs("Long", &["lines"]));
        assert!(Measured::belongs("Long", &["lengths"]) && !Measured::belongs("line", &["lengths"]));
        assert_eq!(contract.decode("lines", b"ada"), Ok(Either::Read("ada".to_owned())));
        let said = Either::Said(Length { line: "ada".to_owned(), bytes: 30 });
        assert_eq!(
            (Measured::topic(&said), Measured::key(&said), Measured::ce_type(&said)),
            ("lengths", "ada", "Long")
        );
        let payload = contract.encode(&said).unwrap();
        assert_eq!(contract.decode("lengths", &payload), Ok(said));
    }

    #[test]
    fn what_is_somebody_elses_is_not_written() {
        assert!(Measured::new(Lines).encode(&Either::Read("ada".to_owned())).is_err());
        assert_eq!(Measured::dead_letter_topic("lines"), "measurer.lines-dlt");
    }
}
