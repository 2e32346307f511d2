//! The read model's tables once more, from the topics alone: for `rebuild`.
//!
//! All of it is in memory. What was heard is no state: it is what the state is made of.

use std::collections::BTreeMap;
use std::convert::Infallible;

use consumer::rebuild::{Derived, Table};
use domain::charge::{self, Payment};
use domain::saga::{self, Order};
use domain::stock::{self, Level, Product, Reservation};
use schemas::{Message, OrderId, Sku, TopicName};
use serde_json::{Map, Value, json};
use tables::{Cell, ContentsRow, OrderRow, PaymentRow, ProductRow, ReservationRow, StockRow, TableRow};
use workers::pipeline_contract::Pipeline;

use super::{INPUTS, add_receipt, change_level};

/// All that the topics say.
#[derive(Debug, Default)]
pub struct Book {
    orders: BTreeMap<OrderId, Order>,
    reservations: BTreeMap<OrderId, Reservation>,
    payments: BTreeMap<OrderId, Payment>,
    levels: BTreeMap<Sku, Level>,
    products: BTreeMap<Sku, Product>,
}

impl Book {
    /// How many orders there are.
    pub fn orders(&self) -> usize {
        self.orders.len()
    }
}

/// The aggregate after an event.
fn evolve_in<S, E: std::fmt::Display>(
    states: &mut BTreeMap<OrderId, S>,
    id: &OrderId,
    next: impl FnOnce(Option<S>) -> Result<Option<S>, E>,
) -> Result<(), String> {
    if let Some(state) = next(states.remove(id)).map_err(|error| error.to_string())? {
        states.insert(id.clone(), state);
    }
    Ok(())
}

impl Derived for Book {
    type Contract = Pipeline;
    const TOPICS: &'static [TopicName] = INPUTS;

    fn evolve(&mut self, message: Message) -> Result<(), String> {
        match &message {
            Message::OrderEvent(event) => evolve_in(&mut self.orders, event.key(), |state| saga::evolve(state, event)),
            Message::PaymentEvent(event) => evolve_in(&mut self.payments, event.key(), |state| {
                charge::evolve(state, event).map(|evolved| evolved.payment)
            }),
            Message::InventoryEvent(event) => {
                let mut changes = Vec::new();
                evolve_in(&mut self.reservations, event.key(), |state| {
                    stock::evolve(state, event).map(|evolved| {
                        changes = evolved.changes;
                        evolved.reservation
                    })
                })?;
                changes.iter().try_for_each(|change| change_level(&mut self.levels, change))
            }
            Message::StockEvent(event) => {
                let taken = self.levels.get(event.key()).map_or(0, |level| level.version);
                if event.version().is_none_or(|version| version <= taken) {
                    return Ok(());
                }
                self.products.extend(Product::of(event).map(|product| (product.sku.clone(), product)));
                add_receipt(&mut self.levels, event)
            }
            Message::OrderCommand(_)
            | Message::InventoryCommand(_)
            | Message::StockCommand(_)
            | Message::PaymentCommand(_) => Ok(()),
        }
    }

    fn tables(&self) -> Vec<Table> {
        let orders = || self.orders.values();
        let mut skus = Vec::new();
        for order in orders() {
            let mut own: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
            own.sort_unstable();
            own.dedup();
            let row = |sku: &str| json!({ "sku": sku, "accepted_at": order.accepted_at.to_string(), "order_id": order.order_id });
            skus.extend(own.into_iter().map(row));
        }
        vec![
            // The partition of an order is where it lies, and not what it is.
            Table::new("orders", &["order_id"], orders().map(|order| without_partition(&OrderRow::of(order, 1)))),
            Table::new("order_contents", &["order_id"], orders().map(|order| columns(&ContentsRow::of(order)))),
            Table::new("order_skus", &["sku", "accepted_at", "order_id"], skus),
            Table::new(
                "reservations",
                &["order_id"],
                self.reservations.values().map(|one| columns(&ReservationRow::of(one))),
            ),
            Table::new("stock", &["sku"], self.levels.iter().map(|(sku, level)| columns(&StockRow::of(sku, *level)))),
            Table::new("products", &["sku"], self.products.values().map(|one| columns(&ProductRow::of(one)))),
            Table::new("payments", &["order_id"], self.payments.values().map(|one| columns(&PaymentRow::of(one)))),
        ]
    }
}

fn without_partition(row: &OrderRow) -> Value {
    let mut object = columns(row);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("partition");
    }
    object
}

/// A row as an object of its columns.
fn columns<R: TableRow>(row: &R) -> Value {
    let (mut fields, mut names) = (Map::new(), R::COLUMNS.iter());
    let taken: Result<(), Infallible> = row.each_cell(|cell| {
        if let Some(column) = names.next() {
            fields.insert(column.name.to_owned(), cell.map_or(Value::Null, json_of));
        }
        Ok(())
    });
    match taken {
        Ok(()) => Value::Object(fields),
    }
}

/// In the form in which Postgres takes it.
fn json_of(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => Value::from(text.as_ref()),
        Cell::Bytea(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Value::from(format!("\\x{digits}"))
        }
        Cell::Integer(number) => Value::from(number),
        Cell::Bigint(number) => Value::from(number),
        Cell::Timestamptz(time) => Value::from(time.to_string()),
        Cell::Texts(texts) => Value::from(texts.to_vec()),
        Cell::Bigints(numbers) => Value::from(numbers.to_vec()),
    }
}
