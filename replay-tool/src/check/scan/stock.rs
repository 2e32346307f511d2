//! `stock.events.v1` folded: what came in, by which command, and what was refused.

use std::collections::{HashMap, HashSet};

use schemas::{CommandId, Sku, StockEvent, message_id};
use uuid::Uuid;
use workers::inventory::stock::{Level, Receipt, evolve_stock};

use super::Told;
use super::versions::Versions;
use crate::check::findings::{Findings, Invariant};

/// Receipts and adjustments as their events tell them.
#[derive(Debug, Default)]
pub(crate) struct StockFold {
    /// Without what reservations add.
    pub(crate) levels: HashMap<Sku, Level>,
    pub(crate) receipts: HashMap<(Sku, CommandId), Receipt>,
    /// The ids of refused commands' events.
    pub(crate) refusals: HashSet<Uuid>,
    /// SKUs whose events contradict each other.
    pub(crate) contradicted: HashSet<String>,
    versions: Versions,
}

impl StockFold {
    pub(crate) fn apply(&mut self, event: &StockEvent, told: Told, findings: &mut Findings) {
        let (sku, version) = match event {
            StockEvent::StockReceived(event) => (&event.sku, event.version),
            StockEvent::StockAdjusted(event) => (&event.sku, event.version),
            StockEvent::StockCommandRejected(_) => {
                self.refusals.extend(told.id);
                return;
            }
        };
        if self.contradicted.contains(sku.as_str()) {
            return;
        }
        let expected = message_id::of_sku_version(sku.as_str(), version, 0);
        self.versions.see(sku.as_str(), version, told, expected, findings);
        let level = self.levels.get(sku).copied().unwrap_or_default();
        match evolve_stock(sku, level, event) {
            Ok(next) => {
                if next.version > level.version
                    && let Some(receipt) = Receipt::of(event)
                {
                    self.receipts.insert((sku.clone(), receipt.command_id.clone()), receipt);
                }
                self.levels.insert(sku.clone(), next);
            }
            Err(inconsistent) => {
                findings.add(Invariant::Rebuild, sku.as_str(), inconsistent.to_string());
                self.contradicted.insert(sku.as_str().to_owned());
            }
        }
    }
}
