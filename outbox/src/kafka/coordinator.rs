//! What a group has committed, asked of the broker that coordinates it.
//!
//! The first question of a cluster makes the brokers create the topic that holds offsets, and a restarted broker loads it
//! first. The client library hands both answers on as errors; here they are waited for.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

const PAUSE: Duration = Duration::from_millis(50);

/// The offsets that the client's group has committed for these partitions. Blocks for `wait` at most, also while the brokers
/// settle which of them coordinates the group.
///
/// # Errors
/// The brokers do not answer, the group may not be described, or its coordinator is still not settled.
pub fn committed<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
    wait: Duration,
) -> KafkaResult<TopicPartitionList> {
    let until = Instant::now() + wait;
    let left = || until.saturating_duration_since(Instant::now());
    settled(
        || client.committed_offsets(partitions.clone(), left().max(PAUSE)),
        || {
            let is_left = left() > PAUSE;
            if is_left {
                thread::sleep(PAUSE);
            }
            is_left
        },
    )
}

/// Asks again as long as the coordinator is unsettled and `pause` says that there is time.
fn settled<T>(mut ask: impl FnMut() -> KafkaResult<T>, mut pause: impl FnMut() -> bool) -> KafkaResult<T> {
    loop {
        match ask() {
            Err(error) if is_unsettled(&error) && pause() => {}
            answer => return answer,
        }
    }
}

fn is_unsettled(error: &KafkaError) -> bool {
    const CODES: [RDKafkaErrorCode; 3] = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
    ];
    error.rdkafka_error_code().is_some_and(|code| CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(answers: &[Option<RDKafkaErrorCode>], pauses: usize) -> (KafkaResult<()>, usize) {
        let (mut answers, mut left, mut asked) = (answers.iter(), pauses, 0);
        let ask = || {
            asked += 1;
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
        (settled(ask, pause), asked)
    }

    #[test]
    fn a_coordinator_that_settles_is_waited_for() {
        let settling = [
            Some(RDKafkaErrorCode::CoordinatorNotAvailable),
            Some(RDKafkaErrorCode::CoordinatorLoadInProgress),
            Some(RDKafkaErrorCode::NotCoordinator),
            None,
        ];
        assert_eq!(asked(&settling, 3), (Ok(()), 4));
        let late = KafkaError::MetadataFetch(RDKafkaErrorCode::NotCoordinator);
        assert_eq!(asked(&settling, 2), (Err(late), 3));
    }

    #[test]
    fn a_refusal_is_not_asked_about_again() {
        let refused = KafkaError::MetadataFetch(RDKafkaErrorCode::GroupAuthorizationFailed);
        assert_eq!(asked(&[Some(RDKafkaErrorCode::GroupAuthorizationFailed)], 3), (Err(refused), 1));
    }
}
