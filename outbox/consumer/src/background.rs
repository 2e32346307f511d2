//! A question that is answered in a task of its own: the loop never waits for it.
//!
//! One question at a time, with an end. Its answer belongs to the lanes that it was asked for: when they change, it is given up.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The question that is under way.
pub(crate) struct Background<T> {
    asked: Option<JoinHandle<Result<T, Failure>>>,
}

impl<T: Send + 'static> Background<T> {
    pub(crate) const fn new() -> Self {
        Background { asked: None }
    }

    /// Whether no answer is waited for.
    pub(crate) const fn is_free(&self) -> bool {
        self.asked.is_none()
    }

    /// Ask. A question that is under way is given up.
    pub(crate) fn ask(&mut self, question: impl Future<Output = Result<T, Failure>> + Send + 'static) {
        self.give_up();
        self.asked = Some(tokio::spawn(async move {
            match tokio::time::timeout(TIMEOUT, question).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::Retry(format!("no answer within {TIMEOUT:?}"))),
            }
        }));
    }

    /// The answer, once it has come. Never waits.
    pub(crate) fn answer(&mut self) -> Option<Result<T, Failure>> {
        let answer = self.asked.as_mut()?.now_or_never()?;
        self.asked = None;
        Some(answer.unwrap_or_else(|error| Err(Failure::Retry(format!("ended without an answer: {error}")))))
    }

    /// Nobody wants the answer any more.
    pub(crate) fn give_up(&mut self) {
        if let Some(asked) = self.asked.take() {
            asked.abort();
        }
    }

    /// Ends the task.
    pub(crate) async fn join(mut self) {
        if let Some(asked) = self.asked.take() {
            asked.abort();
            // An answer that comes after the end is of no use.
            drop(asked.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_taken_once_and_a_question_given_up_has_none() {
        let mut background = Background::new();
        background.ask(std::future::pending());
        assert!(!background.is_free() && background.answer().is_none());
        background.ask(async { Ok(2) });
        let answer = loop {
            match background.answer() {
                Some(answer) => break answer,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(matches!(answer, Ok(2)) && background.is_free());
        background.ask(std::future::pending());
        background.give_up();
        assert!(background.is_free() && background.answer().is_none());
    }
}
