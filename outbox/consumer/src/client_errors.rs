//! What becomes of the errors that the Kafka client reports. Most mend themselves and are only told.
//!
//! Some do not: after an offset error every feed is compared with its log again (`log_watch`) and with its range (`ranges`);
//! a record that cannot be read is looked into (`standstill`); an error that is fatal for the client means a new client that
//! joins again, because a broker that was restarted can fence a static member that did nothing wrong; what tells a rival with
//! the same id from that is in `rivalry`. A client that is lost without a word is replaced in the same way (`watchdog`), as
//! often as it takes.

use std::time::{Duration, Instant};

use outbox::kafka::Denied;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::contract::Contract as _;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::group_member;
use crate::reception::Loss;
use crate::service::Service;
use crate::survey::Demand;

/// How long closing the old client may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between a fatal error and the new client.
const PAUSE: Duration = Duration::from_millis(500);

impl<S: Service> Engine<S> {
    /// React to what the client has reported.
    pub(crate) async fn heed(&mut self, errors: &[KafkaError]) -> Result<(), Failure> {
        let now = Instant::now();
        for error in errors {
            if let Some(untold) = self.watch.complaints.hear(&error.to_string(), now) {
                tracing::warn!(error = S::Contract::explain(error), untold, "the Kafka client reports an error");
            }
            if outbox::kafka::denied(error) == Some(Denied::Group) {
                self.health.denied(format!("group {}: {}", self.group.name, S::Contract::explain(error)));
            }
        }
        if errors.iter().any(outbox::kafka::is_about_content) {
            self.watch.unreadable = Some(now);
        }
        if errors.iter().any(is_lost_broker) {
            self.rivalry.broker_lost();
        }
        let fatal = errors.iter().find(|error| matches!(error, KafkaError::MessageConsumptionFatal(_)));
        if let Some(error) = fatal {
            return self.rejoin(&error.to_string()).await;
        }
        if errors.iter().any(is_about_offsets) {
            // The logs are looked at at once.
            self.watch.ranges.suspect(now);
            self.look_soon(Demand::All);
            self.feeds.verify_logs(&mut self.watch.complaints).await?;
        }
        Ok(())
    }

    /// The client is dead by its own word.
    async fn rejoin(&mut self, reason: &str) -> Result<(), Failure> {
        if let Some(rival) = self.rivalry.fatal(Instant::now()) {
            return Err(Failure::Halt(format!("{reason}, {rival}")));
        }
        self.renew(reason).await
    }

    /// The client's lanes are let go, and a new one joins the group.
    pub(crate) async fn renew(&mut self, reason: &str) -> Result<(), Failure> {
        tracing::warn!(reason, "the Kafka client is of no more use; a new one joins the group");
        self.leave();
        tokio::time::sleep(PAUSE).await;
        let failed = |error| Failure::Halt(format!("cannot join the group {} again: {error}", self.group.name));
        let (fresh, notes) =
            group_member::create(&self.group.kafka, &self.group.name, Loss::default()).map_err(failed)?;
        let old = std::mem::replace(&mut self.feeds.consumer, fresh.into());
        self.notes = notes;
        // Closing blocks; nothing of the old client is needed any more. It comes first: two clients of one static member
        // would fence each other.
        let closed = tokio::task::spawn_blocking(move || drop(old));
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the old Kafka client did not close within {CLOSE_TIMEOUT:?}");
        }
        group_member::subscribe(&self.feeds.consumer, &self.group.topics).map_err(failed)?;
        self.watch.renewed(Instant::now());
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

/// A connection that held no more. It is looked at before the fatal errors that came with it.
fn is_lost_broker(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure)
    )
}
