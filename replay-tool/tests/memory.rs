//! Two million events rebuilt in memory that does not grow with them.
//!
//! A program of its own with one test, because what a process has held at most is one number for all of it.

#![expect(clippy::unwrap_used, reason = "what cannot be made is a failed test")]

use std::collections::BTreeMap;
use std::fs;

use outbox::Position;
use replay_tool::{MemoryLog, RebuildConfig, Records, Target, rebuild};
use schemas::{
    Codec, CustomerId, Message, OrderEvent, OrderId, OrderLine, OrderPlaced, OrderStockReserved, ServiceName, Sku,
    Time, TopicName, partitioner,
};

const PARTITIONS: i32 = 64;
const MEBIBYTE: u64 = 1024 * 1024;

/// So many orders, two events each, as order's relay would publish them.
fn log(orders: usize) -> MemoryLog {
    let codec = Codec::embedded();
    let mut log = MemoryLog::new(usize::try_from(PARTITIONS).unwrap());
    let mut sequences = vec![0_i64; usize::try_from(PARTITIONS).unwrap()];
    let at = Time::from_micros(1_760_000_000_000_000);
    let line = OrderLine { sku: Sku::new("sku-1").unwrap(), quantity: 1, unit_price_minor: 100 };
    for number in 0..orders {
        let order_id = OrderId::new(format!("0193f0e4-7c1a-7000-8000-{number:012}")).unwrap();
        let placed = OrderPlaced {
            order_id: order_id.clone(),
            version: 1,
            at,
            customer_id: CustomerId::new("customer-1").unwrap(),
            placed_at: at,
            currency: "EUR".to_owned(),
            lines: vec![line.clone()],
            total_minor: 100,
            confirm_by: at,
            payment_provider: None,
            payment_token: None,
            capture: None,
            fulfilment: None,
            adjustments: Vec::new(),
            attributes: BTreeMap::new(),
            replaces_order_id: None,
            hold: None,
        };
        let reserved = OrderStockReserved {
            order_id: order_id.clone(),
            version: 2,
            at,
            attributes: BTreeMap::new(),
            origin: None,
        };
        let key = order_id.as_str().as_bytes();
        let partition = usize::try_from(partitioner::partition_of(key, PARTITIONS)).unwrap();
        for event in [OrderEvent::from(placed), reserved.into()] {
            sequences[partition] += 1;
            let position = Position { source: "/order".to_owned(), epoch: 1, first: 1, sequence: sequences[partition] };
            let payload = codec.encode(&Message::from(event)).unwrap();
            log.push(TopicName::OrderEvents, partition, key, &payload, (position.to_string().as_bytes(), b""));
        }
    }
    log
}

/// What a rebuild holds at most on top of the log itself.
async fn grown(orders: usize) -> u64 {
    let log = log(orders);
    let before = status("VmRSS:");
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let mut config = RebuildConfig::new(Records::Memory(log), Target::Memory);
    config.services = vec![ServiceName::Order.into()];
    (config.unit_records, config.parallel) = (50_000, 1);
    let report = rebuild(config).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.services[0].counts.folded, u64::try_from(2 * orders).unwrap());
    assert_eq!(report.services[0].counts.read, report.services[0].counts.folded, "nothing was read twice");
    status("VmHWM:").saturating_sub(before)
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn memory_is_flat_over_two_million_events() {
    let few = grown(100_000).await;
    let many = grown(1_000_000).await;
    // All of the state at once would be some ten times as much.
    assert!(many < few + 32 * MEBIBYTE, "{} MiB, and {} MiB for a tenth", many / MEBIBYTE, few / MEBIBYTE);
    assert!(few < 128 * MEBIBYTE, "{} MiB", few / MEBIBYTE);
}
