//! Publishes a whole file of commands: paced, in bounded memory, telling an observer about every line.
//!
//! A line that cannot be encoded is told and passed over, or stops the publication when it is strict. Publishing the same
//! file again is safe. The file is read on a thread of its own, because a pipe may keep a reader waiting for ever.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemas::{Adjustment, Message, OrderCommand, OrderLine, PlaceOrder, ReceiveStock};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{ClientError, Entry, FieldError, LineError, OrderFile, Outlet, StockFile};

/// Entries that are read ahead of the publisher.
const READ_AHEAD: usize = 1024;

/// A sender that is early by less than this does not sleep: the timer is no finer.
const EARLY: Duration = Duration::from_millis(2);

/// What happened to a line.
#[derive(Debug)]
pub enum Observation<'a> {
    /// It is on its way.
    Published {
        /// The line's number, from 1.
        line: u64,
        /// What was sent.
        message: &'a Message,
        /// Its `ce_id`, which what follows from it names as its cause.
        id: Uuid,
    },
    /// It cannot be encoded.
    Refused(&'a LineError),
}

/// How to publish.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishPlan {
    /// At most so many messages per second; none: as fast as Kafka takes them.
    pub per_second: Option<u32>,
    /// Stop at the first line that cannot be encoded.
    pub strict: bool,
}

/// What a publication did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// Lines that were not blank.
    pub lines: u64,
    /// Handed to Kafka; whether they arrived is in the publisher's deliveries.
    pub published: u64,
    /// Could not be encoded.
    pub refused: u64,
    /// Whether it ended before the end of the file: a strict one at a bad line, or one that the observer stopped.
    pub stopped: bool,
    /// Fields that the schema has no place for, with the number of times that they were met.
    pub unknown_fields: Vec<(String, u64)>,
}

/// What the reading thread says.
enum Said {
    Line(Box<Result<Entry<Message>, ClientError>>),
    /// The file is read to its end; these fields had no place.
    End(Vec<(String, u64)>),
}

/// A source of entries that a thread reads ahead.
pub struct Entries {
    receiver: mpsc::Receiver<Said>,
    reader: std::thread::JoinHandle<()>,
}

impl Entries {
    /// Orders from `.jsonl`, `.jsonl.zst`, `.jsonl.gz` or `-`. Fails when the file cannot be opened.
    pub fn orders(path: PathBuf) -> Result<Self, ClientError> {
        Self::orders_changed(path, |_| {})
    }

    /// The same, each order changed before it is published.
    pub fn orders_changed(
        path: PathBuf,
        mut change: impl FnMut(&mut PlaceOrder) + Send + 'static,
    ) -> Result<Self, ClientError> {
        let mut file = OrderFile::open(&path)?;
        Self::start(path, move |sender| {
            for entry in file.by_ref() {
                let entry = entry.map(|mut entry| {
                    entry.content.iter_mut().for_each(&mut change);
                    order_message(entry)
                });
                sender.blocking_send(Said::Line(Box::new(entry))).ok()?;
            }
            let unknown = file.unknown_fields().iter().map(|(name, count)| (name.clone(), *count)).collect();
            sender.blocking_send(Said::End(unknown)).ok()
        })
    }

    /// Receipts of goods from `.jsonl`, `.jsonl.zst`, `.jsonl.gz` or `-`; `batch` as in [`StockFile::open`].
    pub fn stock(path: PathBuf, batch: &str) -> Result<Self, ClientError> {
        let file = StockFile::open(&path, batch)?;
        Self::start(path, move |sender| {
            for entry in file {
                sender.blocking_send(Said::Line(Box::new(entry.map(stock_message)))).ok()?;
            }
            sender.blocking_send(Said::End(Vec::new())).ok()
        })
    }

    /// `read` ends early, with None, when nobody listens any more: the publication was stopped.
    fn start<R>(path: PathBuf, read: R) -> Result<Self, ClientError>
    where
        R: FnOnce(mpsc::Sender<Said>) -> Option<()> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let reader = std::thread::Builder::new()
            .name("line-reader".to_owned())
            .spawn(move || read(sender).unwrap_or_default())
            .map_err(|source| ClientError::File { file: path.display().to_string(), source })?;
        Ok(Self { receiver, reader })
    }

    /// After the last entry the thread is at its end; before it, it may wait for input for ever and is left behind.
    fn close(self, at_end: bool) {
        drop(self.receiver);
        if at_end {
            drop(self.reader.join());
        }
    }
}

fn order_message(entry: Entry<PlaceOrder>) -> Entry<Message> {
    Entry { line: entry.line, content: entry.content.map(Message::from) }
}

fn stock_message(entry: Entry<ReceiveStock>) -> Entry<Message> {
    Entry { line: entry.line, content: entry.content.map(Message::from) }
}

/// Publishes every entry. The observer may stop it by breaking. The caller flushes the outlet afterwards.
pub async fn publish_entries(
    outlet: &impl Outlet,
    entries: Entries,
    pace: PublishPlan,
    mut observe: impl FnMut(Observation<'_>) -> ControlFlow<()>,
) -> Result<Published, ClientError> {
    let mut entries = entries;
    let mut report = Published::default();
    let begin = Instant::now();
    while let Some(said) = entries.receiver.recv().await {
        let Entry { line, content } = match said {
            Said::Line(entry) => (*entry)?,
            Said::End(unknown_fields) => {
                report.unknown_fields = unknown_fields;
                break;
            }
        };
        report.lines += 1;
        let refused = match content {
            Ok(message) => {
                wait_for_turn(begin, report.published, pace.per_second).await;
                match outlet.send(&message).await {
                    Ok(id) => {
                        report.published += 1;
                        report.stopped = observe(Observation::Published { line, message: &message, id }).is_break();
                        None
                    }
                    Err(error) => Some(refusal(line, &message, error)?),
                }
            }
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            report.refused += 1;
            report.stopped = observe(Observation::Refused(&error)).is_break() || pace.strict;
        }
        if report.stopped {
            break;
        }
    }
    entries.close(!report.stopped);
    Ok(report)
}

/// A message that cannot be encoded is the line's fault, and so is one that must not be sent; anything else ends the
/// publication.
fn refusal(line: u64, message: &Message, error: ClientError) -> Result<LineError, ClientError> {
    let order = if let Message::OrderCommand(OrderCommand::PlaceOrder(order)) = message { Some(order) } else { None };
    let field = if matches!(error, ClientError::CardNumber { .. }) {
        Some("payment_token")
    } else if matches!(error, ClientError::Encode { .. } | ClientError::TooLarge { .. }) {
        order.map(largest_field)
    } else {
        return Err(error);
    };
    let problem = error.to_string();
    Ok(LineError { line, error: FieldError { field: field.map(str::to_owned), problem } })
}

/// What makes an order too large. Ids and numbers are bounded, and so are the other texts beside these.
fn largest_field(order: &PlaceOrder) -> &'static str {
    let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let attributes = order.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    let sizes = [
        ("lines", order.lines.len() * size_of::<OrderLine>()),
        ("currency", order.currency.len()),
        ("payment_provider", bytes(&order.payment_provider)),
        ("payment_token", bytes(&order.payment_token)),
        ("capture", bytes(&order.capture)),
        ("fulfilment", bytes(&order.fulfilment)),
        ("adjustments", order.adjustments.iter().map(|one| one.kind.len() + size_of::<Adjustment>()).sum()),
        ("attributes", attributes),
        ("if_short", bytes(&order.if_short)),
    ];
    sizes.into_iter().max_by_key(|(_, size)| *size).map_or("lines", |(name, _)| name)
}

async fn wait_for_turn(begin: Instant, already: u64, per_second: Option<u32>) {
    let Some(per_second) = per_second else { return };
    let due = due_after(already, per_second);
    if due > begin.elapsed() + EARLY {
        tokio::time::sleep_until((begin + due).into()).await;
    }
}

/// When message number `already` (from 0) is due.
fn due_after(already: u64, per_second: u32) -> Duration {
    let nanos = u128::from(already) * 1_000_000_000 / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_an_order_too_large_is_named() {
        let order = crate::story::place_order();
        assert_eq!(largest_field(&order), "lines");
        let currency = "x".repeat(1000);
        assert_eq!(largest_field(&PlaceOrder { currency, ..order.clone() }), "currency");
        let attributes = [("a".to_owned(), "x".repeat(1000))].into();
        assert_eq!(largest_field(&PlaceOrder { attributes, ..order }), "attributes");
    }

    #[tokio::test]
    async fn a_card_number_is_refused_before_it_is_sent_with_its_line_and_without_its_digits() {
        let publisher = crate::Publisher::open(&crate::Connection::new("localhost:1"), "/test").unwrap();
        for digits in ["4111111111111111", "4111 1111-1111 1111"] {
            let order = PlaceOrder { payment_token: Some(digits.to_owned()), ..crate::story::place_order() };
            let message = order.into();
            let error = publisher.send(&message).await.unwrap_err();
            let said = refusal(7, &message, error).unwrap().to_string();
            assert!(
                said.starts_with("line 7, payment_token: PlaceOrder o-1 is not sent") && !said.contains("4111"),
                "{said}"
            );
        }
        let order = PlaceOrder { payment_token: Some("tok_4111".to_owned()), ..crate::story::place_order() };
        publisher.send(&order.into()).await.unwrap();
        assert_eq!(publisher.deliveries().queued, 1, "only the token of a provider");
    }

    #[test]
    fn messages_are_due_evenly() {
        assert_eq!(due_after(0, 3), Duration::ZERO);
        assert_eq!(due_after(1, 2), Duration::from_millis(500));
        assert_eq!(due_after(12_721, 100), Duration::from_millis(127_210));
        assert_eq!(due_after(5, 0), Duration::from_secs(5));
        assert_eq!(due_after(u64::MAX, 1), Duration::from_nanos(u64::MAX));
    }
}
