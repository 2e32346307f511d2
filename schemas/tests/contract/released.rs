//! Every released schema as `ids.lock` lists it, read without the crate's own code.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use schemas::{MessageType, TopicName};

/// One line of `ids.lock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Released {
    pub(crate) id: u32,
    pub(crate) topic: String,
    pub(crate) full_name: String,
    pub(crate) version: u32,
    pub(crate) sha256: String,
}

impl Released {
    pub(crate) fn ce_type(&self) -> String {
        format!("{}.v{}", self.full_name, self.version)
    }

    pub(crate) fn topic(&self) -> TopicName {
        TopicName::parse(&self.topic).unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        let name = self.full_name.rsplit('.').next().unwrap();
        folder().join("avro").join(&self.topic).join(format!("{name}.v{}.avsc", self.version))
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.path().display()))
    }

    pub(crate) fn schema(&self) -> Schema {
        Schema::parse_str(&self.text()).unwrap_or_else(|error| panic!("{}: {error}", self.path().display()))
    }
}

/// The folder that a newer program would be given as its directory of schemas.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The version of a type that is written.
pub(crate) fn newest(message_type: MessageType) -> Released {
    all().into_iter().rfind(|released| released.full_name == message_type.full_name()).unwrap()
}

/// In the order of the file.
pub(crate) fn all() -> Vec<Released> {
    let text = fs::read_to_string(folder().join("ids.lock")).unwrap();
    let released: Vec<Released> = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [id, subject, version, sha256] = words[..] else { panic!("not a line of ids.lock: {line}") };
            let (topic, full_name) = subject.rsplit_once('-').unwrap();
            Released {
                id: id.parse().unwrap(),
                topic: topic.to_owned(),
                full_name: full_name.to_owned(),
                version: version.parse().unwrap(),
                sha256: sha256.to_owned(),
            }
        })
        .collect();
    assert!(!released.is_empty());
    released
}
