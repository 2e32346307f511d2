//! From options and the daemons' configuration file to a connection: flag over environment over file.
//!
//! Of the file only what concerns Kafka is looked at; the daemons check the rest.

use std::path::Path;

use super::options::KafkaOptions;
use super::output::Failure;
use crate::client::Connection;

const DEFAULT_BROKERS: &str = "localhost:9092";

/// What the file says about Kafka: `brokers`, `topic_prefix`, and librdkafka's properties in `[kafka]`.
#[derive(Debug, Default, PartialEq, Eq)]
struct FileSettings {
    brokers: Option<String>,
    topic_prefix: Option<String>,
    properties: Vec<(String, String)>,
}

/// The connection that the options and the file describe.
pub(super) fn connection(options: &KafkaOptions) -> Result<Connection, Failure> {
    let file = match &options.config {
        Some(path) => read(path)?,
        None => FileSettings::default(),
    };
    let brokers = options.brokers.clone().or(file.brokers).unwrap_or_else(|| DEFAULT_BROKERS.to_owned());
    let prefix = options.topic_prefix.clone().or(file.topic_prefix).unwrap_or_default();
    let mut connection = Connection::new(brokers).with_topic_prefix(prefix);
    for (name, value) in file.properties {
        connection = connection.with_property(&name, &value)?;
    }
    for property in &options.property {
        let Some((name, value)) = property.split_once('=') else {
            return Err(Failure::Words(format!("-X {property}: expected KEY=VALUE, such as -X linger.ms=20")));
        };
        connection = connection.with_property(name.trim(), value)?;
    }
    Ok(connection)
}

fn read(path: &Path) -> Result<FileSettings, Failure> {
    let named = |words: String| Failure::Words(format!("{}: {words}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    parse(&text).map_err(named)
}

fn parse(text: &str) -> Result<FileSettings, String> {
    let whole: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let text = |name: &str| match whole.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(|text| Some(text.to_owned())).ok_or(format!("{name}: expected a text")),
    };
    let mut settings =
        FileSettings { brokers: text("brokers")?, topic_prefix: text("topic_prefix")?, properties: Vec::new() };
    let table = match whole.get("kafka") {
        None => return Ok(settings),
        Some(value) => value.as_table().ok_or("kafka: expected a table")?,
    };
    for (name, value) in table {
        let text = scalar(value).ok_or_else(|| format!("kafka.{name}: expected a text, a number or true/false"))?;
        settings.properties.push((name.clone(), text));
    }
    Ok(settings)
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kafka_table_of_the_daemons_file_is_read_and_the_rest_left_alone() {
        let text = r#"
            database_url = "postgres://x"
            brokers = "a:1,b:2"
            topic_prefix = "p-"
            [kafka]
            "security.protocol" = "SSL"
            "linger.ms" = 20
            "enable.ssl.certificate.verification" = false
        "#;
        let settings = parse(text).unwrap();
        assert_eq!(settings.brokers.as_deref(), Some("a:1,b:2"));
        assert_eq!(settings.topic_prefix.as_deref(), Some("p-"));
        let mut properties = settings.properties;
        properties.sort();
        let expected =
            [("enable.ssl.certificate.verification", "false"), ("linger.ms", "20"), ("security.protocol", "SSL")];
        assert_eq!(properties, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(parse("").unwrap(), FileSettings::default());
        assert!(parse("kafka = 3").unwrap_err().contains("kafka"));
        assert!(parse("brokers = 3").unwrap_err().contains("brokers"));
        assert!(parse("[kafka]\nx = [1]").unwrap_err().contains("kafka.x"));
    }

    #[test]
    fn a_flag_wins_and_a_property_needs_a_value() {
        let options = KafkaOptions { brokers: Some("f:1".to_owned()), ..KafkaOptions::default() };
        assert_eq!(connection(&options).unwrap().brokers(), "f:1");
        let bad = KafkaOptions { property: vec!["linger.ms".to_owned()], ..KafkaOptions::default() };
        assert!(connection(&bad).unwrap_err().to_string().contains("KEY=VALUE"));
        let fixed = KafkaOptions { property: vec!["acks=1".to_owned()], ..KafkaOptions::default() };
        assert!(connection(&fixed).unwrap_err().to_string().contains("acks"));
    }
}
