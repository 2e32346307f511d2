//! Questions that brokers cannot answer yet, while they settle which of them is to: asked again as long as there is time.
//!
//! The client library hands such an answer on as an error of the question. Deliberately absent: waiting for a broker that does not
//! answer at all, which the client does by itself.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult};

const PAUSE: Duration = Duration::from_millis(50);

/// The answer, asked for until it is settled, for `wait` at most. Blocks.
///
/// # Errors
/// The last answer, where it is another error or the time is up.
pub(crate) fn settled<T>(
    wait: Duration,
    is_unsettled: fn(&KafkaError) -> bool,
    mut ask: impl FnMut(Duration) -> KafkaResult<T>,
) -> KafkaResult<T> {
    let until = Instant::now() + wait;
    let left = || until.saturating_duration_since(Instant::now());
    let pause = || {
        let is_left = left() > PAUSE;
        if is_left {
            thread::sleep(PAUSE);
        }
        is_left
    };
    asked(is_unsettled, || ask(left().max(PAUSE)), pause)
}

/// Asks again as long as it is unsettled and `pause` says that there is time.
fn asked<T>(
    is_unsettled: fn(&KafkaError) -> bool,
    mut ask: impl FnMut() -> KafkaResult<T>,
    mut pause: impl FnMut() -> bool,
) -> KafkaResult<T> {
    loop {
        match ask() {
            Err(error) if is_unsettled(&error) && pause() => {}
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;
    use crate::kafka::is_unsettled;

    fn told(answers: &[Option<RDKafkaErrorCode>], pauses: usize) -> (KafkaResult<()>, usize) {
        let (mut answers, mut left, mut times) = (answers.iter(), pauses, 0);
        let ask = || {
            times += 1;
            match answers.next().expect("asked more often than there are answers") {
                Some(code) => Err(KafkaError::MetadataFetch(*code)),
                None => Ok(()),
            }
        };
        let pause = || {
            let is_left = left > 0;
            left = left.saturating_sub(1);
            is_left
        };
        (asked(is_unsettled, ask, pause), times)
    }

    #[test]
    fn what_settles_is_waited_for() {
        let settling = [
            Some(RDKafkaErrorCode::LeaderNotAvailable),
            Some(RDKafkaErrorCode::NotLeaderForPartition),
            Some(RDKafkaErrorCode::UnknownLeaderEpoch),
            None,
        ];
        assert_eq!(told(&settling, 3), (Ok(()), 4));
        let late = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownLeaderEpoch);
        assert_eq!(told(&settling, 2), (Err(late), 3));
    }

    #[test]
    fn a_refusal_is_not_asked_about_again() {
        let refused = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(told(&[Some(RDKafkaErrorCode::TopicAuthorizationFailed)], 3), (Err(refused), 1));
    }
}
