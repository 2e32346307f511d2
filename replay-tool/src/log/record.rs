//! A record as it was read, and what its headers say.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use outbox::inbox::place::{Place, RESTORED_FROM_HEADER, Restoration};
use outbox::position::{ID_HEADER, LAST_EQUAL_HEADER, POSITION_HEADER, Position};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};
use schemas::ServiceName;
use uuid::Uuid;

use super::print::{Envelope, Print};

/// A header: its name, and its value.
pub(crate) type Header<'r> = (&'r str, Option<&'r [u8]>);

/// A record's headers in their order. Borrowed where one buffer serves many records, as that of a log in memory or in files.
pub(crate) type Headers<'r> = Cow<'r, [Header<'r>]>;

/// Whose clock a record's time is from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum TimestampType {
    /// It has none.
    #[default]
    None,
    /// Its producer's.
    Create,
    /// The broker's.
    LogAppend,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record<'r> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970; −1 where there is no time.
    pub(crate) timestamp_ms: i64,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) key: Option<&'r [u8]>,
    pub(crate) payload: Option<&'r [u8]>,
    /// None where the client cannot read them.
    pub(crate) headers: Option<Headers<'r>>,
}

impl<'r> Record<'r> {
    pub(crate) fn of(message: &'r BorrowedMessage<'_>) -> Self {
        let (timestamp_ms, timestamp_type) = match message.timestamp() {
            Timestamp::NotAvailable => (-1, TimestampType::None),
            Timestamp::CreateTime(millis) => (millis, TimestampType::Create),
            Timestamp::LogAppendTime(millis) => (millis, TimestampType::LogAppend),
        };
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms,
            timestamp_type,
            key: message.key(),
            payload: message.payload(),
            headers: headers_of(message),
        }
    }

    /// The value of the last header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&'r [u8]> {
        self.headers.as_ref()?.iter().rev().find(|(each, _)| *each == name).and_then(|(_, value)| *value)
    }

    /// What ids are made of, in a partition of which restores have made this.
    pub(crate) fn place(&self, restoration: Restoration) -> Place {
        restoration.place(self.partition, self.offset, || self.header(RESTORED_FROM_HEADER))
    }

    /// The last header of this name as text.
    pub(crate) fn text(&self, name: &str) -> Option<&'r str> {
        std::str::from_utf8(self.header(name)?).ok()
    }

    /// Where the record stands in this service's outbox; none where it is not from there.
    pub(crate) fn position(&self, writer: ServiceName) -> Option<Position> {
        let position = Position::parse(self.header(POSITION_HEADER)?).ok()?;
        (position.source == writer.source()).then_some(position)
    }

    /// `ce_id`, or `outbox-id` of a dead letter.
    pub(crate) fn id(&self, is_raw: bool) -> Option<Uuid> {
        Uuid::try_parse(self.text(if is_raw { ID_HEADER } else { "ce_id" })?).ok()
    }

    /// `ce_causationid`, where it is a UUID.
    pub(crate) fn cause(&self) -> Option<Uuid> {
        Uuid::try_parse(self.text("ce_causationid")?).ok()
    }

    /// The print, to be compared with a row's.
    pub(crate) fn print(&self, sequence: i64, is_raw: bool) -> Print {
        let id = self.id(is_raw);
        if is_raw {
            return Print::of(sequence, id, self.key, self.payload, &Envelope::Raw, &self.passed_on());
        }
        let envelope = Envelope::Event {
            source: self.text("ce_source").unwrap_or_default(),
            ce_type: self.text("ce_type").unwrap_or_default(),
            subject: self.text("ce_subject"),
            time: self.text("ce_time").and_then(|text| text.parse().ok()),
            cause: self.text("ce_causationid").map(str::to_owned),
        };
        Print::of(sequence, id, self.key, self.payload, &envelope, self.headers.as_deref().unwrap_or_default())
    }

    /// A raw record's headers without those that the relay has put behind them.
    pub(crate) fn passed_on(&self) -> Vec<Header<'r>> {
        let mut headers = self.headers.as_deref().unwrap_or_default().to_vec();
        // A letter's original may have brought a header of the same name; only later epochs put one behind it.
        let position = self.header(POSITION_HEADER).map(Position::parse);
        let is_later = position.and_then(Result::ok).is_some_and(|position| position.epoch > 1);
        let put: &[&str] =
            if is_later { &[POSITION_HEADER, LAST_EQUAL_HEADER, ID_HEADER] } else { &[POSITION_HEADER, ID_HEADER] };
        for name in put {
            if let Some(index) = headers.iter().rposition(|(each, _)| each == name) {
                headers.remove(index);
            }
        }
        headers
    }
}

/// The client panics over a header name that is not UTF-8; whoever may write to a topic can send one.
fn headers_of<'r>(message: &'r BorrowedMessage<'_>) -> Option<Headers<'r>> {
    let Some(headers) = message.headers() else { return Some(Cow::default()) };
    catch_unwind(AssertUnwindSafe(|| headers.iter().map(|header| (header.key, header.value)).collect())).ok()
}
