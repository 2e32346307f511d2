//! Getting into a Kafka cluster: settings that may be secrets, tokens, and why brokers do not let a client in, in words.
//!
//! The client library tells of a refused password in an event, of a certificate in a line of text, of a missing permission in
//! an error code, and of all three that nobody answered. Here is the one place that puts them together. Every client of this
//! workspace has a [`Listener`] or hands what it hears to a [`Hearing`], and asks its first question by [`metadata`].

mod coordinator;
mod hearing;
mod leader;
mod listener;
mod metadata;
mod polled_producer;
mod producing;
pub mod record_headers;
mod refusal;
mod settings;
mod settling;
mod token;

pub use coordinator::committed;
pub use hearing::Hearing;
pub use leader::is_unsettled;
pub use listener::Listener;
pub use metadata::{ANSWER_WAIT, Asking, Silence, Unanswered, ask, attend, in_turns, metadata};
pub use polled_producer::PolledProducer;
pub use producing::{Confirmations, Producing};
pub use refusal::{Denied, Refusal, complaint, denied, denied_topic, is_about_content, is_final, words};
pub(crate) use settings::copy;
pub use settings::is_secret;
pub(crate) use settling::settled;
pub use token::{TOKEN_FILE_VARIABLE, give_token, read_token, token_property};
