//! The lock file `ids.lock`: which schema id means which version of which subject, and what its file held.
//!
//! A subject is `<topic>-<record full name>` (TopicRecordNameStrategy). The same file format serves what is compiled
//! in and a directory that is loaded at run time.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::{LoadError, limits};

/// One released schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) id: u32,
    /// The topic's name without a deployment's prefix.
    pub(crate) topic: String,
    pub(crate) full_name: String,
    pub(crate) version: u32,
    /// In lower-case hexadecimal.
    pub(crate) sha256: String,
}

impl Release {
    pub(crate) fn subject(&self) -> String {
        format!("{}-{}", self.topic, self.full_name)
    }

    pub(crate) fn ce_type(&self) -> String {
        format!("{}.v{}", self.full_name, self.version)
    }

    /// Where the file is, from the directory that the lock file is in.
    pub(crate) fn path(&self) -> String {
        let name = self.full_name.rsplit('.').next().unwrap_or(&self.full_name);
        format!("avro/{}/{name}.v{}.avsc", self.topic, self.version)
    }

    /// Whether both claim the same id or the same version of a subject.
    pub(crate) fn collides_with(&self, other: &Release) -> bool {
        let same_version = self.version == other.version && self.full_name == other.full_name;
        self.id == other.id || (same_version && self.topic == other.topic)
    }

    pub(crate) fn conflict(&self) -> LoadError {
        LoadError::Conflict { id: self.id, subject: self.subject(), version: self.version }
    }

    /// `<id> <topic>-<full name> <version> <sha-256>`, or nothing.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let id = words.next()?.parse().ok()?;
        let (topic, full_name) = words.next()?.rsplit_once('-')?;
        let version = words.next()?.parse().ok()?;
        let sha256 = words.next()?;
        let is_name = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            // No `..` and no `/`: names become paths.
            !text.is_empty() && text.chars().all(plain) && !text.contains("..") && !text.starts_with('.')
        };
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (words.next().is_none() && is_name(topic) && is_name(full_name) && is_hash).then(|| Release {
            id,
            topic: topic.to_owned(),
            full_name: full_name.to_owned(),
            version,
            sha256: sha256.to_owned(),
        })
    }
}

/// The releases that a lock file lists, in its order. Empty lines and lines that begin with `#` are comments.
pub(crate) fn parse(text: &str) -> Result<Vec<Release>, LoadError> {
    let mut ids = HashSet::new();
    let mut versions = HashSet::new();
    let mut releases = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let release =
            Release::parse(line).ok_or_else(|| LoadError::Line { line: index + 1, text: limits::detail(line) })?;
        if !ids.insert(release.id) || !versions.insert((release.subject(), release.version)) {
            return Err(release.conflict());
        }
        releases.push(release);
    }
    Ok(releases)
}

/// The SHA-256 of a schema file in lower-case hexadecimal; a checkout with other line ends gives the same.
pub(crate) fn fingerprint(file: &str) -> String {
    let digest = Sha256::digest(file.replace("\r\n", "\n").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "6ee1d4a07f4a97df97673c31032e76805fdb61237b0d3b71daaddbeeeb19ee13";

    #[test]
    fn a_line_names_id_topic_record_version_and_hash() {
        let releases = parse(&format!("# comment\n\n7 order.commands.v1-shop.order.PlaceOrder 2 {HASH}\n")).unwrap();
        assert_eq!(releases.len(), 1);
        assert_eq!(releases[0].id, 7);
        assert_eq!(releases[0].ce_type(), "shop.order.PlaceOrder.v2");
        assert_eq!(releases[0].path(), "avro/order.commands.v1/PlaceOrder.v2.avsc");
        assert_eq!(releases[0].subject(), "order.commands.v1-shop.order.PlaceOrder");
    }

    #[test]
    fn other_lines_are_refused_with_their_number() {
        for line in [
            "x order.commands.v1-shop.A 1 HASH",
            "1 order.commands.v1 1 HASH",
            "1 order.commands.v1-shop.A one HASH",
            "1 order.commands.v1-shop.A 1 abc",
            "1 order.commands.v1-shop.A 1 HASH more",
            "1 ../../etc-shop.A 1 HASH",
            "1 a/b-shop.A 1 HASH",
        ] {
            let text = format!("# first\n{}\n", line.replace("HASH", HASH));
            assert!(matches!(parse(&text), Err(LoadError::Line { line: 2, .. })), "{line}");
        }
    }

    #[test]
    fn an_id_or_a_version_that_stands_twice_is_a_conflict() {
        let twice = format!("1 t-a.A 1 {HASH}\n1 t-a.B 1 {HASH}\n");
        assert!(matches!(parse(&twice), Err(LoadError::Conflict { id: 1, .. })));
        let twice = format!("1 t-a.A 1 {HASH}\n2 t-a.A 1 {HASH}\n");
        assert!(matches!(parse(&twice), Err(LoadError::Conflict { id: 2, .. })));
    }

    #[test]
    fn line_ends_do_not_change_the_fingerprint() {
        assert_eq!(fingerprint("{\r\n}\r\n"), fingerprint("{\n}\n"));
        assert_eq!(fingerprint(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
