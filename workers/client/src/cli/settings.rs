//! From options and the daemons' configuration file to the way to the pipeline: flag over environment over file.
//!
//! Of the file only what concerns Kafka is looked at; the daemons check the rest.

use clap::CommandFactory as _;
use grammar::{Exit, Layered, Secret, SettingsFile, StrangeKeys};

use super::options::Options;
use super::output::Failure;
use super::way::Way;
use crate::{Connection, HttpDoor};

const LAYERED: Layered = Layered {
    never: &["config", "timeout", "color", "api", "api_key", "api_key_file"],
    tables: &["kafka"],
    strange: StrangeKeys::PassOver,
};

/// The options, with what the file that they name says about Kafka.
pub(super) fn read(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<(Options, SettingsFile), Exit> {
    grammar::parse_layered(Options::command(), arguments, &LAYERED)
}

/// The way that the options and the file describe: the API where one is given.
pub(super) fn way(options: &Options, file: &SettingsFile) -> Result<Way, Failure> {
    let Some(url) = options.api.api.as_deref().filter(|url| !url.is_empty()) else {
        return Ok(Way::Kafka(connection(options, file)?));
    };
    let key = Secret::given(options.api.api_key.as_ref(), options.api.api_key_file.as_deref())?;
    let key = key.filter(|key| !key.expose().is_empty());
    Ok(Way::Http(HttpDoor::open(url, key.as_ref(), options.wait.limit())?))
}

/// The connection that the options and the file describe.
fn connection(options: &Options, file: &SettingsFile) -> Result<Connection, Failure> {
    let access = &options.kafka.access;
    let mut connection = Connection::new(&options.kafka.brokers)
        .with_topic_prefix(&options.kafka.topic_prefix)
        .with_answer_wait(options.wait.limit());
    for (name, value) in access.properties(file.kafka()?)? {
        // The file is the daemons': what it says about their groups and offsets does not concern a client.
        if access.names(&name) || !Connection::is_fixed(&name) {
            connection = connection.with_property(&name, &value)?;
        }
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these arguments and this file.
    fn connected(arguments: &[&str], file: &str) -> Result<Connection, Failure> {
        let path = std::env::temp_dir().join(format!("orders-config-{}-{}.toml", std::process::id(), file.len()));
        std::fs::write(&path, file).unwrap();
        let config = path.display().to_string();
        let words = ["orders", "--config", &config].into_iter().chain(arguments.iter().copied()).chain(["show", "1"]);
        let read = read(words.map(Into::into));
        std::fs::remove_file(&path).unwrap();
        let (options, file) = read.map_err(|exit| Failure::Words(format!("ended with {exit:?}")))?;
        connection(&options, &file)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_what_the_file_has_for_daemons_is_passed_over() {
        let file = "database_url = \"postgres://x\"\nbrokers = \"file:1\"\ntopic_prefix = \"f-\"\n\
                    [kafka]\n\"group.id\" = \"x\"\n\"linger.ms\" = 20\n";
        let from_file = connected(&[], file).unwrap();
        assert_eq!((from_file.brokers(), from_file.topic_prefix()), ("file:1", "f-"));
        assert!(format!("{from_file:?}").contains("linger.ms"));
        let with_flag = connected(&["--brokers", "flag:1"], file).unwrap();
        assert_eq!((with_flag.brokers(), with_flag.topic_prefix()), ("flag:1", "f-"));
        assert!(connected(&[], "kafka = 3").is_err());
        assert!(connected(&[], "brokers = [3]").is_err());
    }

    #[test]
    fn a_property_needs_a_value_and_must_be_free_to_choose() {
        let said = |property: &str| connected(&["-X", property], "").unwrap_err().to_string();
        assert!(said("linger.ms").contains("NAME=VALUE"));
        assert!(said("acks=1").contains("acks"));
    }
}
