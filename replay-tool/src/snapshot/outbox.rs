//! A print of every message of an outbox at the cut.
//!
//! The crate that owns the tables reads them; what the checker compares are contents, against those of the topics.

use std::collections::HashMap;

use outbox::cut::{self, StoredMessage};
use outbox::{Causation, Lane, OutboxError};
use schemas::ServiceName;
use tokio_postgres::Client;

use crate::error::ReplayError;
use crate::log::{Envelope, Print};

/// The messages of an outbox by lane, ascending by sequence.
pub(crate) type LaneRows = HashMap<Lane, Vec<Print>>;

/// A print of every message.
pub(super) async fn read_rows(service: ServiceName, client: &Client, schema: &str) -> Result<LaneRows, ReplayError> {
    let mut prints = LaneRows::new();
    let take = |message: StoredMessage<'_>| {
        prints.entry(message.lane).or_default().push(print_of(service, message));
        Ok::<(), OutboxError>(())
    };
    cut::messages(client, schema, take).await.map_err(ReplayError::outbox(service))?;
    Ok(prints)
}

fn print_of(service: ServiceName, message: StoredMessage<'_>) -> Print {
    let envelope = match message.ce_type {
        None => Envelope::Raw,
        Some(ce_type) => Envelope::Event {
            source: service.source(),
            ce_type,
            subject: message.key.and_then(|key| std::str::from_utf8(key).ok()),
            time: Some(message.time),
            cause: message.causation.as_ref().map(Causation::to_string),
        },
    };
    Print::of(message.sequence, Some(message.id), message.key, message.payload, &envelope, &message.headers)
}
