//! The tables once more, from what the service has said alone: for `rebuild`.

use std::collections::BTreeMap;

use consumer::rebuild::{Derived, Table};
use consumer::{Either, FromTo, JsonMessage};
use serde_json::json;

use crate::contract::{Entry, Orders};

/// All entries, and the accounts that they make.
#[derive(Debug, Default)]
pub struct Book {
    /// By order.
    pub entries: BTreeMap<String, Entry>,
    /// Points by customer.
    pub accounts: BTreeMap<String, i64>,
}

impl Derived for Book {
    type Contract = FromTo<Orders, Entry>;
    const TOPICS: &'static [&'static str] = &[Entry::TOPIC];

    fn evolve(&mut self, message: Either<schemas::OrderEvent, Entry>) -> Result<(), String> {
        let Either::Said(entry) = message else { return Ok(()) };
        if let Some(points) = entry.added() {
            let account = self.accounts.entry(entry.customer.clone()).or_default();
            *account = account.checked_add(points).ok_or("an account has more points than fit")?;
        }
        self.entries.insert(entry.order_id.clone(), entry);
        Ok(())
    }

    fn tables(&self) -> Vec<Table> {
        let account = |(customer, points)| json!({ "customer": customer, "points": points });
        vec![
            Table::new("loyalty_entries", &["order_id"], self.entries.values()),
            Table::new("loyalty_accounts", &["customer"], self.accounts.iter().map(account)),
        ]
    }
}
