//! The schemas that are compiled in: the files under `avro/`, under the ids of `ids.lock`.
//!
//! Parsed once per process. That they parse, that the lock file lists each of them and nothing else, and that none
//! was edited is what `tests/contract/lock_file.rs` checks, so a failure here is a build that no test ever ran on.

use std::sync::LazyLock;

use apache_avro::Schema;

use crate::contract::contract;
use crate::lock::{self, Release};
use crate::{MessageType, limits};

const LOCK: &str = include_str!("../ids.lock");

/// A schema that is compiled in.
pub(crate) struct EmbeddedSchema {
    pub(crate) release: Release,
    pub(crate) message_type: MessageType,
    pub(crate) schema: Schema,
}

impl EmbeddedSchema {
    /// Whether it is the version that the Rust type has the fields of.
    pub(crate) fn is_current(&self) -> bool {
        self.release.version == self.message_type.schema_version()
    }
}

macro_rules! files {
    ($(
        $(#[$doc:meta])*
        $topic:ident $group:ident $kind:ident $topic_name:literal $namespace:literal ($key:ident: $key_type:ident) {
            $($name:ident $version:literal [$($older:literal)*] $versioned:ident;)+
        }
    )+) => {
        const FILES: &[(MessageType, u32, &str)] = &[$($(
            (MessageType::$name, $version, files!(@text $topic_name $name $version)),
            $((MessageType::$name, $older, files!(@text $topic_name $name $older)),)*
        )+)+];
    };
    (@text $topic_name:literal $name:ident $version:literal) => {
        include_str!(concat!("../avro/", $topic_name, "/", stringify!($name), ".v", stringify!($version), ".avsc"))
    };
}

contract!(files);

/// Every schema that is compiled in, ascending by id.
pub(crate) static EMBEDDED: LazyLock<Vec<EmbeddedSchema>> = LazyLock::new(|| {
    // Once per process, before anything is decoded: what a length in a payload may make the Avro library allocate.
    apache_avro::util::max_allocation_bytes(limits::MAX_ALLOCATION_BYTES);
    let mut schemas: Vec<EmbeddedSchema> = lock::parse(LOCK)
        .expect("tests/contract/lock_file.rs reads the same ids.lock")
        .into_iter()
        .map(|release| {
            let (message_type, _, text) = FILES
                .iter()
                .find(|(message_type, version, _)| {
                    message_type.full_name() == release.full_name && *version == release.version
                })
                .expect("tests/contract/lock_file.rs compares ids.lock with the table of messages");
            let schema = Schema::parse_str(text).expect("tests/contract/lock_file.rs parses the same schemas");
            EmbeddedSchema { release, message_type: *message_type, schema }
        })
        .collect();
    schemas.sort_by_key(|schema| schema.release.id);
    schemas
});

/// The schema that this type is written with.
pub(crate) fn current(message_type: MessageType) -> &'static EmbeddedSchema {
    EMBEDDED
        .iter()
        .find(|schema| schema.message_type == message_type && schema.is_current())
        .expect("tests/contract/lock_file.rs compares ids.lock with the table of messages")
}
