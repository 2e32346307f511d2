//! The short way to a service: one function per message, with the transaction in its hands.
//!
//! For services whose work is a few statements a message. It costs a round trip a statement, whose text each connection
//! prepares once; a service that loads and writes a whole batch at once implements `Service` itself.

use std::convert::Infallible;
use std::future::Future;

use jiff::Timestamp;
use outbox::Transaction;
use tokio_postgres::Client;

use crate::contract::Contract;
use crate::emitter::Emitter;
use crate::failure::Failure;
use crate::item::Body;
use crate::service::Service;

/// What is done with each message.
pub trait Handler: Send + Sync + 'static {
    /// The service's name: a metric label, and part of the ids of what it sends.
    const NAME: &'static str;
    /// The messages that it reads and sends.
    type Contract: Contract;
    /// The topics that it reads; all of the contract's where it says nothing else.
    const INPUTS: &'static [<Self::Contract as Contract>::Topic] = <Self::Contract as Contract>::TOPICS;

    /// Do what the message asks for, and say what is to be sent.
    ///
    /// Called once a message, in order, inside the transaction that also moves the position; whatever fails rolls all of it
    /// back, and the message comes again. So it must do nothing that a rollback does not undo: send a mail by a row that
    /// another program works off, not by a call.
    ///
    /// # Errors
    /// [`Failure::Retry`] tries again; [`Failure::Poison`] isolates the message. An error of a statement is sorted by `?`.
    fn handle(
        &self,
        message: &<Self::Contract as Contract>::Message,
        tx: &Transaction<'_>,
    ) -> impl Future<Output = Result<Vec<<Self::Contract as Contract>::Message>, Failure>> + Send;
}

/// A handler as a service.
#[derive(Debug)]
pub struct Each<H>(pub H);

impl<H: Handler> Service for Each<H> {
    const NAME: &'static str = H::NAME;
    type Contract = H::Contract;
    const INPUTS: &'static [<H::Contract as Contract>::Topic] = H::INPUTS;
    type Input = <H::Contract as Contract>::Message;
    type Signal = Infallible;
    type Statements = ();
    /// What each input sends, the last one first.
    type Batch = Vec<Vec<<H::Contract as Contract>::Message>>;
    type FollowUp = ();
    type Found = ();

    fn narrow(message: Self::Input) -> Option<Self::Input> {
        Some(message)
    }

    async fn prepare(&self, _: &Client) -> Result<(), tokio_postgres::Error> {
        Ok(())
    }

    async fn load(
        &self,
        tx: &Transaction<'_>,
        (): &(),
        inputs: &[&Body<Self::Input, Infallible>],
    ) -> Result<Self::Batch, Failure> {
        let mut sent = Vec::with_capacity(inputs.len());
        for input in inputs {
            match input {
                Body::Message(message) => sent.push(self.0.handle(message, tx).await?),
                Body::Signal(never) => match *never {},
            }
        }
        sent.reverse();
        Ok(sent)
    }

    fn decide(
        &self,
        batch: &mut Self::Batch,
        _input: &Body<Self::Input, Infallible>,
        _now: Timestamp,
        emitter: &mut Emitter<H::Contract>,
    ) -> Result<&'static str, Failure> {
        batch.pop().into_iter().flatten().for_each(|message| emitter.emit(message));
        Ok("handled")
    }

    fn save(&self, _: Self::Batch, (): &(), _: &mut Transaction<'_>) -> Result<(), Failure> {
        Ok(())
    }
}
