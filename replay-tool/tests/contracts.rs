//! Topics of other contracts than this build's: what an older one wrote is the same state as ever, and what a newer one writes
//! beyond the types that a build knows is told and left out.

#![expect(clippy::unwrap_used, reason = "what cannot be made is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use outbox::Position;
use replay_tool::{MemoryLog, RebuildConfig, RebuildReport, Records, Target, rebuild};
use schemas::{Codec, CommandId, Message, OrderEvent, OrderId, Sku, StockReceived, Time, TopicName};
use serde_json::Value;

/// The order that the golden payloads are about.
const ORDER: &str = "31198459904-1040";

fn schemas_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

/// One of the payloads that were written down when this version of the message was released.
fn golden(name: &str, sample: usize) -> Vec<u8> {
    let path = schemas_folder().join("tests/golden").join(format!("{name}.json"));
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let text = file["samples"][sample]["payload"].as_str().unwrap();
    let digits = |index| u8::from_str_radix(&text[index..index + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// What the first contract's build had as the identity of what was placed.
const CONTENT: &str = "9a8ecd885fa9701d290cef7d9c9411263eeb3d664af4cc3f534dc50a3aae3b78";

/// A log of one partition.
struct Writer {
    log: MemoryLog,
    sequences: BTreeMap<TopicName, i64>,
}

impl Writer {
    fn new() -> Self {
        Writer { log: MemoryLog::new(1), sequences: BTreeMap::new() }
    }

    fn write(&mut self, topic: TopicName, key: &str, payload: &[u8]) {
        let sequence = self.sequences.entry(topic).or_default();
        *sequence += 1;
        let source = topic.written_by().unwrap().source().to_owned();
        let position = Position { source, epoch: 1, first: 1, sequence: *sequence }.to_string();
        self.log.push(topic, 0, key.as_bytes(), payload, (position.as_bytes(), b""));
    }

    fn say(&mut self, message: impl Into<Message>) {
        let message = message.into();
        self.write(message.topic(), message.key(), &Codec::embedded().encode(&message).unwrap());
    }
}

/// A completed order as the first contract's services wrote it, byte for byte, and the stock that it was taken from.
fn first_contract() -> Vec<(TopicName, Vec<u8>)> {
    let order = ["OrderPlaced", "OrderStockReserved", "OrderConfirmed", "OrderPaymentCaptured", "OrderCompleted"];
    let order = order.map(|name| (TopicName::OrderEvents, golden(&format!("shop.order.{name}.v1"), 0)));
    let stock = ["StockReserved", "StockCommitted"];
    let stock = stock.map(|name| (TopicName::InventoryEvents, golden(&format!("shop.inventory.{name}.v1"), 0)));
    let payment = ["PaymentAuthorized", "PaymentCaptured"];
    let payment = payment.map(|name| (TopicName::PaymentEvents, golden(&format!("shop.payment.{name}.v1"), 0)));
    order.into_iter().chain(stock).chain(payment).collect()
}

fn receive_stock(writer: &mut Writer) {
    for (sku, quantity) in [("1029743", 10), ("826249", 20)] {
        let (sku, command_id) = (Sku::new(sku).unwrap(), CommandId::new(format!("receipt-{sku}")).unwrap());
        let at = Time::from_micros(1_790_000_000_123_456);
        writer.say(schemas::StockEvent::from(StockReceived {
            sku,
            version: 1,
            at,
            command_id,
            quantity,
            origin: None,
        }));
    }
}

async fn rebuilt(log: &MemoryLog, target: Target) -> RebuildReport {
    rebuild(RebuildConfig::new(Records::Memory(log.clone()), target)).await.unwrap()
}

/// Every column of the only row of a table, or of each of its rows, as JSON; times are UTC.
fn rows(file: &rusqlite::Connection, table: &str) -> Vec<String> {
    let mut statement = file.prepare(&format!("select * from {table} order by 1, 2, 3")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let row = |row: &rusqlite::Row<'_>| {
        let cell = |(index, name): (usize, &String)| match row.get_ref(index).unwrap() {
            rusqlite::types::ValueRef::Null => format!("{name}=null"),
            rusqlite::types::ValueRef::Integer(number) => format!("{name}={number}"),
            rusqlite::types::ValueRef::Text(text) => format!("{name}={}", String::from_utf8_lossy(text)),
            rusqlite::types::ValueRef::Blob(_) => format!("{name}=bytes"),
            rusqlite::types::ValueRef::Real(number) => format!("{name}={number}"),
        };
        Ok(names.iter().enumerate().map(cell).collect::<Vec<_>>().join(" "))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_topic_of_the_first_contract_is_the_same_rows_as_ever() {
    let mut writer = Writer::new();
    receive_stock(&mut writer);
    first_contract().iter().for_each(|(topic, payload)| writer.write(*topic, ORDER, payload));
    let path = std::env::temp_dir().join(format!("first-contract-{}.sqlite", std::process::id()));
    let _ = fs::remove_file(&path);
    let report = rebuilt(&writer.log, Target::File(path.clone())).await;
    assert!(report.is_clean(), "{report:?}");
    let file = rusqlite::Connection::open(&path).unwrap();
    let at = "2026-09-21T14:13:20.123456Z";
    // What the first contract's build made of it; and, behind that, what it had no columns for: nothing.
    assert_eq!(
        rows(&file, "orders"),
        [format!(
            "order_id={ORDER} partition=0 version=5 stage=completed awaiting=null detail=null cancel_reason=null \
             cancel_command_id=null customer_id=customer-1040 placed_at=2026-09-21T14:13:15.123456Z currency=USD \
             total_minor=727 content=bytes confirm_by=2026-09-21T14:14:20.123456Z accepted_at={at} \
             changed_at=9999-12-30T22:00:00.999999Z terms=null cancel_code=null ship_by=null wake_at=null aftercare=null \
             action_until=null"
        )]
    );
    // The identity of what was placed is no other one for what may be left out now.
    let content = "select lower(hex(content)) from orders";
    let content: String = file.query_row(content, [], |row| row.get(0)).unwrap();
    assert_eq!(content, CONTENT);
    assert_eq!(
        rows(&file, "order_contents"),
        [format!("order_id={ORDER} skus=[\"826249\",\"1029743\"] quantities=[2,1] unit_prices_minor=[199,329]")]
    );
    assert_eq!(
        rows(&file, "reservations"),
        [format!(
            "order_id={ORDER} version=2 status=committed skus=[\"1029743\",\"826249\"] quantities=[1,2] \
             short_skus=[] short_requested=[] short_available=[] decided_at={at} changed_at={at} returns=null"
        )]
    );
    assert_eq!(
        rows(&file, "stock"),
        [
            "sku=1029743 version=1 received=10 reserved=0 shipped=1 returned=0 written_off=0",
            "sku=826249 version=1 received=20 reserved=0 shipped=2 returned=0 written_off=0",
        ]
    );
    assert_eq!(
        rows(&file, "payments"),
        [format!(
            "order_id={ORDER} version=2 status=captured customer_id=customer-1040 currency=USD amount_minor=727 \
             authorization_version=1 authorization_at={at} authorization_reference=sim_7f3a decline_detail=null \
             capture_version=2 capture_at={at} capture_reference=sim_7f3a capture_failure=null void_version=null \
             void_at=null stuck_version=null stuck_at=null stuck_operation=null stuck_detail=null refunds=null \
             refunded_minor=0 stuck_refused_attempts=null payment_provider=null payment_token=null expires_at=null \
             authorization_attempt=1 void_reason=null disputes=null action=null"
        )]
    );
    assert_eq!(
        rows(&file, "ledger"),
        [
            format!("order_id={ORDER} version=2 account=provider_receivable amount_minor=727 currency=USD"),
            format!("order_id={ORDER} version=2 account=sales amount_minor=-727 currency=USD"),
        ]
    );
    fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn what_the_first_contract_said_is_the_same_state_said_in_the_second() {
    let (mut first, mut second) = (Writer::new(), Writer::new());
    for (topic, payload) in first_contract() {
        first.write(topic, ORDER, &payload);
        second.say(Codec::embedded().decode(topic, &payload).unwrap());
    }
    let (first, second) = (rebuilt(&first.log, Target::Memory).await, rebuilt(&second.log, Target::Memory).await);
    let digests = |report: &RebuildReport| report.services.iter().map(|one| one.digest.clone()).collect::<Vec<_>>();
    assert_eq!(digests(&first), digests(&second));
}

/// So does a build of the first contract read the events that came with the second.
#[tokio::test]
async fn an_event_of_a_type_that_a_build_does_not_know_leaves_its_order_out_and_no_other() {
    let mut writer = Writer::new();
    let of_order = |name: &str| golden(&format!("shop.order.{name}.v1"), 0);
    writer.write(TopicName::OrderEvents, ORDER, &of_order("OrderPlaced"));
    let released = golden("shop.order.OrderReleased.v1", 0);
    // An id of a release to come.
    let wrapped = [&[0], &1_900_000_u32.to_be_bytes()[..], &released[5..]].concat();
    let known = Codec::embedded().decode(TopicName::OrderEvents, &released).unwrap();
    writer.write(TopicName::OrderEvents, known.key(), &wrapped);
    // The order's next version: the build lacks the one before.
    writer.write(TopicName::OrderEvents, ORDER, &of_order("OrderConfirmed"));
    let mut other = Codec::embedded().decode(TopicName::OrderEvents, &of_order("OrderPlaced")).unwrap();
    if let Message::OrderEvent(OrderEvent::OrderPlaced(placed)) = &mut other {
        placed.order_id = OrderId::new("other").unwrap();
    }
    writer.say(other);

    let report = rebuilt(&writer.log, Target::Memory).await;
    let order = report.services.iter().find(|one| one.service == "order").unwrap();
    let causes: Vec<&str> = order.problems.listed.iter().map(|one| one.cause.as_str()).collect();
    assert_eq!(causes.len(), 2, "{causes:?}");
    assert!(causes[0].contains("no schema with the id 1900000 is known"), "{causes:?}");
    assert!(causes[1].contains("versions are missing"), "{causes:?}");
    assert!(!report.is_clean());
    assert_eq!(order.tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [1, 1]);
}
