//! What clients publish: good and bad orders on all terms, orders twice, cancels, receipts, adjustments and descriptions.

use schemas::{
    AdjustStock, Adjustment, CancelOrder, CustomerId, Message, OrderId, OrderLine, PlaceOrder, ReceiveStock,
    RefundOrder, Time,
};

use super::random::Random;
use crate::fixtures::{command_id, describe, noon, sku};

/// Whose orders are held.
pub(super) const LISTED: &str = "c-listed";
const SKUS: [&str; 4] = ["apple", "bread", "cheese", "date"];

#[derive(Default)]
pub(super) struct Clients {
    placed: Vec<PlaceOrder>,
    commands: i64,
}

impl Clients {
    /// Something that somebody publishes now.
    pub(super) fn publish(&mut self, random: &mut Random) -> Message {
        match random.below(11) {
            0..=3 => self.place(random),
            4 => self.again(random),
            5 | 6 => self.cancel(random),
            7 => self.receive(random),
            8 => self.adjust(random),
            9 => self.describe(random),
            _ => self.refund(random),
        }
    }

    /// Goods for the start.
    pub(super) fn receive(&mut self, random: &mut Random) -> Message {
        let command_id = self.command(random);
        let quantity = random.number(0, 12);
        ReceiveStock::of(sku(SKUS[random.index(SKUS.len())]), command_id, quantity).into()
    }

    fn place(&mut self, random: &mut Random) -> Message {
        let lines = (0..random.number(1, 3)).map(|_| line(random)).collect();
        let order_id = OrderId::new(format!("o-{}", self.placed.len())).unwrap();
        let customer_id = CustomerId::new(if random.one_in(12) { LISTED } else { "c-1" }).unwrap();
        let currency = if random.one_in(20) { "XYZ" } else { "EUR" };
        let mut command = PlaceOrder::new(order_id, customer_id, noon(), currency, lines);
        if random.one_in(2) {
            set_terms(&mut command, random);
        }
        self.placed.push(command.clone());
        command.into()
    }

    fn again(&mut self, random: &mut Random) -> Message {
        if self.placed.is_empty() {
            return self.place(random);
        }
        let mut command = self.placed[random.index(self.placed.len())].clone();
        if random.one_in(3) {
            command.placed_at = Time::from_micros(1);
        }
        command.into()
    }

    fn cancel(&mut self, random: &mut Random) -> Message {
        CancelOrder::new(self.recent(random), self.command(random)).into()
    }

    fn refund(&mut self, random: &mut Random) -> Message {
        RefundOrder::all(self.recent(random), self.command(random)).into()
    }

    fn adjust(&mut self, random: &mut Random) -> Message {
        let command_id = self.command(random);
        AdjustStock::of(sku(SKUS[random.index(SKUS.len())]), command_id, random.number(-4, 4)).into()
    }

    fn describe(&mut self, random: &mut Random) -> Message {
        let command_id = self.command(random);
        let (title, price) = (if random.one_in(8) { "" } else { "Ware" }, random.number(-1, 300));
        let by = random.one_in(2).then_some("desk-3");
        describe(SKUS[random.index(SKUS.len())], command_id.as_str(), title, price, "EUR", by).into()
    }

    /// One of the last orders, or one that nobody placed.
    fn recent(&self, random: &mut Random) -> OrderId {
        let back = random.index(4);
        match self.placed.len().checked_sub(1 + back) {
            Some(index) => self.placed[index].order_id.clone(),
            None => OrderId::new("o-nobody's").unwrap(),
        }
    }

    /// A new command id or, now and then, an old one.
    fn command(&mut self, random: &mut Random) -> schemas::CommandId {
        if !random.one_in(5) {
            self.commands += 1;
        }
        command_id(&format!("k-{}", self.commands))
    }
}

/// Terms that an order can have, and now and then some that it cannot.
fn set_terms(command: &mut PlaceOrder, random: &mut Random) {
    let mut text = |one: &str, n| random.one_in(n).then(|| one.to_owned());
    command.fulfilment = Some("on_command".to_owned());
    command.capture = text("at_shipment", 3);
    if let Some(unknown) = text("by pigeon", 30) {
        command.fulfilment = Some(unknown);
    }
    command.payment_token = text("tok_1", 4);
    if let Some(value) = text("web", 3) {
        command.attributes.insert("channel".into(), value);
    }
    if random.one_in(4) {
        let amount_minor = random.number(-200, 300);
        let kind = if amount_minor < 0 { "discount" } else { "shipping" };
        command.adjustments.push(Adjustment { kind: kind.into(), amount_minor, line: None });
    }
}

fn line(random: &mut Random) -> OrderLine {
    let quantity = if random.one_in(25) { 0 } else { random.number(1, 3) };
    let unit_price_minor = if random.one_in(6) { 0 } else { random.number(1, 500) };
    OrderLine { sku: sku(SKUS[random.index(SKUS.len())]), quantity, unit_price_minor }
}
