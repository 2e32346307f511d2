//! From options and the daemons' configuration file to a connection: flag over environment over file.
//!
//! Of the file only what concerns Kafka is looked at; the daemons check the rest.

use std::collections::BTreeMap;
use std::path::Path;

use super::options::KafkaOptions;
use super::output::Failure;
use crate::Connection;
use crate::settings::kafka_properties;

const DEFAULT_BROKERS: &str = "localhost:9092";

/// What the file says about Kafka: `brokers`, `topic_prefix`, and librdkafka's properties in `[kafka]`.
#[derive(Debug, Default, PartialEq)]
struct FileSettings {
    brokers: Option<String>,
    topic_prefix: Option<String>,
    properties: BTreeMap<String, toml::Value>,
}

/// The connection that the options and the file describe.
pub(super) fn connection(options: &KafkaOptions) -> Result<Connection, Failure> {
    let file = match &options.config {
        Some(path) => read(path)?,
        None => FileSettings::default(),
    };
    combine(options, file)
}

fn combine(options: &KafkaOptions, file: FileSettings) -> Result<Connection, Failure> {
    let brokers = options.brokers.clone().or(file.brokers).unwrap_or_else(|| DEFAULT_BROKERS.to_owned());
    let prefix = options.topic_prefix.clone().or(file.topic_prefix).unwrap_or_default();
    let properties = kafka_properties(&file.properties, &options.property);
    let mut connection = Connection::new(brokers).with_topic_prefix(prefix);
    for (name, value) in properties.map_err(|error| Failure::Words(error.to_string()))? {
        // The file is the daemons': what it says about their groups and offsets does not concern a client.
        let asked = options.property.iter().any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name));
        if asked || !Connection::is_fixed(&name) {
            connection = connection.with_property(&name, &value)?;
        }
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
    let properties = match whole.get("kafka") {
        None => BTreeMap::new(),
        Some(value) => value.as_table().ok_or("kafka: expected a table")?.clone().into_iter().collect(),
    };
    Ok(FileSettings { brokers: text("brokers")?, topic_prefix: text("topic_prefix")?, properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemons_file_says_about_kafka_is_read_and_the_rest_left_alone() {
        let text = r#"
            database_url = "postgres://x"
            brokers = "a:1,b:2"
            topic_prefix = "p-"
            [kafka]
            "security.protocol" = "SSL"
            "linger.ms" = 20
        "#;
        let settings = parse(text).unwrap();
        assert_eq!(settings.brokers.as_deref(), Some("a:1,b:2"));
        assert_eq!(settings.topic_prefix.as_deref(), Some("p-"));
        assert_eq!(settings.properties.keys().collect::<Vec<_>>(), ["linger.ms", "security.protocol"]);
        assert_eq!(parse("").unwrap(), FileSettings::default());
        assert!(parse("kafka = 3").unwrap_err().contains("kafka"));
        assert!(parse("brokers = 3").unwrap_err().contains("brokers"));
    }

    #[test]
    fn a_flag_wins_over_the_file_and_what_the_file_fixes_for_daemons_is_passed_over() {
        let file = "brokers = \"file:1\"\ntopic_prefix = \"f-\"\n[kafka]\n\"group.id\" = \"x\"";
        let from_file = combine(&KafkaOptions::default(), parse(file).unwrap());
        let flag = KafkaOptions { brokers: Some("flag:1".to_owned()), ..KafkaOptions::default() };
        let with_flag = combine(&flag, parse(file).unwrap());
        assert_eq!(from_file.unwrap().brokers(), "file:1");
        let with_flag = with_flag.unwrap();
        assert_eq!((with_flag.brokers(), with_flag.topic_prefix()), ("flag:1", "f-"));
    }

    #[test]
    fn a_property_needs_a_value_and_must_be_free_to_choose() {
        let bad = KafkaOptions { property: vec!["linger.ms".to_owned()], ..KafkaOptions::default() };
        assert!(connection(&bad).unwrap_err().to_string().contains("KEY=VALUE"));
        let fixed = KafkaOptions { property: vec!["acks=1".to_owned()], ..KafkaOptions::default() };
        assert!(connection(&fixed).unwrap_err().to_string().contains("acks"));
    }
}
