//! Stock under any history of commands of many orders.

use std::collections::BTreeMap;

use domain::planted::Planted;
use domain::stock::Level;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection::vec, sample::select};
use schemas::{
    AdjustStock, CommitStock, InventoryCommand, Message, OrderId, ReceiveStock, ReleaseStock, ReserveStock,
    ReturnStock, ReturnedStock, StockCommand, StockLine,
};

use super::fixtures::{command_id, describe, noon, sku, stock_line};
use super::simulation::inventory::{Books, Inventory};

#[derive(Debug, Clone)]
enum Step {
    Order(InventoryCommand),
    Stock(StockCommand),
}

fn any_step() -> impl Strategy<Value = Step> {
    let orders = select(vec!["o-1", "o-2", "o-3"]);
    let skus = select(vec!["a", "b"]);
    let lines = vec((skus.clone(), 1_i64..4), 1..4);
    prop_oneof![
        4 => (orders.clone(), lines).prop_map(|(order, lines)| {
            let lines = lines.into_iter().map(|(sku, quantity)| stock_line(sku, quantity)).collect::<Vec<StockLine>>();
            Step::Order(ReserveStock { order_id: OrderId::new(order).unwrap(), lines }.into())
        }),
        2 => orders.clone().prop_map(|order| Step::Order(CommitStock { order_id: OrderId::new(order).unwrap() }.into())),
        3 => (orders.clone(), select(vec!["x", "y"]), skus.clone(), 0_i64..3, -1_i64..3).prop_map(
            |(order, id, name, restocked, written_off)| {
                let lines = vec![ReturnedStock { sku: sku(name), restocked, written_off }];
                let order_id = OrderId::new(order).unwrap();
                Step::Order(ReturnStock { order_id, return_id: command_id(id), lines }.into())
            }
        ),
        2 => orders.prop_map(|order| Step::Order(ReleaseStock { order_id: OrderId::new(order).unwrap() }.into())),
        2 => (skus.clone(), -1_i64..8).prop_map(|(name, quantity)| {
            Step::Stock(ReceiveStock::of(sku(name), command_id(&format!("r{quantity}")), quantity).into())
        }),
        1 => (skus.clone(), -4_i64..4).prop_map(|(name, delta)| {
            Step::Stock(AdjustStock::of(sku(name), command_id(&format!("a{delta}")), delta).into())
        }),
        2 => (skus, select(vec!["x", "y", "z"]), -1_i64..4, select(vec![None, Some("desk-3")])).prop_map(
            |(name, id, price, by)| Step::Stock(describe(name, id, "Pen", price, "EUR", by).into())
        ),
    ]
}

/// The books folded from what was said, the orders in descending order and each twice, as after a redrive.
fn folded(said: &[Message]) -> Books {
    let mut books = Books::default();
    let mut keys: Vec<&str> = said.iter().map(Message::key).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys.into_iter().rev() {
        let mine: Vec<&Message> = said.iter().filter(|message| message.key() == key).collect();
        for message in mine.iter().chain(&mine) {
            if let Message::InventoryEvent(event) = message {
                books.fold(&OrderId::new(key).unwrap(), event).unwrap();
            }
            if let Message::StockEvent(event) = message {
                books.fold_stock(&sku(key), event).unwrap();
            }
        }
    }
    books
}

proptest! {
    #[test]
    fn no_history_sells_what_is_not_there(steps in vec(any_step(), 0..60)) {
        let mut inventory = Inventory { planted: Planted::NONE, books: Books::default() };
        let mut said: Vec<Message> = Vec::new();
        for step in steps {
            let (messages, _) = match step {
                Step::Order(command) => inventory.handle(&command, noon()).unwrap(),
                Step::Stock(command) => inventory.handle_stock(&command, noon()).unwrap(),
            };
            prop_assert_eq!(messages.len(), 1, "every command is answered");
            said.extend(messages);
            prop_assert!(inventory.books.levels.values().all(Level::is_sound), "{:?}", inventory.books.levels);
        }
        prop_assert_eq!(folded(&said), inventory.books);
        let mut versions: BTreeMap<(&str, Option<i64>), &Message> = BTreeMap::new();
        for message in said.iter().filter(|message| message.version().is_some()) {
            let first = versions.entry((message.key(), message.version())).or_insert(message);
            prop_assert_eq!(*first, message);
        }
    }
}
