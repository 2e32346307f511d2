//! Messages sent in a transaction that is the caller's own: of tokio-postgres, or of any other driver.
//!
//! One statement inserts the messages into `outbox_sends`; triggers refuse at once what cannot be published, and lock the
//! lanes and append when the transaction commits, so nothing that the caller does can come in between. What
//! [`Transaction::commit`](crate::Transaction::commit) does in one round trip without a trigger takes a call per message
//! inside the database here, and a NOTIFY: the price of keeping one's own driver, pool and savepoints.
//!
//! Deliberately absent: drivers. [`send_sql`] is the statement and [`SendColumns`] its parameters, in types that every
//! driver has; `examples/sqlx` shows them with sqlx.

use std::collections::BTreeMap;

use tokio_postgres::GenericClient;
use tokio_postgres::types::{ToSql, Type};

use crate::append::Batch;
use crate::error::OutboxError;
use crate::message::{Kind, OutboxMessage, Target, stored_causation};
use crate::sql;
use crate::store::Outbox;

const SEND: &str = "insert into {schema}.outbox_sends \
        (topic, key, payload, type, id, headers, partition, time, causation, traceparent) \
    select topic, key, payload, type, id::uuid, headers::jsonb, partition, \
        timestamptz 'epoch' + time_us * interval '1 microsecond', causation, traceparent \
    from unnest($1::text[], $2::bytea[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::int4[], $8::int8[], \
        $9::text[], $10::text[]) with ordinality as given \
        (topic, key, payload, type, id, headers, partition, time_us, causation, traceparent, place) \
    order by place";

const TYPES: [Type; 10] = [
    Type::TEXT_ARRAY,
    Type::BYTEA_ARRAY,
    Type::BYTEA_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT4_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
];

/// The statement that sends any number of messages, once the transaction that runs it commits. Its ten parameters are the
/// fields of [`SendColumns`], in their order. It gives no rows.
///
/// # Errors
/// [`OutboxError::Configuration`] when the schema's name cannot be used.
pub fn send_sql(schema: &str) -> Result<String, OutboxError> {
    Ok(sql::in_schema(SEND, &sql::quoted_schema(schema)?))
}

/// Messages as the parameters of [`send_sql`], `$1` to `$10` in the order of the fields: arrays of texts, bytes and integers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendColumns {
    /// `$1`, `text[]`: full topic names.
    pub topics: Vec<String>,
    /// `$2`, `bytea[]`: record keys.
    pub keys: Vec<Option<Vec<u8>>>,
    /// `$3`, `bytea[]`: record values.
    pub payloads: Vec<Option<Vec<u8>>>,
    /// `$4`, `text[]`: `ce_type`; null for raw records.
    pub types: Vec<Option<String>>,
    /// `$5`, `text[]`: ids, as UUIDs are written.
    pub ids: Vec<String>,
    /// `$6`, `text[]`: headers, each an object of JSON.
    pub headers: Vec<Option<String>>,
    /// `$7`, `int4[]`: partitions; null for the one of the key.
    pub partitions: Vec<Option<i32>>,
    /// `$8`, `int8[]`: times in microseconds since 1970-01-01 UTC.
    pub times_us: Vec<i64>,
    /// `$9`, `text[]`: causations.
    pub causations: Vec<Option<String>>,
    /// `$10`, `text[]`: `traceparent`s.
    pub trace_parents: Vec<Option<String>>,
}

impl SendColumns {
    /// The messages, in their order.
    ///
    /// # Errors
    /// [`OutboxError::SentHeader`]: headers travel as an object of texts, which has no name twice and no bytes that are not
    /// UTF-8; [`Transaction::commit`](crate::Transaction::commit) takes those. The order of headers is not kept.
    pub fn of(messages: &[OutboxMessage]) -> Result<Self, OutboxError> {
        let mut columns = Self::default();
        for message in messages {
            columns.push(message)?;
        }
        Ok(columns)
    }

    fn push(&mut self, message: &OutboxMessage) -> Result<(), OutboxError> {
        let (ce_type, causation, trace_parent) = match &message.kind {
            Kind::Event { ce_type, causation, trace_parent } => {
                (Some(ce_type.to_string()), stored_causation(causation.as_ref()), trace_parent.clone())
            }
            Kind::Raw => (None, None, None),
        };
        self.topics.push(message.topic.to_string());
        self.keys.push(message.key.as_ref().map(|key| key.to_vec()));
        self.payloads.push(message.payload.as_ref().map(|payload| payload.to_vec()));
        self.types.push(ce_type);
        self.ids.push(message.id.to_string());
        self.headers.push(json_object(&message.headers)?);
        self.partitions.push(match message.partition {
            Target::ByKey => None,
            Target::Given(partition) => Some(partition),
        });
        self.times_us.push(message.time.as_microsecond());
        self.causations.push(causation.map(ToString::to_string));
        // No column holds U+0000, and no valid one has it.
        self.trace_parents.push(trace_parent.filter(|text| !text.contains('\0')));
        Ok(())
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 10] {
        [
            &self.topics,
            &self.keys,
            &self.payloads,
            &self.types,
            &self.ids,
            &self.headers,
            &self.partitions,
            &self.times_us,
            &self.causations,
            &self.trace_parents,
        ]
    }
}

impl Outbox {
    /// Sends messages in the transaction that is open on `client`: one of tokio-postgres, which the caller begins and ends
    /// (of a deadpool one: `&*transaction`). They are published if that commits, in the order in which transactions commit. Outside of a
    /// transaction the statement is one by itself. One round trip.
    ///
    /// Begin the transaction with READ COMMITTED, the default; anything else is refused. Locks on lanes are taken at the
    /// commit, so a transaction may be as long as it has to be.
    ///
    /// # Errors
    /// When a message cannot be published; what is found before the statement is sent leaves the transaction as it was, what
    /// the database finds ([`SQLSTATE_REFUSED`](crate::SQLSTATE_REFUSED)) leaves it to be rolled back.
    pub async fn send<C: GenericClient + Sync>(
        &self,
        client: &C,
        messages: &[OutboxMessage],
    ) -> Result<(), OutboxError> {
        if messages.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        Batch::new(messages, &shared.lanes, shared.config.max_message_bytes, shared.fixed_bytes)?;
        let columns = SendColumns::of(messages)?;
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = columns.parameters().into_iter().zip(TYPES).collect();
        let sent = client.execute_typed(&shared.send_sql, &parameters).await;
        sent.map(|_| ()).map_err(OutboxError::database("sending messages"))
    }
}

fn json_object(headers: &[(String, Option<Vec<u8>>)]) -> Result<Option<String>, OutboxError> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut object: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for (name, value) in headers {
        let refused = |reason: &'static str| OutboxError::SentHeader { name: name.chars().take(64).collect(), reason };
        let value = value.as_deref().map(std::str::from_utf8).transpose();
        let value = value.map_err(|_| refused("its value is no UTF-8"))?;
        if name.contains('\0') || value.is_some_and(|value| value.contains('\0')) {
            return Err(refused("it has U+0000"));
        }
        if object.insert(name, value).is_some() {
            return Err(refused("the message has it twice"));
        }
    }
    let text = serde_json::to_string(&object);
    text.map(Some).map_err(|_| OutboxError::CorruptRow { what: "headers to be sent" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_an_object_of_texts_or_refused() {
        let message = OutboxMessage::event("t", "T").key("k").header("b", "1").header("a", "\"");
        let columns = SendColumns::of(std::slice::from_ref(&message)).unwrap();
        assert_eq!(columns.headers, [Some(r#"{"a":"\"","b":"1"}"#.to_owned())]);
        for (name, value, reason) in [("b", &b"2"[..], "twice"), ("c", b"\xff", "UTF-8"), ("c", b"a\0", "U+0000")] {
            let refused = SendColumns::of(&[message.clone().header(name, value)]).unwrap_err();
            assert!(matches!(refused, OutboxError::SentHeader { .. }) && refused.to_string().contains(reason));
        }
    }

    #[test]
    fn every_column_has_a_row_per_message() {
        let cause = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
        let messages = [
            OutboxMessage::event("t", "T").key("k").payload("p").caused_by(cause).trace_parent("00-x"),
            OutboxMessage::raw("d").partition(2).time(jiff::Timestamp::UNIX_EPOCH),
        ];
        let columns = SendColumns::of(&messages).unwrap();
        assert_eq!(columns.topics, ["t", "d"]);
        assert_eq!(columns.keys, [Some(b"k".to_vec()), None]);
        assert_eq!(columns.payloads, [Some(b"p".to_vec()), None]);
        assert_eq!(columns.types, [Some("T".to_owned()), None]);
        assert_eq!(columns.ids, messages.each_ref().map(|message| message.id.to_string()));
        assert_eq!(columns.headers, [None, None]);
        assert_eq!(columns.partitions, [None, Some(2)]);
        assert_eq!(columns.times_us[1], 0);
        assert_eq!(columns.causations, [Some(cause.to_owned()), None]);
        assert_eq!(columns.trace_parents, [Some("00-x".to_owned()), None]);
    }
}
