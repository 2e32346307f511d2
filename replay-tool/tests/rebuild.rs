//! Rebuilding from records in memory: what comes out does not depend on how the work is cut, and what a restored database
//! has voided does not come out.

#![expect(clippy::unwrap_used, reason = "what cannot be made is a failed test")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use outbox::Position;
use replay_tool::{Keeper, MemoryLog, RebuildConfig, RebuildReport, Records, Target, rebuild};
use schemas::{
    Codec, CustomerId, OrderEvent, OrderId, OrderLine, OrderPlaced, OrderStockReserved, ServiceName, Sku, Time,
    TopicName, partitioner,
};

const PARTITIONS: usize = 3;

fn order_id(number: usize) -> OrderId {
    OrderId::new(format!("order-{number}")).unwrap()
}

fn placed(number: usize, total_minor: i64) -> OrderEvent {
    let at = Time::from_micros(1_760_000_000_000_000);
    OrderPlaced {
        order_id: order_id(number),
        version: 1,
        at,
        customer_id: CustomerId::new("customer-1").unwrap(),
        placed_at: at,
        currency: "EUR".to_owned(),
        lines: vec![OrderLine { sku: Sku::new("sku-1").unwrap(), quantity: 1, unit_price_minor: total_minor }],
        total_minor,
        confirm_by: at,
        payment_provider: None,
        payment_token: None,
        capture: None,
        fulfilment: None,
        adjustments: Vec::new(),
        attributes: BTreeMap::new(),
        replaces_order_id: None,
        hold: None,
    }
    .into()
}

fn reserved(number: usize) -> OrderEvent {
    let (order_id, at) = (order_id(number), Time::from_micros(1_760_000_000_000_001));
    OrderStockReserved { order_id, version: 2, at, attributes: BTreeMap::new(), origin: None }.into()
}

/// Records as order's relay would publish them.
struct Writer {
    log: MemoryLog,
    sequences: [i64; PARTITIONS],
}

impl Writer {
    fn new() -> Self {
        Writer { log: MemoryLog::new(PARTITIONS), sequences: [0; PARTITIONS] }
    }

    fn write(&mut self, event: &OrderEvent) {
        let message = event.clone().into();
        let payload = Codec::embedded().encode(&message).unwrap();
        let partition = partitioner::partition_of(message.key().as_bytes(), 3);
        let partition = usize::try_from(partition).unwrap();
        self.sequences[partition] += 1;
        let position = position(1, 1, self.sequences[partition]);
        self.log.push(TopicName::OrderEvents, partition, message.key().as_bytes(), &payload, (&position, b""));
    }
}

fn position(epoch: i64, first: i64, sequence: i64) -> Vec<u8> {
    Position { source: "/order".to_owned(), epoch, first, sequence }.to_string().into_bytes()
}

async fn folded(log: &MemoryLog, unit_records: u64, parallel: usize) -> RebuildReport {
    let mut config = RebuildConfig::new(Records::Memory(log.clone()), Target::Memory);
    config.services = vec![Keeper::Service(ServiceName::Order)];
    (config.unit_records, config.parallel) = (unit_records, parallel);
    rebuild(config).await.unwrap()
}

#[tokio::test]
async fn the_state_does_not_depend_on_how_the_work_is_cut() {
    let mut writer = Writer::new();
    (0..500).for_each(|number| writer.write(&placed(number, 100)));
    (0..500).step_by(3).for_each(|number| writer.write(&reserved(number)));
    let whole = folded(&writer.log, 1_000_000, 1).await;
    assert!(whole.is_clean(), "{whole:?}");
    assert_eq!(whole.services[0].counts.folded, 667);
    assert_eq!(whole.services[0].tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [500, 500]);
    for (unit_records, parallel) in [(300, 1), (100, 2), (7, 4)] {
        let cut = folded(&writer.log, unit_records, parallel).await;
        assert_eq!(cut.services[0].digest, whole.services[0].digest, "units of {unit_records}");
        assert_eq!(cut.services[0].counts.folded, 667);
        assert_eq!(cut.services[0].vector, whole.services[0].vector);
    }
    // One value of one of 500 orders.
    let mut other = Writer::new();
    (0..500).for_each(|number| other.write(&placed(number, if number == 77 { 101 } else { 100 })));
    (0..500).step_by(3).for_each(|number| other.write(&reserved(number)));
    assert_ne!(folded(&other.log, 100, 2).await.services[0].digest, whole.services[0].digest);
}

#[tokio::test]
async fn what_an_epoch_has_voided_is_folded_by_nobody() {
    let mut log = MemoryLog::new(1);
    let mut write = |event: OrderEvent, (epoch, first, sequence), last_equal: &[u8]| {
        let message = event.into();
        let payload = Codec::embedded().encode(&message).unwrap();
        let position = position(epoch, first, sequence);
        log.push(TopicName::OrderEvents, 0, message.key().as_bytes(), &payload, (&position, last_equal));
    };
    write(placed(1, 100), (1, 1, 1), b"");
    write(placed(2, 100), (1, 1, 2), b"");
    // The database was set back to before this one, and the order was placed again with another price.
    write(placed(3, 100), (1, 1, 3), b"");
    write(placed(3, 250), (2, 4, 4), b"2");
    write(reserved(3), (2, 4, 5), b"2");
    let report = folded(&log, 100, 1).await;
    let mut after = Writer::new();
    [placed(1, 100), placed(2, 100), placed(3, 250), reserved(3)].iter().for_each(|event| after.write(event));
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.services[0].counts.void, report.services[0].counts.folded), (1, 4));
    // The home partition is part of an order's row, and there is only one here.
    let tables = |report: &RebuildReport| report.services[0].tables[0].sum.clone();
    assert_eq!(tables(&report), tables(&folded(&after.log, 100, 1).await));
}

#[tokio::test]
async fn an_aggregate_that_contradicts_itself_is_told_and_left_out_in_every_cut() {
    let mut writer = Writer::new();
    (0..50).for_each(|number| writer.write(&placed(number, 100)));
    // Of an order that was never placed, and then again, which is told once.
    writer.write(&reserved(60));
    writer.write(&reserved(60));
    for unit_records in [1_000, 9] {
        let report = folded(&writer.log, unit_records, 1).await;
        assert_eq!((report.services[0].problems.found, report.services[0].tables[0].rows), (1, 50), "{report:?}");
        assert!(report.services[0].problems.listed[0].cause.contains("order-60"), "{report:?}");
    }
}

/// Where nothing is yet.
fn new_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{name}-{}.sqlite", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[tokio::test]
async fn a_file_holds_every_row_by_key_and_appears_when_it_is_whole() {
    let mut writer = Writer::new();
    (0..20).for_each(|number| writer.write(&placed(number, 100)));
    let path = new_file("whole");
    let config = || {
        let mut config = RebuildConfig::new(Records::Memory(writer.log.clone()), Target::File(path.clone()));
        config.unit_records = 6;
        config
    };
    let report = rebuild(config()).await.unwrap();
    let digest = folded(&writer.log, 100, 1).await.services[0].digest.clone();
    assert_eq!(report.services[0].digest, digest);

    let file = rusqlite::Connection::open(&path).unwrap();
    let text = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let ordered =
        "select count(*) || ' ' || sum(quantity.value) from order_contents, json_each(quantities) as quantity";
    assert_eq!(text(ordered), "20 20");
    assert_eq!(text("select confirm_by from orders where order_id = 'order-7'"), "2025-10-09T08:53:20.000000Z");
    assert_eq!(text("select digest from rebuild_run where service = 'order'"), digest);
    let plan = "explain query plan select * from orders where order_id = 'order-7'";
    let plan: String = file.query_row(plan, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("orders_key"), "{plan}");
    let tables = "select group_concat(name, ' ') from (select name from sqlite_schema where type = 'table' order by 1)";
    let expected = "ledger order_contents orders payments products rebuild_run reservations stock stock_receipts";
    assert_eq!(text(tables), expected);

    // What is there is not written over.
    assert!(rebuild(config()).await.unwrap_err().to_string().contains("exists already"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_file_that_was_not_finished_is_gone_on_with() {
    let mut writer = Writer::new();
    (0..60).for_each(|number| writer.write(&placed(number, 100)));
    // A record of the last partition that nobody can decode ends a strict run.
    let position = position(1, 1, writer.sequences[2] + 1);
    writer.log.push(TopicName::OrderEvents, 2, b"order-x", b"nothing", (&position, b""));
    let path = new_file("unfinished");
    let config = |is_strict| {
        let mut config = RebuildConfig::new(Records::Memory(writer.log.clone()), Target::File(path.clone()));
        config.services = vec![Keeper::Service(ServiceName::Order)];
        (config.unit_records, config.parallel, config.is_strict) = (6, 1, is_strict);
        config
    };
    let refused = rebuild(config(true)).await.unwrap_err();
    assert!(refused.to_string().contains("order.events.v1[2]@"), "{refused}");
    assert!(!path.exists());
    let report = rebuild(config(false)).await.unwrap();
    assert!(report.services[0].is_resumed);
    let undisturbed = folded(&writer.log, 6, 1).await;
    assert_eq!(report.services[0].digest, undisturbed.services[0].digest);
    assert_eq!(report.services[0].counts, undisturbed.services[0].counts);
    assert_eq!(report.services[0].vector, undisturbed.services[0].vector);
    assert_eq!((report.services[0].problems.found, undisturbed.services[0].problems.found), (1, 1));
    let file = rusqlite::Connection::open(&path).unwrap();
    let rows: i64 = file.query_row("select count(*) from orders", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 60);
    std::fs::remove_file(&path).unwrap();
}
