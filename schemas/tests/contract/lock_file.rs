//! `ids.lock`, `avro/` and the table of messages agree, and no released schema was edited.

use std::collections::BTreeSet;
use std::fs;

use schemas::{Codec, MessageType};
use sha2::{Digest, Sha256};

use crate::released::{self, Released};
use crate::samples::hex;

/// The hash that a lock file states: of the file with plain line ends.
fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.replace("\r\n", "\n")))
}

/// The line that a schema needs in `ids.lock`.
fn line(released: &Released) -> String {
    let Released { id, topic, full_name, version, .. } = released;
    format!("{id} {topic}-{full_name} {version} {}", sha256(&released.text()))
}

#[test]
fn no_released_schema_was_edited() {
    for released in released::all() {
        assert_eq!(
            sha256(&released.text()),
            released.sha256,
            "{} was released under id {} and must stay as it was; write a new version beside it",
            released.path().display(),
            released.id,
        );
    }
}

#[test]
fn an_edit_of_a_schema_changes_its_hash() {
    let text = released::all()[0].text();
    assert_ne!(sha256(&text), sha256(&text.replace("\"long\"", "\"int\"")));
    assert_ne!(sha256(&text), sha256(&format!("{text} ")));
}

#[test]
fn ids_are_unique_ascending_and_in_the_private_range() {
    let ids: Vec<u32> = released::all().iter().map(|released| released.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "append new lines with the next id: {ids:?}");
    assert!(ids[0] >= 1_000_000, "lower ids belong to registries");
}

#[test]
fn versions_of_a_subject_count_up_from_one() {
    let released = released::all();
    for one in &released {
        let same = |other: &&Released| (&other.topic, &other.full_name) == (&one.topic, &one.full_name);
        let versions: Vec<u32> = released.iter().filter(same).map(|other| other.version).collect();
        let expected: Vec<u32> = (1..).take(versions.len()).collect();
        assert_eq!(versions, expected, "{}", one.full_name);
    }
}

#[test]
fn every_schema_file_is_released_and_the_other_way_round() {
    let mut files = BTreeSet::new();
    for topic in fs::read_dir(released::folder().join("avro")).unwrap() {
        for file in fs::read_dir(topic.unwrap().path()).unwrap() {
            files.insert(file.unwrap().path());
        }
    }
    let released: BTreeSet<_> = released::all().iter().map(Released::path).collect();
    assert_eq!(files, released, "the files under avro/ (left) are not those that ids.lock lists (right)");
}

#[test]
fn a_schema_has_the_name_that_its_subject_says() {
    for released in released::all() {
        assert_eq!(released.schema().name().unwrap().to_string(), released.full_name, "{}", line(&released));
    }
}

#[test]
fn every_type_is_written_under_the_id_of_its_own_version() {
    let codec = Codec::embedded();
    let all = released::all();
    for message_type in MessageType::ALL {
        let id = codec.schema_id(message_type);
        let released = all.iter().find(|released| released.id == id).unwrap();
        assert_eq!(released.full_name, message_type.full_name());
        assert_eq!(released.version, message_type.schema_version());
        assert_eq!(released.topic, message_type.topic().as_str());
    }
}

#[test]
fn every_released_id_is_known_to_the_codec() {
    let codec = Codec::embedded();
    for released in released::all() {
        let mut payload = vec![0];
        payload.extend(released.id.to_be_bytes());
        assert_eq!(codec.type_of(&payload), Some(released.ce_type().as_str()));
    }
}
