//! A client's first question, for instance who leads what. Answered, refused, or nobody there.
//!
//! The library waits for a broker that it can use until the time is up, whatever it hears meanwhile. Asked in turns, a client
//! that is refused ends as soon as it knows. The turns grow, so that a slow broker is not asked ever anew.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientConfig, ClientContext};

use super::hearing::Hearing;
use super::listener::Listener;
use super::refusal::{Refusal, words};

/// How long brokers may take for an answer, in every program, unless somebody says otherwise.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);

const FIRST_TURN: Duration = Duration::from_millis(400);
/// The most events that are looked at before and after a question.
const EVENTS_COUNT: u32 = 32;
/// Between two turns: what goes wrong may go wrong at once.
const PAUSE: Duration = Duration::from_millis(20);

/// That no broker answered, in the words of every program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer from the brokers {brokers} within {wait_s} s: {said}; check KAFKA_BROKERS or --brokers")]
pub struct Silence {
    /// The bootstrap addresses.
    pub brokers: String,
    /// How long was waited, in seconds.
    pub wait_s: u64,
    /// What the client last complained of, or what the question came to.
    pub said: String,
}

/// Why the brokers told nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unanswered {
    /// The client does not take its settings.
    #[error("{}", words(.0))]
    Settings(KafkaError),
    /// They, or the client, want nothing to do with each other.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody answered in time.
    #[error("{silence}")]
    Silent {
        /// What the question came to.
        source: KafkaError,
        /// Who was asked, and what was heard instead.
        silence: Box<Silence>,
    },
}

/// Who is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The bootstrap addresses, for the words of an error.
    pub brokers: &'a str,
    /// How long the question may take.
    pub limit: Duration,
}

impl<'a> Asking<'a> {
    /// Who has these properties asks the brokers that stand in them.
    pub fn of(properties: &'a ClientConfig, limit: Duration) -> Self {
        Asking { brokers: properties.get("bootstrap.servers").unwrap_or_default(), limit }
    }

    /// That they said nothing.
    pub fn silence(self, said: impl Into<String>) -> Silence {
        Silence { brokers: self.brokers.to_owned(), wait_s: self.limit.as_secs(), said: said.into() }
    }
}

/// Ask as [`metadata`] does, by a client of its own with these properties. Blocks.
///
/// # Errors
/// [`Unanswered`], in words.
pub fn ask(properties: &ClientConfig, topic: Option<&str>, limit: Duration) -> Result<Metadata, Unanswered> {
    let asking = Asking::of(properties, limit);
    let mut properties = properties.clone();
    // That a broker hangs up is told in a line of this level, and nowhere else.
    properties.set_log_level(RDKafkaLogLevel::Info);
    let client: BaseConsumer<Listener> =
        properties.create_with_context(Listener::default()).map_err(Unanswered::Settings)?;
    metadata(client.client(), &client.context().hearing, topic, asking, || attend(&client))
}

/// Look at what a client that is only asked has to tell: complaints, and that its token is due. One look takes one event,
/// and tells not always whether there was one.
pub fn attend<C: ConsumerContext>(client: &BaseConsumer<C>) {
    for _ in 0..EVENTS_COUNT {
        drop(client.poll(Duration::ZERO));
    }
}

/// Ask for one topic, or for all that this user may see. `attend` polls the client once, if nobody else does:
/// only then its complaints are heard and its token is read. Blocks.
///
/// # Errors
/// [`Unanswered`], in words.
pub fn metadata<C: ClientContext>(
    client: &Client<C>,
    hearing: &Hearing,
    topic: Option<&str>,
    asking: Asking<'_>,
    attend: impl Fn(),
) -> Result<Metadata, Unanswered> {
    in_turns(hearing, asking, attend, |turn| client.fetch_metadata(topic, turn), |_| true)
}

/// Ask anything else as [`metadata`] does: `question` may take so long each time, and is asked again after the errors that are
/// `passing`. Blocks.
///
/// # Errors
/// [`Unanswered`], in words; an error that does not pass is what [`Unanswered::Silent`] came to, at once.
pub fn in_turns<T>(
    hearing: &Hearing,
    asking: Asking<'_>,
    attend: impl Fn(),
    question: impl Fn(Duration) -> KafkaResult<T>,
    passing: impl Fn(&KafkaError) -> bool,
) -> Result<T, Unanswered> {
    let deadline = Instant::now() + asking.limit;
    let mut turn = FIRST_TURN;
    loop {
        attend();
        let left = deadline.saturating_duration_since(Instant::now());
        let source = match question(turn.min(left)) {
            Ok(answer) => {
                hearing.was_answered();
                return Ok(answer);
            }
            Err(source) => source,
        };
        attend();
        if let Some(refusal) = hearing.refusal() {
            return Err(Unanswered::Refused(refusal));
        }
        if !passing(&source) || Instant::now() >= deadline {
            let silence = asking.silence(hearing.last().unwrap_or_else(|| words(&source)));
            return Err(Unanswered::Silent { source, silence: Box::new(silence) });
        }
        thread::sleep(PAUSE);
        turn *= 2;
    }
}
