//! How the programs of a test prove to a secured broker who they are: the same users by three mechanisms.

use std::collections::BTreeMap;

use dev_stack::{Access, Server};
use rdkafka::ClientConfig;

use crate::Outcome;

/// How users prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A password: SASL_SSL with SCRAM-SHA-512.
    Scram,
    /// A certificate: SSL.
    MutualTls,
    /// A token from a file: SASL_SSL with OAUTHBEARER.
    Token,
}

/// The users of a secured broker, as far as clients have to know.
#[derive(Debug, Clone)]
pub struct Credentials {
    access: Access,
    mechanism: Mechanism,
    brokers: String,
}

impl Credentials {
    pub(crate) fn new(kafka: &Server, mechanism: Mechanism) -> Outcome<Self> {
        let access = kafka.access()?.clone();
        let brokers = match mechanism {
            Mechanism::Scram | Mechanism::Token => kafka.address().to_string(),
            Mechanism::MutualTls => access.mutual_tls_brokers(),
        };
        Ok(Credentials { access, mechanism, brokers })
    }

    /// Where clients with this mechanism connect to.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The files of all users.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The librdkafka properties of a user.
    pub fn properties(&self, user: &str) -> Outcome<BTreeMap<String, String>> {
        self.properties_by(self.mechanism, user)
    }

    fn properties_by(&self, mechanism: Mechanism, user: &str) -> Outcome<BTreeMap<String, String>> {
        let file = |path: std::path::PathBuf| path.display().to_string();
        let mut properties = vec![("ssl.ca.location", file(self.access.authority()))];
        match mechanism {
            Mechanism::Scram => properties.extend([
                ("security.protocol", "SASL_SSL".to_owned()),
                ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
                ("sasl.username", user.to_owned()),
                ("sasl.password", std::fs::read_to_string(self.access.password(user))?),
            ]),
            Mechanism::MutualTls => properties.extend([
                ("security.protocol", "SSL".to_owned()),
                ("ssl.certificate.location", file(self.access.certificate(user))),
                ("ssl.key.location", file(self.access.key(user))),
            ]),
            Mechanism::Token => properties.extend([
                ("security.protocol", "SASL_SSL".to_owned()),
                ("sasl.mechanism", "OAUTHBEARER".to_owned()),
                outbox::kafka::token_property(&file(self.access.token(user))),
            ]),
        }
        Ok(properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A client's whole configuration for a user.
    pub fn config(&self, user: &str) -> Outcome<ClientConfig> {
        self.config_by(self.mechanism, user)
    }

    /// The same for a client that cannot read a token because nothing listens to it: it has the password in its place, which
    /// the same address takes.
    pub(crate) fn config_without_token(&self, user: &str) -> Outcome<ClientConfig> {
        let mechanism = match self.mechanism {
            Mechanism::Token => Mechanism::Scram,
            Mechanism::Scram | Mechanism::MutualTls => self.mechanism,
        };
        self.config_by(mechanism, user)
    }

    fn config_by(&self, mechanism: Mechanism, user: &str) -> Outcome<ClientConfig> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in self.properties_by(mechanism, user)? {
            config.set(name, value);
        }
        Ok(config)
    }
}
