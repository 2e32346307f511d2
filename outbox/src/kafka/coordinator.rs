//! What a group has committed, asked of the broker that coordinates it.
//!
//! The first question of a cluster makes the brokers create the topic that holds offsets, and a restarted broker loads it
//! first. The client library hands both answers on as errors; here they are waited for.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::settling::settled;

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
    settled(wait, is_unsettled, |left| client.committed_offsets(partitions.clone(), left))
}

fn is_unsettled(error: &KafkaError) -> bool {
    const CODES: [RDKafkaErrorCode; 3] = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
    ];
    error.rdkafka_error_code().is_some_and(|code| CODES.contains(&code))
}
