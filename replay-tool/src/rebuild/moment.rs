//! State as it was at a moment, for people: one order or one SKU row by row, or the whole shop in a few sums.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use schemas::ServiceName;
use serde_json::{Value, json};

use super::plan::Wanted;
use super::problem::Problems;
use super::vector::Vector;
use super::{Differences, Rebuild};
use crate::error::ReplayError;
use crate::report::OrderCounts;
use crate::snapshot::{Rows, Table, TableRow};

/// State at a moment.
#[derive(Debug)]
pub(crate) struct Moment {
    wanted: Wanted,
    pub(crate) rows: Rows,
    pub(crate) vector: Vector,
    pub(crate) problems: Problems,
}

impl Rebuild {
    /// Fold everything that is wanted, in memory.
    pub(crate) async fn moment(&self, wanted: Wanted) -> Result<Moment, ReplayError> {
        let (written, rows) = self.in_memory(&ServiceName::ALL, wanted.clone(), true).await?;
        let mut rows = rows.unwrap_or_default();
        match &wanted {
            Wanted::Everything | Wanted::Order(_) => {}
            Wanted::Sku(sku) => {
                rows.reservations.clear();
                rows.receipts.retain(|(key, _), _| key == sku);
            }
        }
        Ok(Moment { wanted, rows, vector: written.vector, problems: written.problems })
    }
}

impl Moment {
    /// Whether there is nothing of what was wanted.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == Rows::default()
    }

    /// Sums over everything.
    pub(crate) fn summary(&self) -> Value {
        let mut orders = OrderCounts::default();
        self.rows.orders.values().for_each(|order| orders.count(&order.stage));
        let mut captured: BTreeMap<&str, i64> = BTreeMap::new();
        for posting in self.rows.ledger.values().filter(|posting| posting.account == "sales") {
            let sum = captured.entry(&posting.currency).or_default();
            *sum = sum.saturating_sub(posting.amount_minor);
        }
        let stock = self.rows.stock.values();
        let sum = |of: fn(&crate::snapshot::StockRow) -> i64| stock.clone().map(of).fold(0_i64, i64::saturating_add);
        json!({
            "orders": orders,
            "payments": self.rows.payments.len(),
            "captured_minor": captured,
            "stock": {
                "skus": self.rows.stock.len(),
                "received": sum(|row| row.received),
                "reserved": sum(|row| row.reserved),
                "shipped": sum(|row| row.shipped),
            },
            "problems": self.problems.found,
        })
    }

    /// The rows of one order or SKU, or the summary; with the vector that they were folded to.
    pub(crate) fn json(&self) -> Value {
        let mut told = match &self.wanted {
            Wanted::Everything => self.summary(),
            Wanted::Order(_) | Wanted::Sku(_) => {
                let Rows { orders, contents, reservations, stock, receipts, payments, ledger } = &self.rows;
                json!({
                    "orders": array(orders), "order_contents": array(contents), "reservations": array(reservations),
                    "stock": array(stock), "stock_receipts": array(receipts), "payments": array(payments),
                    "ledger": array(ledger), "problems": self.problems.found,
                })
            }
        };
        if let Value::Object(fields) = &mut told {
            fields.insert("vector".into(), json!(self.vector));
            fields.insert("listed_problems".into(), json!(self.problems.listed));
        }
        told
    }
}

fn array<R: TableRow>(table: &Table<R>) -> Value {
    table.values().map(TableRow::json).collect()
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Everything => write_summary(&self.summary(), f)?,
            Wanted::Order(id) if self.is_empty() => writeln!(f, "there is no order {id} yet")?,
            Wanted::Sku(sku) if self.is_empty() => writeln!(f, "there is no SKU {sku} yet")?,
            Wanted::Order(_) | Wanted::Sku(_) => {
                let Rows { orders, contents, reservations, stock, receipts, payments, ledger } = &self.rows;
                write_rows(orders, f)?;
                write_rows(contents, f)?;
                write_rows(reservations, f)?;
                write_rows(stock, f)?;
                write_rows(receipts, f)?;
                write_rows(payments, f)?;
                write_rows(ledger, f)?;
            }
        }
        self.problems.listed.iter().take(20).try_for_each(|problem| writeln!(f, "problem: {problem}"))
    }
}

/// One column a line; what is null is left out.
fn write_rows<R: TableRow>(table: &Table<R>, f: &mut Formatter<'_>) -> fmt::Result {
    for row in table.values() {
        writeln!(f, "{}", row.subject())?;
        let Value::Object(columns) = row.json() else { continue };
        for name in R::COLUMNS {
            match columns.get(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => writeln!(f, "  {name:<24} {text}")?,
                Some(value) => writeln!(f, "  {name:<24} {value}")?,
            }
        }
    }
    Ok(())
}

fn write_summary(summary: &Value, f: &mut Formatter<'_>) -> fmt::Result {
    let Value::Object(parts) = summary else { return Ok(()) };
    for (name, part) in parts {
        match part {
            Value::Object(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .filter(|(_, value)| value.as_i64() != Some(0))
                    .map(|(field, value)| format!("{field} {value}"))
                    .collect();
                writeln!(f, "{name:<15} {}", if fields.is_empty() { "none".to_owned() } else { fields.join(", ") })?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                writeln!(f, "{name:<15} {part}")?;
            }
        }
    }
    Ok(())
}

impl Differences {
    /// As a table of what was and what became of it.
    pub(crate) fn between_moments(&self) -> String {
        if self.is_empty() {
            return "nothing changed in between\n".to_owned();
        }
        let table = self.to_string();
        let (head, rest) = table.split_once('\n').unwrap_or((&table, ""));
        let head = head.replacen("live", "then", 1).replacen("rebuilt", "later", 1);
        format!("{} changes\n{head}\n{rest}", self.found)
    }
}
