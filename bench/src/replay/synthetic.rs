//! Orders that were all completed, as the three services' relays would have published them: nine events an order, the
//! orders' events between each other's, after one receipt per SKU.

use std::collections::BTreeMap;

use outbox::Position;
use replay_tool::MemoryLog;
use schemas::{
    Codec, CommandId, CommitStock, CustomerId, InventoryCommand, InventoryEvent, Message, OrderCompleted,
    OrderConfirmed, OrderEvent, OrderId, OrderLine, OrderPaymentCaptured, OrderPlaced, OrderStockReserved,
    PaymentAuthorized, PaymentCaptured, PaymentEvent, ReceiveStock, ReserveStock, Sku, StockCommand, StockCommitted,
    StockEvent, StockLine, StockReceived, StockReserved, Time, TopicName, partitioner,
};

use crate::error::{BenchError, Result};

const EVENTS_PER_ORDER: u64 = 9;
const LINES: u64 = 5;
const SKUS: u64 = 2_000;
/// Orders under way at once.
const AT_ONCE: u64 = 500;

/// At least so many events over topics of so many partitions.
pub(super) fn events(count: u64, partitions: usize) -> Result<MemoryLog> {
    let mut writer = Writer::new(partitions)?;
    for sku in 0..SKUS {
        writer.write(receipt(sku)?.into())?;
    }
    writer.orders(count.saturating_sub(SKUS).div_ceil(EVENTS_PER_ORDER), EVENTS_PER_ORDER, event)?;
    Ok(writer.log)
}

/// As many records of what the inventory service was asked: receipts, and what it was to reserve and to commit.
pub(super) fn commands(count: u64, partitions: usize) -> Result<MemoryLog> {
    let mut writer = Writer::new(partitions)?;
    for sku in 0..SKUS {
        let command_id = CommandId::new(format!("receipt-{sku}")).map_err(BenchError::other)?;
        writer.write(StockCommand::from(ReceiveStock::of(sku_of(sku)?, command_id, i64::MAX / 4)).into())?;
    }
    writer.orders(count.div_ceil(2), 2, asked)?;
    Ok(writer.log)
}

/// What the inventory service is asked about an order.
fn asked(number: u64, step: u64) -> Result<Message> {
    let order_id = order_of(number)?;
    let command = match step {
        0 => InventoryCommand::from(ReserveStock { order_id, lines: stock_lines(number)? }),
        _ => InventoryCommand::from(CommitStock { order_id }),
    };
    Ok(command.into())
}

struct Writer {
    codec: Codec,
    log: MemoryLog,
    /// The last sequence of each topic partition.
    sequences: BTreeMap<(TopicName, i32), i64>,
    partitions: i32,
}

impl Writer {
    fn new(partitions: usize) -> Result<Self> {
        Ok(Writer {
            codec: Codec::embedded(),
            log: MemoryLog::new(partitions),
            sequences: BTreeMap::new(),
            partitions: i32::try_from(partitions).map_err(BenchError::other)?,
        })
    }

    /// All steps of so many orders, some orders at once.
    fn orders(&mut self, orders: u64, steps: u64, message: fn(u64, u64) -> Result<Message>) -> Result<()> {
        let mut first = 0;
        while first < orders {
            let last = (first + AT_ONCE).min(orders);
            for step in 0..steps {
                for order in first..last {
                    self.write(message(order, step)?)?;
                }
            }
            first = last;
        }
        Ok(())
    }

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
    let order_id = order_of(number)?;
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
            let lines = stock_lines(number)?;
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
                payment_provider: None,
                payment_token: None,
                expires_at: None,
                attempt: 1,
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

fn order_of(number: u64) -> Result<OrderId> {
    OrderId::new(format!("0193f0e4-7c1a-7000-8000-{number:012}")).map_err(BenchError::other)
}

fn stock_lines(order: u64) -> Result<Vec<StockLine>> {
    let line = |line| {
        let OrderLine { sku, quantity, .. } = line_of(order, line)?;
        Ok(StockLine { sku, quantity })
    };
    (0..LINES).map(line).collect()
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
