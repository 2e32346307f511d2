//! The inventory service of the simulation: maps, `decide`, `evolve`, sums.

use std::collections::BTreeMap;

use domain::decision::{Decision, Inconsistent, Outcome};
use domain::planted::Planted;
use domain::stock::{Level, Product, Receipt, Reservation, decide, decide_stock, evolve, evolve_stock, skus_touched};
use schemas::{CommandId, InventoryCommand, InventoryEvent, Message, OrderId, Sku, StockCommand, StockEvent, Time};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) reservations: BTreeMap<OrderId, Reservation>,
    pub(crate) levels: BTreeMap<Sku, Level>,
    pub(crate) receipts: BTreeMap<(Sku, CommandId), Receipt>,
    pub(crate) products: BTreeMap<Sku, Product>,
}

pub(crate) struct Inventory {
    pub(crate) planted: Planted,
    pub(crate) books: Books,
}

impl Inventory {
    pub(crate) fn decide(&self, command: &InventoryCommand, now: Time) -> Decision<InventoryEvent> {
        let state = self.books.reservations.get(command.key());
        let locked: Vec<&Sku> = skus_touched(state, command).collect();
        let level_of = |sku: &Sku| {
            assert!(locked.contains(&sku), "the level of {sku} is read without its lock");
            self.books.levels.get(sku).copied().unwrap_or_default()
        };
        self.planted.alter_reservation(command, decide(state, command, level_of, now))
    }

    pub(crate) fn handle(
        &mut self,
        command: &InventoryCommand,
        now: Time,
    ) -> Result<(Vec<Message>, Outcome), Inconsistent> {
        let decision = self.decide(command, now);
        if let Some(event) = decision.change() {
            self.books.fold(command.key(), event)?;
        }
        let outcome = decision.outcome;
        Ok((decision.messages().collect(), outcome))
    }

    pub(crate) fn handle_stock(
        &mut self,
        command: &StockCommand,
        now: Time,
    ) -> Result<(Vec<Message>, Outcome), Inconsistent> {
        let (sku, command_id) = (command.key(), command.command_id());
        let level = self.books.levels.get(sku).copied().unwrap_or_default();
        let receipt = self.books.receipts.get(&(sku.clone(), command_id.clone()));
        let decision = self.planted.alter_stock(decide_stock(receipt, level, command, now));
        if let Some(event) = decision.change() {
            self.books.fold_stock(sku, event)?;
        }
        let outcome = decision.outcome;
        Ok((decision.messages().collect(), outcome))
    }
}

impl Books {
    pub(crate) fn fold(&mut self, order_id: &OrderId, event: &InventoryEvent) -> Result<(), Inconsistent> {
        let evolved = evolve(self.reservations.remove(order_id), event)?;
        if let Some(reservation) = evolved.reservation {
            self.reservations.insert(order_id.clone(), reservation);
        }
        for change in evolved.changes {
            let level = self.levels.entry(change.sku.clone()).or_default();
            *level = level.after(&change).unwrap();
        }
        Ok(())
    }

    pub(crate) fn fold_stock(&mut self, sku: &Sku, event: &StockEvent) -> Result<(), Inconsistent> {
        let before = self.levels.get(sku).copied().unwrap_or_default();
        let after = evolve_stock(sku, before, event)?;
        if after != before {
            self.levels.insert(sku.clone(), after);
            if let Some(product) = Product::of(event) {
                self.products.insert(sku.clone(), product);
            }
        }
        if let Some(receipt) = Receipt::of(event) {
            self.receipts.entry((sku.clone(), receipt.command_id.clone())).or_insert(receipt);
        }
        Ok(())
    }
}
