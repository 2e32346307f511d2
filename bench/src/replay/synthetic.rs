//! Orders that were all completed, as the three services' relays would have published them: nine events an order, the
//! orders' events between each other's, after one receipt per SKU.

use std::collections::BTreeMap;

use outbox::Position;
use replay_tool::MemoryLog;
use schemas::{
    Codec, CommandId, CustomerId, InventoryEvent, Message, OrderCompleted, OrderConfirmed, OrderEvent, OrderId,
    OrderLine, OrderPaymentCaptured, OrderPlaced, OrderStockReserved, PaymentAuthorized, PaymentCaptured, PaymentEvent,
    Sku, StockCommitted, StockEvent, StockLine, StockReceived, StockReserved, Time, TopicName, partitioner,
};

use crate::error::{BenchError, Result};

const EVENTS_PER_ORDER: u64 = 9;
const LINES: u64 = 5;
const SKUS: u64 = 2_000;
/// Orders under way at once.
const AT_ONCE: u64 = 500;

/// At least so many events over topics of so many partitions.
pub(super) fn events(count: u64, partitions: usize) -> Result<MemoryLog> {
    let mut writer = Writer {
        codec: Codec::embedded(),
        log: MemoryLog::new(partitions),
        sequences: BTreeMap::new(),
        partitions: i32::try_from(partitions).map_err(BenchError::other)?,
    };
    for sku in 0..SKUS {
        writer.write(receipt(sku)?.into())?;
    }
    let orders = count.saturating_sub(SKUS).div_ceil(EVENTS_PER_ORDER);
    let mut first = 0;
    while first < orders {
        let last = (first + AT_ONCE).min(orders);
        for step in 0..EVENTS_PER_ORDER {
            for order in first..last {
                writer.write(event(order, step)?)?;
            }
        }
        first = last;
    }
    Ok(writer.log)
}

struct Writer {
    codec: Codec,
    log: MemoryLog,
    /// The last sequence of each topic partition.
    sequences: BTreeMap<(TopicName, i32), i64>,
    partitions: i32,
}

impl Writer {
    fn write(&mut self, message: Message) -> Result<()> {
        let topic = message.topic();
        let key = message.key().as_bytes();
        let partition = partitioner::partition_of(key, self.partitions);
        let sequence = self.sequences.entry((topic, partition)).or_default();
        *sequence += 1;
        let source = topic.written_by().map_or("", |service| service.source()).to_owned();
        let position = Position { source, epoch: 1, first: 1, sequence: *sequence }.to_string();
        let payload = self.codec.encode(&message).map_err(BenchError::other)?;
        let index = usize::try_from(partition).map_err(BenchError::other)?;
        self.log.push(topic, index, key, &payload, (position.as_bytes(), b""));
        Ok(())
    }
}

fn receipt(sku: u64) -> Result<StockEvent> {
    Ok(StockReceived {
        sku: sku_of(sku)?,
        version: 1,
        at: time(0),
        command_id: CommandId::new(format!("receipt-{sku}")).map_err(BenchError::other)?,
        quantity: i64::MAX / 4,
        origin: None,
    }
    .into())
}

/// One of an order's events, in the order in which the services publish them.
fn event(number: u64, step: u64) -> Result<Message> {
    let order_id = OrderId::new(format!("0193f0e4-7c1a-7000-8000-{number:012}")).map_err(BenchError::other)?;
    let customer_id = CustomerId::new(format!("customer-{}", number % 50_000)).map_err(BenchError::other)?;
    let at = time(number * EVENTS_PER_ORDER + step);
    let (currency, attributes) = ("EUR".to_owned(), BTreeMap::new());
    let provider_reference = Some(format!("reference-{number}-{step}"));
    Ok(match step {
        0 => {
            let lines = (0..LINES).map(|line| line_of(number, line)).collect::<Result<Vec<OrderLine>>>()?;
            let total_minor = lines.iter().map(|line| line.quantity * line.unit_price_minor).sum();
            let confirm_by = time(number + 1_000_000_000);
            let (version, placed_at) = (1, at);
            OrderEvent::from(OrderPlaced {
                order_id,
                version,
                at,
                customer_id,
                placed_at,
                currency,
                lines,
                total_minor,
                confirm_by,
                payment_provider: None,
                payment_token: None,
                capture: None,
                fulfilment: None,
                adjustments: Vec::new(),
                attributes,
                replaces_order_id: None,
                hold: None,
            })
            .into()
        }
        1 => {
            let lines = (0..LINES).map(|line| {
                let OrderLine { sku, quantity, .. } = line_of(number, line)?;
                Ok(StockLine { sku, quantity })
            });
            let lines = lines.collect::<Result<Vec<StockLine>>>()?;
            InventoryEvent::from(StockReserved { order_id, version: 1, at, lines }).into()
        }
        2 => OrderEvent::from(OrderStockReserved { order_id, version: 2, at, attributes, origin: None }).into(),
        3 => {
            let (version, amount_minor) = (1, 1_000);
            PaymentEvent::from(PaymentAuthorized {
                order_id,
                version,
                at,
                customer_id,
                currency,
                amount_minor,
                provider_reference,
            })
            .into()
        }
        4 => OrderEvent::from(OrderConfirmed { order_id, version: 3, at, attributes, origin: None, ship_by: None })
            .into(),
        5 => PaymentEvent::from(PaymentCaptured { order_id, version: 2, at, provider_reference }).into(),
        6 => {
            OrderEvent::from(OrderPaymentCaptured { order_id, version: 4, at, attributes, origin: None, ship_by: None })
                .into()
        }
        7 => InventoryEvent::from(StockCommitted { order_id, version: 2, at }).into(),
        _ => OrderEvent::from(OrderCompleted { order_id, version: 5, at, attributes, origin: None }).into(),
    })
}

fn line_of(order: u64, line: u64) -> Result<OrderLine> {
    Ok(OrderLine { sku: sku_of((order * 7 + line * 401) % SKUS)?, quantity: 1, unit_price_minor: 200 })
}

fn sku_of(number: u64) -> Result<Sku> {
    Sku::new(format!("SKU-{number:06}")).map_err(BenchError::other)
}

fn time(offset_us: u64) -> Time {
    Time::from_micros(1_760_000_000_000_000_i64.saturating_add_unsigned(offset_us))
}
