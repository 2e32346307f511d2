//! What clients and operators publish: good and bad orders, orders twice, cancels, receipts and adjustments.

use schemas::{
    AdjustStock, CancelOrder, CustomerId, Message, OrderId, OrderLine, PlaceOrder, ReceiveStock, RefundOrder, Time,
};

use super::random::Random;
use crate::fixtures::{command_id, noon, sku};

const SKUS: [&str; 4] = ["apple", "bread", "cheese", "date"];

#[derive(Default)]
pub(super) struct Clients {
    placed: Vec<PlaceOrder>,
    commands: i64,
}

impl Clients {
    /// Something that somebody publishes now.
    pub(super) fn publish(&mut self, random: &mut Random) -> Message {
        match random.below(10) {
            0..=3 => self.place(random),
            4 => self.again(random),
            5 | 6 => self.cancel(random),
            7 => self.receive(random),
            8 => self.adjust(random),
            _ => self.refund(random),
        }
    }

    /// Goods for the start.
    pub(super) fn receive(&mut self, random: &mut Random) -> Message {
        let command_id = self.command(random);
        let quantity = random.number(0, 12);
        ReceiveStock { sku: sku(SKUS[random.index(SKUS.len())]), command_id, quantity }.into()
    }

    fn place(&mut self, random: &mut Random) -> Message {
        let lines = (0..random.number(1, 3)).map(|_| line(random)).collect();
        let command = PlaceOrder {
            order_id: OrderId::new(format!("o-{}", self.placed.len())).unwrap(),
            customer_id: CustomerId::new("c-1").unwrap(),
            placed_at: noon(),
            currency: if random.one_in(20) { "XYZ".into() } else { "EUR".into() },
            lines,
        };
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
        CancelOrder { order_id: self.recent(random), command_id: self.command(random) }.into()
    }

    fn refund(&mut self, random: &mut Random) -> Message {
        RefundOrder { order_id: self.recent(random), command_id: self.command(random) }.into()
    }

    fn adjust(&mut self, random: &mut Random) -> Message {
        let command_id = self.command(random);
        AdjustStock { sku: sku(SKUS[random.index(SKUS.len())]), command_id, delta: random.number(-4, 4) }.into()
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

fn line(random: &mut Random) -> OrderLine {
    let quantity = if random.one_in(25) { 0 } else { random.number(1, 3) };
    let unit_price_minor = if random.one_in(6) { 0 } else { random.number(1, 500) };
    OrderLine { sku: sku(SKUS[random.index(SKUS.len())]), quantity, unit_price_minor }
}
