//! Keeps a running instance from going on in another log than the one that its offsets belong to.
//!
//! The client library takes a topic that was made anew for the same one and goes on at the same offset, without a word, if
//! the new log is long enough by then. So the ids of the topics are looked at every two seconds, beside the work; and
//! after an offset error every feed is compared with its log again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;

use crate::assignment::{self, Closeness};
use crate::complaints::Complaints;
use crate::failure::Failure;
use crate::feeds::Feeds;
use crate::log_look::{LogLook, TopicIds};
use crate::service::{IdOf, Service};

/// Between an answer about the ids and the next question.
const PERIOD: Duration = Duration::from_secs(2);

impl<S: Service> Feeds<S> {
    /// Feeds whose topic has another id than before are judged again.
    pub(crate) async fn watch_logs(&mut self, inputs: &[Arc<str>], complaints: &mut Complaints) -> Result<(), Failure> {
        let Some(ids) = self.logs.ids(inputs) else { return Ok(()) };
        let topics = &self.sources.topics;
        let strange: Vec<IdOf<S>> = self
            .by_id
            .iter()
            .filter(|(id, feed)| {
                let there = ids.get(&*topics.full(id.topic));
                feed.fetching && feed.log.topic_id.zip(there).is_some_and(|(known, there)| known != *there)
            })
            .map(|(id, _)| *id)
            .collect();
        self.verify(&strange, complaints).await
    }

    /// After an offset error: every feed that is fetched is compared with its log again, and nothing of it is taken before.
    pub(crate) async fn verify_logs(&mut self, complaints: &mut Complaints) -> Result<(), Failure> {
        let fetching: Vec<IdOf<S>> = self.by_id.iter().filter(|(_, feed)| feed.fetching).map(|(id, _)| *id).collect();
        self.verify(&fetching, complaints).await
    }

    async fn verify(&mut self, ids: &[IdOf<S>], complaints: &mut Complaints) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        match assignment::load::<S::Contract>(&self.sources, ids, Closeness::WithRanges).await {
            Ok(loaded) => {
                self.logs.is_overdue = false;
                self.replace(loaded)
            }
            Err(failure) => {
                self.logs.is_overdue = true;
                complaints.tolerate(failure, "comparing the logs")
            }
        }
    }
}

/// Looks at the topics' ids now and then.
pub(crate) struct LogWatch {
    pub(crate) look: LogLook,
    asked: Option<JoinHandle<Result<TopicIds, KafkaError>>>,
    last: Instant,
    /// After an offset error the feeds could not be looked at yet.
    pub(crate) is_overdue: bool,
}

impl LogWatch {
    pub(crate) fn new(base: &ClientConfig) -> Self {
        LogWatch { look: LogLook::new(base), asked: None, last: Instant::now(), is_overdue: false }
    }

    /// The ids, when they have come; asks for them when it is time. Never waits.
    pub(crate) fn ids(&mut self, topics: &[Arc<str>]) -> Option<TopicIds> {
        let Some(mut asked) = self.asked.take() else {
            if self.last.elapsed() >= PERIOD {
                let (look, topics) = (self.look.clone(), topics.iter().map(ToString::to_string).collect::<Vec<_>>());
                self.asked = Some(tokio::task::spawn_blocking(move || look.topic_ids(&topics)));
            }
            return None;
        };
        let Some(answer) = (&mut asked).now_or_never() else {
            self.asked = Some(asked);
            return None;
        };
        self.last = Instant::now();
        answer.ok()?.inspect_err(|error| tracing::debug!(%error, "the topics' ids are not known at the moment")).ok()
    }

    /// Ends the question that is under way; it is short.
    pub(crate) async fn join(self) {
        if let Some(asked) = self.asked {
            // An answer that comes after the end is of no use.
            drop(asked.await);
        }
    }
}
