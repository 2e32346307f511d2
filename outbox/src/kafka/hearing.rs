//! What a client of the library has complained of, kept for the moment when somebody asks why there is no answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::KafkaError;

use super::refusal::Refusal;

/// The complaints of one client; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hearing(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    refusal: Option<Refusal>,
    last: Option<String>,
}

impl Hearing {
    /// For [`ClientContext::error`](rdkafka::ClientContext::error).
    pub fn error(&self, error: &KafkaError, reason: &str) {
        let refusal = Refusal::of(error, reason);
        let mut heard = self.heard();
        // That all brokers are down is what follows from the complaint before it.
        if error.rdkafka_error_code() != Some(rdkafka::error::RDKafkaErrorCode::AllBrokersDown) || heard.last.is_none()
        {
            heard.last = Some(with_hint(reason));
        }
        heard.refusal = refusal.or(heard.refusal.take());
    }

    /// For [`ClientContext::log`](rdkafka::ClientContext::log): that a broker hangs up is told nowhere else.
    pub fn log(&self, facility: &str, message: &str) {
        if facility == "FAIL" || facility == "ERROR" {
            // In front is the library's own thread.
            let words = message.rsplit_once("]: ").map_or(message, |(_, words)| words);
            self.heard().last = Some(with_hint(words));
        }
    }

    /// Why the client is not let in, if it heard that since it was last answered.
    pub fn refusal(&self) -> Option<Refusal> {
        self.heard().refusal.clone()
    }

    /// The last complaint in the library's words.
    pub fn last(&self) -> Option<String> {
        self.heard().last.clone()
    }

    /// Brokers have answered: what was heard before does not count any more.
    pub fn was_answered(&self) {
        *self.heard() = Heard::default();
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A broker that hangs up on a client's very first question may be away in a moment, or speak another protocol.
fn with_hint(words: &str) -> String {
    let is_hung_up = words.contains("APIVERSION_QUERY") || words.contains("ApiVersion");
    let hint = if is_hung_up { "; if the listener speaks TLS or SASL, check security.protocol" } else { "" };
    format!("{words}{hint}")
}
