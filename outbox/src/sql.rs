//! Names and fragments that all statements of the crate share.
//!
//! Every statement is formatted once, when the outbox is opened; nothing here is built per message.

use crate::error::OutboxError;

/// Longest accepted schema name: `outbox_` in front of it must still be a channel name (63 bytes).
const MAX_SCHEMA_BYTES: usize = 56;

/// Checks a schema's name: 1 to 56 lower-case letters, digits and `_`, no digit first, so that nobody ever needs to quote
/// it by hand. The one rule for all programs that name a schema of an outbox.
///
/// # Errors
/// [`OutboxError::Configuration`] with the name and the rule.
pub fn check_schema_name(schema: &str) -> Result<(), OutboxError> {
    let fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let starts = schema.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    if !starts || schema.len() > MAX_SCHEMA_BYTES || !schema.bytes().all(fit) {
        return Err(OutboxError::Configuration {
            reason: format!("schema `{schema}` must be 1 to {MAX_SCHEMA_BYTES} lower-case letters, digits or `_`"),
        });
    }
    Ok(())
}

/// An expression of SQL for the partition that a key goes to ([`crate::Target::ByKey`]): `key` is an expression of type
/// `bytea`, `partitions` one of type `int`. For programs that keep a partition beside a key in tables of their own.
///
/// # Errors
/// [`OutboxError::Configuration`] when the schema's name cannot be used.
pub fn partition_sql(schema: &str, key: &str, partitions: &str) -> Result<String, OutboxError> {
    Ok(format!("{}.outbox_partition({key}, {partitions})", quoted_schema(schema)?))
}

/// A schema's name, checked and in quotes.
pub(crate) fn quoted_schema(schema: &str) -> Result<String, OutboxError> {
    check_schema_name(schema).map(|()| format!("\"{schema}\""))
}

/// First key of all advisory locks of the outbox in this schema: the oid of its lane table, moved into the range of
/// int4. Looked up by every statement itself and not kept by the program: after a restore the oid is another one, and
/// two writers with different keys would not exclude each other.
pub(crate) fn space(quoted_schema: &str) -> String {
    format!("('{quoted_schema}.outbox_lanes'::regclass::oid::int8 - 2147483648)::int4")
}

/// Replaces the placeholders of a statement's text.
pub(crate) fn in_schema(text: &str, quoted_schema: &str) -> String {
    text.replace("{space_of_lanes}", &space(quoted_schema)).replace("{schema}", quoted_schema)
}

/// Second key of the lock that makes a relay the leader; lanes begin at 65,536.
pub(crate) const LEADER_KEY: i32 = 0;

/// Name of the channel on which commits are announced.
pub(crate) fn channel(schema: &str) -> String {
    format!("outbox_{schema}")
}
