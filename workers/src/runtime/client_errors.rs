//! What becomes of the errors that the Kafka client reports. Most mend themselves and are only told.
//!
//! Two do not: an offset outside the log (every feed is compared with its log again, and held where it is another), and an error that is fatal for the client. A broker that was
//! killed can fence a static member that did nothing wrong, so a fatal error means a new client that joins again; only an
//! instance that is fenced again and again has a rival with its id.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::consumer;
use super::engine::Engine;
use super::failure::Failure;
use super::service::Service;

/// How long closing the old client may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between a fatal error and the new client.
const PAUSE: Duration = Duration::from_millis(500);
/// So many fatal errors within `RIVALRY_WINDOW` are not the broker's doing.
const RIVALRY_COUNT: usize = 5;
const RIVALRY_WINDOW: Duration = Duration::from_secs(60);

impl<S: Service> Engine<S> {
    /// React to what the client has reported.
    pub(super) async fn heed(&mut self, errors: &[KafkaError]) -> Result<(), Failure> {
        for error in errors {
            tracing::warn!(%error, "the Kafka client reports an error");
        }
        let fatal = errors.iter().find(|error| matches!(error, KafkaError::MessageConsumptionFatal(_)));
        if let Some(error) = fatal {
            return self.rejoin(&error.to_string()).await;
        }
        if errors.iter().any(is_about_offsets) {
            self.verify_logs().await?;
        }
        Ok(())
    }

    /// The client is dead: its lanes are let go, and a new one joins the group.
    async fn rejoin(&mut self, reason: &str) -> Result<(), Failure> {
        let now = Instant::now();
        self.fatal_errors.retain(|earlier| now.duration_since(*earlier) < RIVALRY_WINDOW);
        self.fatal_errors.push(now);
        if self.fatal_errors.len() >= RIVALRY_COUNT {
            let times = self.fatal_errors.len();
            return Err(Failure::Halt(format!(
                "{reason}, {times} times within {} s: is there another process with this INSTANCE_ID? Each needs its own",
                RIVALRY_WINDOW.as_secs()
            )));
        }
        tracing::warn!(reason, "the Kafka client is of no more use; a new one joins the group");
        self.due = None;
        self.feeds.clear();
        self.health.left();
        tokio::time::sleep(PAUSE).await;
        let (fresh, notes) = consumer::subscribe(&self.group.kafka, &self.group.name, &self.group.topics)
            .map_err(|error| Failure::Halt(format!("cannot join the group {} again: {error}", self.group.name)))?;
        let old = std::mem::replace(&mut self.consumer, fresh.into());
        self.notes = notes;
        // Closing blocks; nothing of the old client is needed any more.
        let closed = tokio::task::spawn_blocking(move || drop(old));
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the old Kafka client did not close within {CLOSE_TIMEOUT:?}");
        }
        Ok(())
    }
}

/// With `auto.offset.reset=error` an offset outside the log comes as one of these.
fn is_about_offsets(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::NoOffset)
    )
}
