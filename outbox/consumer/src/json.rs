//! The simplest contract: JSON messages of one Rust type on one topic.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::Contract;

/// A message that is read from and sent to one topic, as JSON.
pub trait JsonMessage: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The topic, without the deployment's prefix.
    const TOPIC: &'static str;
    /// The source of the only outbox that writes to it; `None` where anyone may.
    const WRITER: Option<&'static str>;
    /// The `ce_type`.
    const TYPE: &'static str;
    /// Every `ce_type`, where there are several.
    const TYPES: &'static [&'static str] = &[Self::TYPE];

    /// The record's key.
    fn key(&self) -> &str;

    /// The `ce_type` of this one.
    fn ce_type(&self) -> &'static str {
        Self::TYPE
    }
}

/// The contract of these messages.
#[derive(Debug)]
pub struct Json<M>(PhantomData<fn() -> M>);

impl<M> Default for Json<M> {
    fn default() -> Self {
        Json(PhantomData)
    }
}

impl<M: JsonMessage> Contract for Json<M> {
    type Topic = &'static str;
    type Message = M;

    const TOPICS: &'static [&'static str] = &[M::TOPIC];
    const CONTENT_TYPE: &'static str = "application/json";

    fn topic_name(topic: &'static str) -> &'static str {
        topic
    }

    fn written_by(_: &'static str) -> Option<&'static str> {
        M::WRITER
    }

    fn topic(_: &M) -> &'static str {
        M::TOPIC
    }

    fn key(message: &M) -> &str {
        message.key()
    }

    fn name(message: &M) -> &'static str {
        message.ce_type()
    }

    fn belongs(ce_type: &str, _: &[&'static str]) -> bool {
        M::TYPES.contains(&ce_type)
    }

    fn decode(&self, _: &'static str, payload: &[u8]) -> Result<M, String> {
        serde_json::from_slice(payload).map_err(|error| error.to_string())
    }

    fn encode(&self, message: &M) -> Result<Vec<u8>, String> {
        serde_json::to_vec(message).map_err(|error| error.to_string())
    }
}
