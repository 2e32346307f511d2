//! Drives a service's decisions without servers: given a batch, when a message comes, then this is sent.
//!
//! What it covers: the contract (every message is encoded, decoded again and narrowed, as a record would be, and so is what
//! is sent), `decide`, and the ids of what is sent. What it does not: `prepare`, `load` and `save`, so no SQL; positions, holds
//! and dead letters, which are this crate's own and tested here. Those a service tests on a real Postgres and Kafka.

use jiff::Timestamp;
use outbox::inbox::place::Place;
use uuid::Uuid;

use crate::contract::Contract;
use crate::emitter::Emitter;
use crate::failure::Failure;
use crate::feed::FeedId;
use crate::item::{Body, Cause};
use crate::service::{MessageOf, Service, Signal as _};

/// A service with a batch in memory, as it is between `load` and `save`.
#[derive(Debug)]
pub struct Given<S: Service> {
    service: S,
    contract: S::Contract,
    batch: S::Batch,
    now: Timestamp,
    offset: i64,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Then<M> {
    /// What the service says; "unhandled" where the message was not for it.
    pub outcome: &'static str,
    /// What it sends, in order, each with its id.
    pub sent: Vec<(Uuid, M)>,
}

impl<S: Service> Given<S> {
    /// This batch, at the beginning of Unix time.
    pub fn new(service: S, contract: S::Contract, batch: S::Batch) -> Self {
        Given { service, contract, batch, now: Timestamp::UNIX_EPOCH, offset: 0 }
    }

    /// From now on it is this time.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The batch as the inputs so far have left it.
    pub fn batch(&self) -> &S::Batch {
        &self.batch
    }

    /// A message comes, at the next offset of partition 0 of its topic.
    ///
    /// # Errors
    /// What `decide` says; [`Failure::Poison`] where the contract does not take its own bytes.
    pub fn when(&mut self, message: &MessageOf<S>) -> Result<Then<MessageOf<S>>, Failure> {
        let offset = self.offset;
        self.offset += 1;
        let feed = FeedId { topic: S::Contract::topic(message), partition: 0 };
        match S::narrow(self.again(message)?) {
            Some(input) => {
                self.decide(feed, Some(Place { partition: 0, offset }), &Body::Message(input), &Cause::default())
            }
            None => Ok(Then { outcome: "unhandled", sent: Vec::new() }),
        }
    }

    /// Something comes from inside.
    ///
    /// # Errors
    /// What `decide` says.
    pub fn when_signal(&mut self, signal: S::Signal) -> Result<Then<MessageOf<S>>, Failure> {
        let feed = FeedId { topic: S::INPUTS[0], partition: signal.lane() };
        let cause = signal.cause();
        self.decide(feed, None, &Body::Signal(signal), &cause)
    }

    fn decide(
        &mut self,
        feed: FeedId<<S::Contract as Contract>::Topic>,
        place: Option<Place>,
        body: &Body<S::Input, S::Signal>,
        cause: &Cause,
    ) -> Result<Then<MessageOf<S>>, Failure> {
        let mut emitter = Emitter::<S::Contract>::new(S::NAME, self.now, 1);
        emitter.attribute_to(feed, place, cause);
        let outcome = self.service.decide(&mut self.batch, body, self.now, &mut emitter)?;
        let sent = emitter.into_sent();
        let sent =
            sent.into_iter().map(|(id, message)| Ok((id, self.again(&message)?))).collect::<Result<_, Failure>>()?;
        Ok(Then { outcome, sent })
    }

    /// The message as whoever reads it gets it.
    fn again(&self, message: &MessageOf<S>) -> Result<MessageOf<S>, Failure> {
        let payload = self.contract.encode(message).map_err(Failure::Poison)?;
        let again = self.contract.decode(S::Contract::topic(message), &payload).map_err(Failure::Poison)?;
        match S::Contract::key(&again) == S::Contract::key(message) {
            true => Ok(again),
            false => Err(Failure::Poison("the decoded message has another key than the encoded one".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use outbox::Transaction;
    use tokio_postgres::Client;

    use super::*;
    use crate::test_contract::Letters;

    /// Answers every letter with the number of letters so far; takes none that begins with `other`.
    #[derive(Debug)]
    struct Counter;

    impl Service for Counter {
        const NAME: &'static str = "counter";
        type Contract = Letters;
        type Input = String;
        type Signal = Infallible;
        type Statements = ();
        type Batch = u32;
        type FollowUp = ();
        type Found = ();

        fn narrow(letter: String) -> Option<String> {
            (!letter.starts_with("other")).then_some(letter)
        }

        async fn prepare(&self, _: &Client) -> Result<(), tokio_postgres::Error> {
            Ok(())
        }

        async fn load(&self, _: &Transaction<'_>, (): &(), _: &[&Body<String, Infallible>]) -> Result<u32, Failure> {
            Ok(0)
        }

        fn decide(
            &self,
            count: &mut u32,
            input: &Body<String, Infallible>,
            _: Timestamp,
            emitter: &mut Emitter<Letters>,
        ) -> Result<&'static str, Failure> {
            let Body::Message(letter) = input else { return Ok("none") };
            *count += 1;
            emitter.emit(format!("{letter} is number {count}"));
            Ok("counted")
        }

        fn save(&self, _: u32, (): &(), _: &mut Transaction<'_>) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[test]
    fn what_is_sent_comes_back_through_the_contract_with_an_id_of_its_record() {
        let mut given = Given::new(Counter, Letters, 6);
        let first = given.when(&"ada".to_owned()).unwrap();
        assert_eq!((first.outcome, first.sent[0].1.as_str()), ("counted", "ada is number 7"));
        let second = given.when(&"ada".to_owned()).unwrap();
        assert_ne!(first.sent[0].0, second.sent[0].0, "another record, another id");
        assert_eq!(given.when(&"other things".to_owned()).unwrap().outcome, "unhandled");
        assert_eq!(*given.batch(), 8);
        let again = Given::new(Counter, Letters, 6).when(&"ada".to_owned()).unwrap();
        assert_eq!(first, again, "a redelivery sends the same");
    }
}
