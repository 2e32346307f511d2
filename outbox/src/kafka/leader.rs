//! Partitions between two leaders.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether the brokers do not know yet who leads a partition: waiting helps.
pub fn is_unsettled(error: &KafkaError) -> bool {
    const CODES: [RDKafkaErrorCode; 5] = [
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::LeaderNotAvailable,
        RDKafkaErrorCode::NotLeaderForPartition,
        // The client has heard of a new leader before that leader has.
        RDKafkaErrorCode::UnknownLeaderEpoch,
        RDKafkaErrorCode::FencedLeaderEpoch,
    ];
    error.rdkafka_error_code().is_some_and(|code| CODES.contains(&code))
}
