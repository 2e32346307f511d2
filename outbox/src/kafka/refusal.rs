//! What an error of the client library means for the person who has to mend it.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;

use super::settings::is_secret;

/// Why the brokers do not let a client in, or the client not trust them. No waiting mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// User, password or token.
    Credentials(String),
    /// The client does not trust the broker's certificate.
    BrokerCertificate(String),
    /// The brokers want another certificate of the client, or any.
    ClientCertificate(String),
    /// The client speaks TLS and the broker does not.
    NotTls(String),
}

impl Refusal {
    /// What this complaint of the client tells, if it is more than a broker that is away.
    pub(super) fn of(error: &KafkaError, reason: &str) -> Option<Self> {
        let has = |parts: &[&str]| parts.iter().any(|part| reason.contains(part));
        let reason = || shortened(reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            Some(Refusal::Credentials(reason()))
        } else if has(&["certificate verify failed", "certificate could not be verified"]) {
            Some(Refusal::BrokerCertificate(reason()))
        } else if has(&[" alert ", "client SSL authentication might be required"]) {
            Some(Refusal::ClientCertificate(reason()))
        } else if has(&["wrong version number", "packet length too long", "http request"]) {
            Some(Refusal::NotTls(reason()))
        } else {
            None
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Credentials(reason) => write!(
                f,
                "the brokers refuse the credentials: {reason}; check sasl.mechanism, sasl.username, and the password or token"
            ),
            Refusal::BrokerCertificate(reason) => write!(
                f,
                "the broker's certificate is not trusted: {reason}; check ssl.ca.location, the certificate's dates, and that \
                 it names the address"
            ),
            Refusal::ClientCertificate(reason) => write!(
                f,
                "the brokers refuse this client's certificate: {reason}; check ssl.certificate.location and ssl.key.location"
            ),
            Refusal::NotTls(reason) => {
                write!(
                    f,
                    "the brokers do not speak TLS at this address: {reason}; check security.protocol and the port"
                )
            }
        }
    }
}

/// What a client has no permission for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The topic.
    Topic,
    /// The consumer group.
    Group,
    /// The cluster: creating topics, for instance.
    Cluster,
    /// A transactional id.
    Transaction,
}

/// What permission is missing, if that is what the error says.
pub fn denied(error: &KafkaError) -> Option<Denied> {
    const CODES: [(RDKafkaErrorCode, Denied); 4] = [
        (RDKafkaErrorCode::TopicAuthorizationFailed, Denied::Topic),
        (RDKafkaErrorCode::GroupAuthorizationFailed, Denied::Group),
        (RDKafkaErrorCode::ClusterAuthorizationFailed, Denied::Cluster),
        (RDKafkaErrorCode::TransactionalIdAuthorizationFailed, Denied::Transaction),
    ];
    let code = error.rdkafka_error_code()?;
    CODES.iter().find(|(known, _)| *known == code).map(|(_, denied)| *denied)
}

/// The error with which brokers answer for a topic that this user may not see; any other they give with topics that are missing.
pub fn denied_topic(told: &MetadataTopic) -> Option<KafkaError> {
    told.error().map(|code| KafkaError::MetadataFetch(code.into())).filter(|error| denied(error).is_some())
}

/// An error in words that say what to do, where there is something; never with a value that may be a secret.
pub fn words(error: &KafkaError) -> String {
    if let Some(denied) = denied(error) {
        let place = match denied {
            Denied::Topic => "the topic",
            Denied::Group => "the consumer group",
            Denied::Cluster => "the cluster",
            Denied::Transaction => "the transactional id",
        };
        return format!("this user has no permission on {place}; its access list needs an entry");
    }
    if let KafkaError::ClientConfig(_, reason, name, value) = error {
        let is_shown = !is_secret(name) || value.is_empty();
        let reason = if is_shown { reason.clone() } else { reason.replace(value.as_str(), "…") };
        return format!("the setting {name} is not taken: {reason}");
    }
    if let KafkaError::ClientCreation(reason) = error {
        return format!("the settings are not taken together: {reason}");
    }
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Authentication) => Refusal::Credentials(error.to_string()).to_string(),
        Some(RDKafkaErrorCode::SSL) => format!("{error}; check security.protocol and ssl.*"),
        Some(_) | None => error.to_string(),
    }
}

/// The same for what a client reports beside its answers, with the reason that it gives.
pub fn complaint(error: &KafkaError, reason: &str) -> String {
    Refusal::of(error, reason).map_or_else(|| format!("{error}: {reason}"), |refusal| refusal.to_string())
}

/// The first line of what the library says, without its own bookkeeping at the end.
fn shortened(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    line.split(" (after ").next().unwrap_or(line).trim_end_matches(['.', ' ']).to_owned()
}

/// Whether the client says that it got records that it cannot read. It does not say which, and stands before them.
pub fn is_about_content(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::NotImplemented
                | RDKafkaErrorCode::Underflow
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
        )
    )
}

/// Whether waiting does not help a client that reads.
pub fn is_final(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        [
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownPartition,
            RDKafkaErrorCode::OffsetOutOfRange,
            RDKafkaErrorCode::AutoOffsetReset,
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::Fatal,
        ]
        .contains(&code)
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    const TRANSPORT: KafkaError = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);

    #[test]
    fn a_refused_setting_is_named_and_a_secret_is_not_shown() {
        let result = RDKafkaConfRes::RD_KAFKA_CONF_INVALID;
        let refused = |name: &str, value: &str| {
            let reason = format!("Invalid value \"{value}\" for configuration property \"{name}\"");
            words(&KafkaError::ClientConfig(result, reason, name.into(), value.into()))
        };
        let typo = refused("sasl.pasword", "hush");
        assert!(typo.contains("sasl.pasword") && !typo.contains("hush"), "{typo}");
        let number = refused("linger.ms", "soon");
        assert!(number.contains("linger.ms") && number.contains("soon"), "{number}");
    }

    #[test]
    fn a_broker_that_is_away_refuses_nobody() {
        let away = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(Refusal::of(&TRANSPORT, away), None);
        let closed =
            "Disconnected: requesting ApiVersion: might be caused by incorrect security.protocol configuration";
        assert_eq!(Refusal::of(&TRANSPORT, closed), None, "a broker that goes down looks the same");
    }

    #[test]
    fn a_missing_permission_is_told_from_a_missing_topic() {
        let error = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(denied(&error), Some(Denied::Topic));
        assert!(words(&error).contains("no permission on the topic"));
        assert_eq!(denied(&KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)), None);
    }
}
