//! The one place where records come in from the client library: for the engine's consumer and for what looks ahead of it.
//!
//! With the feature `planted-bugs` it brings about what no test could cause otherwise: a record that cannot be read, a
//! client that is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::planted::{Mishap, Planted};
use rdkafka::Offset;
use rdkafka::consumer::{Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::group_member::{Asker, GroupMember};

/// How long setting a test's consumer back may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// The next record, or what the client reports.
pub(crate) async fn next(consumer: &GroupMember, planted: Planted) -> Result<BorrowedMessage<'_>, KafkaError> {
    loop {
        let received = consumer.recv().await;
        if !is_lost(&received, consumer, planted) {
            return screened(received, consumer, planted);
        }
    }
}

/// The same for a look on a thread of its own; `None` after `limit`.
pub(crate) fn next_within(
    consumer: &Asker,
    limit: Duration,
    planted: Planted,
) -> Option<Result<BorrowedMessage<'_>, KafkaError>> {
    consumer.poll(limit).map(|received| screened(received, consumer, planted))
}

/// Whether a test has taken this client away: it has left its group, and nothing is heard of it any more.
fn is_lost(received: &Result<BorrowedMessage<'_>, KafkaError>, consumer: &GroupMember, planted: Planted) -> bool {
    if !planted.suffers(Mishap::ClientLost) {
        return false;
    }
    let loss = &consumer.context().loss;
    let key = received.as_ref().ok().and_then(|message| message.key());
    if planted.befalls(Mishap::ClientLost, key) && loss.happen() {
        consumer.unsubscribe();
    }
    loss.has_happened()
}

/// The loss of a client that a test brings about. It befalls the first client of a process only.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    may_happen: bool,
    has_happened: AtomicBool,
}

impl Loss {
    /// For the first client of a process.
    pub(crate) fn of_first(planted: Planted) -> Self {
        Loss { may_happen: planted.suffers(Mishap::ClientLost), has_happened: AtomicBool::new(false) }
    }

    /// Whether the client is lost.
    pub(crate) fn has_happened(&self) -> bool {
        self.has_happened.load(Ordering::Relaxed)
    }

    /// Whether it is lost by this very call.
    fn happen(&self) -> bool {
        self.may_happen && !self.has_happened.swap(true, Ordering::Relaxed)
    }
}

/// A record that a test has chosen turns into the library's error, and the partition stands before it.
fn screened<'m, X: ConsumerContext>(
    received: Result<BorrowedMessage<'m>, KafkaError>,
    consumer: &impl rdkafka::consumer::Consumer<X>,
    planted: Planted,
) -> Result<BorrowedMessage<'m>, KafkaError> {
    match received {
        Ok(message) if planted.befalls(Mishap::RecordUnreadable, message.key()) => {
            consumer.seek(message.topic(), message.partition(), Offset::Offset(message.offset()), SEEK_TIMEOUT)?;
            Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage))
        }
        received => received,
    }
}
