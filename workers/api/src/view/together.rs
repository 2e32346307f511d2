//! Whether something is there, asked for many at once: who comes while a question is under way is in the next one.
//!
//! Whoever gets the turn asks for all who wait, so nothing runs beside the requests, and under load a statement answers many of them.
//! Whoever goes away in the middle takes nobody along: who was asked for by it asks again. What waits is no more than there are
//! requests.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use consumer::DatabaseError;
use tokio::sync::oneshot;

/// How often whoever was to ask may have gone away.
const TRIES: usize = 100;

type Waiting = (String, oneshot::Sender<Result<bool, String>>);

/// Who waits for an answer, and whose turn it is to ask.
#[derive(Default)]
pub(super) struct Together {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

impl Together {
    /// Whether this key is there; `ask` says which of many are.
    pub(super) async fn is_there<A>(&self, key: &str, ask: impl Fn(Vec<String>) -> A) -> Result<bool, DatabaseError>
    where
        A: Future<Output = Result<HashSet<String>, DatabaseError>>,
    {
        for _ in 0..TRIES {
            let (tell, mut told) = oneshot::channel();
            self.locked().push((key.to_owned(), tell));
            let answer = tokio::select! {
                biased;
                answer = &mut told => answer,
                _turn = self.turn.lock() => {
                    self.ask_for_all(&ask).await;
                    told.await
                }
            };
            // Else whoever asked has gone away.
            if let Ok(answer) = answer {
                return answer.map_err(DatabaseError::Away);
            }
        }
        Err(DatabaseError::Away("nobody has stayed to ask the database".to_owned()))
    }

    async fn ask_for_all<A>(&self, ask: impl Fn(Vec<String>) -> A)
    where
        A: Future<Output = Result<HashSet<String>, DatabaseError>>,
    {
        let waiting = std::mem::take(&mut *self.locked());
        let keys = waiting.iter().map(|(key, _)| key.clone()).collect();
        let found = ask(keys).await.map_err(|error| error.to_string());
        for (key, tell) in waiting {
            // Who does not wait any more needs no answer.
            drop(tell.send(found.as_ref().map(|found| found.contains(&key)).map_err(String::clone)));
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    /// Answers questions one by one as permits are given: even numbers are there.
    struct Slow {
        together: Together,
        permits: Semaphore,
        asked: Mutex<Vec<usize>>,
    }

    impl Slow {
        fn new() -> Arc<Self> {
            Arc::new(Slow { together: Together::default(), permits: Semaphore::new(0), asked: Mutex::default() })
        }

        async fn is_there(&self, number: usize) -> Result<bool, DatabaseError> {
            self.together.is_there(&number.to_string(), |keys| self.ask(keys)).await
        }

        async fn ask(&self, keys: Vec<String>) -> Result<HashSet<String>, DatabaseError> {
            self.asked.lock().unwrap().push(keys.len());
            self.permits.acquire().await.unwrap().forget();
            if keys.iter().any(|key| key == "13") {
                return Err(DatabaseError::Away("thirteen".to_owned()));
            }
            Ok(keys.into_iter().filter(|key| key.parse::<usize>().unwrap() % 2 == 0).collect())
        }

        async fn until_waiting(&self, count: usize) {
            while self.together.locked().len() < count {
                tokio::task::yield_now().await;
            }
        }

        async fn until_asked(&self, times: usize) {
            while self.asked.lock().unwrap().len() < times {
                tokio::task::yield_now().await;
            }
        }
    }

    fn ask(slow: &Arc<Slow>, number: usize) -> tokio::task::JoinHandle<Result<bool, DatabaseError>> {
        let slow = Arc::clone(slow);
        tokio::spawn(async move { slow.is_there(number).await })
    }

    #[tokio::test]
    async fn who_comes_while_one_question_is_under_way_is_in_the_next_one_and_told_if_it_fails() {
        let slow = Slow::new();
        let first = ask(&slow, 1);
        slow.until_asked(1).await;
        let others: Vec<_> = (2..52).map(|number| ask(&slow, number)).collect();
        slow.until_waiting(50).await;
        slow.permits.add_permits(2);
        assert!(!first.await.unwrap().unwrap());
        for other in others {
            assert_eq!(other.await.unwrap().unwrap_err().to_string(), "thirteen");
        }
        assert_eq!(*slow.asked.lock().unwrap(), [1, 50]);
        slow.permits.add_permits(2);
        assert!(slow.is_there(8).await.unwrap() && !slow.is_there(9).await.unwrap());
    }

    #[tokio::test]
    async fn who_goes_away_in_the_middle_takes_nobody_along() {
        let slow = Slow::new();
        let first = ask(&slow, 1);
        slow.until_asked(1).await;
        let (second, third) = (ask(&slow, 2), ask(&slow, 4));
        slow.until_waiting(2).await;
        // The second has the next turn, and asks for both.
        slow.permits.add_permits(1);
        assert!(!first.await.unwrap().unwrap());
        slow.until_asked(2).await;
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        slow.permits.add_permits(1);
        assert!(third.await.unwrap().unwrap());
        assert_eq!(*slow.asked.lock().unwrap(), [1, 2, 1]);
    }
}
