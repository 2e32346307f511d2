//! The end of a test: waiting until a pipeline has come to rest, and having it checked.
//!
//! At rest means: everything that the outboxes hold is in the topics, everything in the topics is taken, and no provider
//! is asked. Both are looked at from one snapshot of the tables, taken before the topics' ends.

use std::collections::BTreeMap;

use schemas::TopicName;

use crate::database::Progress;
use crate::{Outcome, Pipeline, trouble};

impl Pipeline {
    /// Waits until nothing is under way any more: all is published, all is read, no provider is asked.
    pub async fn await_quiet(&self) -> Outcome {
        self.until("nothing is under way", async || {
            let progress = self.tables().progress().await?;
            if progress.open_calls > 0 {
                return Err(trouble(format!("{} provider calls are open", progress.open_calls)));
            }
            self.all_is_read(&progress).await?;
            self.all_is_published(&progress).await
        })
        .await
    }

    /// Waits until everything that the outboxes hold now is in the topics.
    pub async fn await_quiet_outboxes(&self) -> Outcome {
        let progress = self.tables().progress().await?;
        self.until("the outboxes are published", async || self.all_is_published(&progress).await).await
    }

    /// Waits until everything that a topic holds is taken by the service that reads it.
    pub async fn await_read(&self, topic: TopicName) -> Outcome {
        self.until(&format!("{topic} is read"), async || {
            self.is_read(&self.tables().progress().await?, &[topic.as_str().to_owned()]).await
        })
        .await
    }

    async fn all_is_read(&self, progress: &Progress) -> Outcome {
        let inputs: Vec<String> = TopicName::ALL
            .into_iter()
            .filter(|topic| topic.read_by().is_some())
            .map(|topic| topic.as_str().to_owned())
            .collect();
        self.is_read(progress, &inputs).await
    }

    async fn is_read(&self, progress: &Progress, inputs: &[String]) -> Outcome {
        for ((topic, partition), (_, high)) in self.broker().ends(inputs).await? {
            let next =
                progress.next_offsets.get(&(format!("{}{topic}", self.prefix()), partition)).copied().unwrap_or(0);
            if next < high {
                return Err(trouble(format!("{topic}[{partition}] is read up to {next} of {high}")));
            }
        }
        Ok(())
    }

    async fn all_is_published(&self, progress: &Progress) -> Outcome {
        let topics = TopicName::all_names();
        let mut published: BTreeMap<(String, i32, String), i64> = BTreeMap::new();
        for record in self.broker().read(&topics).await? {
            let header = record.header(outbox::position::POSITION_HEADER).map(outbox::Position::parse);
            if let Some(Ok(position)) = header {
                let at = (format!("{}{}", self.prefix(), record.topic), record.partition, position.source);
                let newest = published.entry(at).or_default();
                *newest = position.sequence.max(*newest);
            }
        }
        for ((topic, partition), (service, head)) in &progress.heads {
            let at = (topic.clone(), *partition, service.source().to_owned());
            let newest = published.get(&at).copied().unwrap_or_default();
            if newest < *head {
                return Err(trouble(format!("{topic}[{partition}] is published up to {newest} of {head}")));
            }
        }
        Ok(())
    }

    /// Every running instance says that nothing keeps it from its work.
    pub async fn await_all_ready(&self) -> Outcome {
        for daemon in self.daemons() {
            daemon.await_ready().await?;
        }
        Ok(())
    }

    /// Waits until nothing is under way; then no partition may be held, and the checker must find nothing.
    pub async fn check_clean(&self) -> Outcome {
        self.await_quiet().await?;
        self.await_all_ready().await?;
        let report = self.verdict().await?;
        if !report.is_clean() {
            return Err(trouble(format!("the checker found:\n{report:#?}")));
        }
        // The checker's fold has agreed with the tables; so must the one that would write them.
        let rehearsal = self.rehearsal().await?;
        if !rehearsal.is_clean() {
            return Err(trouble(format!("a rebuild would not give the live state:\n{rehearsal:#?}")));
        }
        self.accept();
        Ok(())
    }
}
