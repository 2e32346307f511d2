//! What people do about orders that they see in a list: a warehouse ships and takes goods back, a shop refunds, a reviewer holds,
//! releases and rejects, an operator frees what is stuck. Mostly what fits the order, now and then anything.

use std::collections::BTreeMap;

use domain::saga::{Order, Return, ReturnState, Stage};
use schemas::{
    CancelOrder, CommandId, HoldOrder, LineQuantity, OrderCommand, OrderId, ReceiveReturn, RefundOrder, RejectOrder,
    ReleaseOrder, RequestReturn, ResolveOrder, RetryOrder, ReturnedLine, ShipOrder, SkipOrderStep,
};

use super::random::Random;
use crate::fixtures::command_id;

#[derive(Default)]
pub(super) struct Operators {
    commands: u64,
    tries: BTreeMap<OrderId, u32>,
}

/// How often somebody tries to free an order, when everything else is over.
const PATIENCE: u32 = 12;

impl Operators {
    /// What somebody does about one of the orders.
    pub(super) fn act(&mut self, random: &mut Random, orders: &BTreeMap<OrderId, Order>) -> Option<OrderCommand> {
        let waits_for_somebody = |order: &&Order| match order.stage {
            Stage::Authorized | Stage::ReadyToShip | Stage::Completed | Stage::Stuck { .. } => true,
            Stage::Placed
            | Stage::StockReserved
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Cancelling { .. }
            | Stage::Cancelled => order.hold().is_some(),
        };
        let is_anything = random.one_in(4);
        let listed: Vec<&Order> = orders.values().filter(|order| is_anything || waits_for_somebody(order)).collect();
        if listed.is_empty() {
            return None;
        }
        let order = listed[random.index(listed.len())];
        Some(if random.one_in(6) { self.anything(random, order) } else { self.fitting(random, order) })
    }

    /// What has to be done so that orders come to their end: the last goods are shipped, and what is stuck is tried again.
    pub(super) fn finish(&mut self, orders: &BTreeMap<OrderId, Order>) -> Option<OrderCommand> {
        let is_left = |order: &&Order| match order.stage {
            Stage::ReadyToShip => order.hold().is_none(),
            Stage::Stuck { .. } => self.tries.get(&order.order_id).is_none_or(|tries| *tries < PATIENCE),
            Stage::Placed
            | Stage::StockReserved
            | Stage::Authorized
            | Stage::Confirmed
            | Stage::PaymentCaptured
            | Stage::Shipped
            | Stage::StockCommitted
            | Stage::Completed
            | Stage::Cancelling { .. }
            | Stage::Cancelled => false,
        };
        let order = orders.values().find(is_left)?;
        if order.stage == Stage::ReadyToShip {
            return Some(self.ship(order));
        }
        *self.tries.entry(order.order_id.clone()).or_default() += 1;
        Some(self.retry(order))
    }

    fn fitting(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        match (&order.stage, random.below(10)) {
            (Stage::ReadyToShip, 0..=4) => self.ship(order),
            (Stage::Authorized | Stage::ReadyToShip, 6) => self.reject(order),
            (Stage::Stuck { .. }, 0..=6) => self.retry(order),
            (Stage::Stuck { .. }, 7) => self.skip(order),
            (Stage::Stuck { .. }, 8) => self.resolve(random, order),
            (Stage::Completed, 0..=2) => self.request_return(random, order),
            (Stage::Completed, 3..=6) => self.receive_return(random, order),
            (Stage::Completed, _) | (Stage::ReadyToShip, 5 | 7 | 8) => self.refund(random, order),
            _ if order.hold().is_some() => self.release(order),
            _ => self.anything(random, order),
        }
    }

    fn anything(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        match random.below(11) {
            0 => CancelOrder::new(order.order_id.clone(), self.id()).into(),
            1 => self.ship(order),
            2 => self.hold(random, order),
            3 => self.release(order),
            4 => self.reject(order),
            5 => self.refund(random, order),
            6 => self.request_return(random, order),
            7 => self.receive_return(random, order),
            8 => self.retry(order),
            9 => self.skip(order),
            _ => self.resolve(random, order),
        }
    }

    fn id(&mut self) -> CommandId {
        self.commands += 1;
        command_id(&format!("op-{}", self.commands))
    }

    fn ship(&mut self, order: &Order) -> OrderCommand {
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        ShipOrder { order_id, command_id, lines: vec![], carrier: None, tracking: None, by: None, note: None }.into()
    }

    fn hold(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        let until = random.one_in(2).then(|| order.changed_at.plus_ms(random.number(100, 3_000)));
        let (order_id, command_id, reason_code) = (order.order_id.clone(), self.id(), "review".to_owned());
        HoldOrder { order_id, command_id, reason_code, until, by: None, note: None }.into()
    }

    fn release(&mut self, order: &Order) -> OrderCommand {
        ReleaseOrder { order_id: order.order_id.clone(), command_id: self.id(), by: None, note: None }.into()
    }

    fn reject(&mut self, order: &Order) -> OrderCommand {
        let (order_id, command_id, reason_code) = (order.order_id.clone(), self.id(), "fraud".to_owned());
        RejectOrder { order_id, command_id, reason_code, by: None, note: None }.into()
    }

    fn refund(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        let all = RefundOrder::all(order.order_id.clone(), self.id());
        match random.below(4) {
            0 => all.into(),
            1 => RefundOrder { lines: vec![LineQuantity { line: 1, quantity: 1 }], ..all }.into(),
            _ => RefundOrder { amount_minor: Some(random.number(0, order.total_minor / 2 + 1)), ..all }.into(),
        }
    }

    fn request_return(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        let one = LineQuantity { line: 1, quantity: random.number(1, 2) };
        let lines = if random.one_in(3) { vec![] } else { vec![one] };
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        RequestReturn { order_id, command_id, lines, reason_code: None, by: None, note: None }.into()
    }

    /// Of the first open return, or of one that there is not; everything, or a part.
    fn receive_return(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        let returns = order.aftercare.as_ref().map_or(&[][..], |aftercare| &aftercare.returns);
        let open = returns.iter().find(|one| one.state == ReturnState::Requested);
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        let return_id = open.map_or(command_id.clone(), |one| one.return_id.clone());
        let lines = open.map_or(vec![], |one| came_back(random, one));
        let refund_minor = random.one_in(4).then(|| random.number(0, 300));
        ReceiveReturn { order_id, command_id, return_id, lines, refund_minor, by: None, note: None }.into()
    }

    fn retry(&mut self, order: &Order) -> OrderCommand {
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        RetryOrder { order_id, command_id, step: None, by: None, note: None }.into()
    }

    fn skip(&mut self, order: &Order) -> OrderCommand {
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        SkipOrderStep { order_id, command_id, step: None, by: None, note: None }.into()
    }

    fn resolve(&mut self, random: &mut Random, order: &Order) -> OrderCommand {
        let outcome = if random.one_in(2) { "completed" } else { "cancelled" }.to_owned();
        let (order_id, command_id) = (order.order_id.clone(), self.id());
        ResolveOrder { order_id, command_id, outcome, by: None, note: None }.into()
    }
}

fn came_back(random: &mut Random, open: &Return) -> Vec<ReturnedLine> {
    let is_partial = random.one_in(3);
    let mut line = |one: &LineQuantity| ReturnedLine {
        line: one.line,
        quantity: if is_partial { 1 } else { one.quantity },
        disposition: if random.one_in(3) { "write_off" } else { "restock" }.to_owned(),
    };
    open.lines.iter().map(&mut line).collect()
}
