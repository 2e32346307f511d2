//! Schema versions that came after this program was built, from a directory laid out like `schemas/` in the
//! repository: `ids.lock` and `avro/<topic>/<Type>.v<version>.avsc`.
//!
//! An operator copies the newer release's folder, and an old program reads what the new one writes.
//! What is compiled in always wins: a directory that contradicts it is refused. No registry over the network here.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::schema::ResolvedSchema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

use crate::embedded::{EMBEDDED, current};
use crate::lock::{self, Release};
use crate::schema_shape;
use crate::{LoadError, MessageType, limits};

/// A schema that is not compiled in.
pub(crate) struct LoadedSchema {
    pub(crate) release: Release,
    /// `None` for a record that this program has no type for.
    pub(crate) message_type: Option<MessageType>,
    pub(crate) schema: Schema,
}

/// The schemas of a directory that are not compiled in.
pub(crate) fn load(directory: &Path) -> Result<Vec<LoadedSchema>, LoadError> {
    let mut loaded = Vec::new();
    for release in lock::parse(&read(directory.join("ids.lock"))?)? {
        match EMBEDDED.iter().find(|known| known.release.collides_with(&release)) {
            Some(known) if known.release == release => {}
            Some(_) => return Err(release.conflict()),
            None => loaded.push(load_one(directory, release)?),
        }
    }
    Ok(loaded)
}

fn load_one(directory: &Path, release: Release) -> Result<LoadedSchema, LoadError> {
    let path = directory.join(release.path());
    let text = read(path.clone())?;
    let found = lock::fingerprint(&text);
    if found != release.sha256 {
        return Err(LoadError::Changed { path, found, locked: release.sha256 });
    }
    let unusable = |detail: String| LoadError::Schema { path: path.clone(), detail: limits::detail(detail) };
    let schema = Schema::parse_str(&text).map_err(|error| unusable(error.to_string()))?;
    match schema.name() {
        Some(name) if name.to_string() == release.full_name => {}
        _ => return Err(unusable(format!("it is not the record {}", release.full_name))),
    }
    ResolvedSchema::new(&schema).map_err(|error| unusable(error.to_string()))?;
    schema_shape::check(&schema).map_err(|error| unusable(error.to_string()))?;

    let message_type = MessageType::ALL.into_iter().find(|known| known.full_name() == release.full_name);
    if let Some(message_type) = message_type {
        if message_type.topic().as_str() != release.topic {
            return Err(release.conflict());
        }
        let compatibility = SchemaCompatibility::can_read(&schema, &current(message_type).schema);
        let detail = match compatibility {
            Ok(Compatibility::Full) => None,
            Ok(Compatibility::Partial) => Some("some of its values have no place in the type".to_owned()),
            Err(error) => Some(limits::detail(error.to_string())),
        };
        if let Some(detail) = detail {
            return Err(LoadError::Incompatible { path, message_type, detail });
        }
    }
    Ok(LoadedSchema { release, message_type, schema })
}

fn read(path: PathBuf) -> Result<String, LoadError> {
    fs::read_to_string(&path).map_err(|source| LoadError::Read { path, source })
}
