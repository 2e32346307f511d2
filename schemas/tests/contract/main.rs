//! The contract, checked against its own files: ids, bytes, compatibility, shapes, and what hostile bytes do.
//!
//! These tests read `ids.lock`, `avro/` and `tests/golden/` as files and look at the crate only from outside, as any
//! other program does.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod bounds;
mod compatibility;
mod document;
mod golden_bytes;
mod hostile_bytes;
mod lock_file;
mod newer_versions;
mod older_versions;
mod record_shapes;
mod released;
mod round_trip;
mod samples;
mod symbols;
mod texts;
mod topology;
