//! How a client gets into a Kafka cluster: librdkafka's properties and the secrets among them.
//!
//! A property comes from the `[kafka]` table of a file, from `-X`, or, where it is a secret, from the environment or a file of
//! its own. Where the brokers are is each program's own option: one may do without them, another not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::properties::SettingError;
use crate::secret::Secret;

/// Where Kafka is when nobody says it, for programs that people run by hand.
pub const DEFAULT_BROKERS: &str = "localhost:9092";

/// librdkafka's properties, the secrets among them.
#[derive(Debug, Clone, Default, Args)]
pub struct KafkaAccess {
    /// A librdkafka property, for TLS, SASL and tuning, such as -X security.protocol=SASL_SSL; may be repeated.
    #[arg(short = 'X', alias = "kafka", value_name = "NAME=VALUE", global = true)]
    pub properties: Vec<String>,
    /// The SASL password; a command line would show it to every user of the machine.
    #[arg(long, env = "KAFKA_SASL_PASSWORD", value_name = "TEXT", global = true, hide = true, hide_env_values = true)]
    kafka_sasl_password: Option<Secret>,
    /// File that holds the SASL password.
    #[arg(long, env = "KAFKA_SASL_PASSWORD_FILE", value_name = "FILE", global = true)]
    kafka_sasl_password_file: Option<PathBuf>,
    /// File that holds the OAUTHBEARER token; it is read again every minute.
    #[arg(long, env = "KAFKA_SASL_TOKEN_FILE", value_name = "FILE", global = true)]
    kafka_sasl_token_file: Option<String>,
}

impl KafkaAccess {
    /// All properties: those of a file, over them `-X`, over these the secrets.
    ///
    /// # Errors
    /// A property has no `=`, or the password's file cannot be read.
    pub fn properties(&self, of_file: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, SettingError> {
        let mut properties = of_file;
        for pair in &self.properties {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| SettingError::Setting(format!("-X {pair}: give NAME=VALUE")))?;
            properties.insert(name.to_owned(), value.to_owned());
        }
        let password = Secret::given(self.kafka_sasl_password.as_ref(), self.kafka_sasl_password_file.as_deref())?;
        if let Some(password) = password {
            properties.insert("sasl.password".to_owned(), password.expose().to_owned());
        }
        if let Some(file) = &self.kafka_sasl_token_file {
            let (name, value) = outbox::kafka::token_property(file);
            properties.insert(name.to_owned(), value);
        }
        Ok(properties)
    }

    /// Whether `-X` names this property.
    pub fn names(&self, property: &str) -> bool {
        self.properties.iter().any(|pair| pair.split_once('=').is_some_and(|(name, _)| name == property))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        access: KafkaAccess,
    }

    fn properties(arguments: &[&str]) -> Result<BTreeMap<String, String>, SettingError> {
        let words = std::iter::once(&"program").chain(arguments);
        let of_file = BTreeMap::from([("linger.ms", "1"), ("acks", "all")].map(|(n, v)| (n.to_owned(), v.to_owned())));
        Program::try_parse_from(words).unwrap().access.properties(of_file)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_its_old_name_is_still_taken() {
        for flag in ["-X", "--kafka"] {
            let found = properties(&[flag, "linger.ms=a=b"]).unwrap();
            assert_eq!((found["linger.ms"].as_str(), found["acks"].as_str()), ("a=b", "all"), "{flag}");
        }
    }

    #[test]
    fn a_property_without_a_value_is_named() {
        let error = properties(&["-X", "linger.ms"]).unwrap_err().to_string();
        assert_eq!(error, "-X linger.ms: give NAME=VALUE");
    }

    #[test]
    fn a_password_is_a_property_and_is_not_shown() {
        let program = Program::try_parse_from(["program", "--kafka-sasl-password", "hush"]).unwrap();
        assert_eq!(program.access.properties(BTreeMap::new()).unwrap()["sasl.password"], "hush");
        assert!(!format!("{program:?}").contains("hush"));
    }
}
