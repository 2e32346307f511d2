//! State as it was at a moment, for people: one order or one SKU row by row, or the whole shop in a few sums.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use futures_util::future::try_join_all;
use schemas::ServiceName;
use serde_json::{Value, json};

use super::file::{FileSink, StateFile};
use super::plan::Wanted;
use super::problem::Problems;
use super::sink::Pace;
use super::vector::Vector;
use super::{Differences, Rebuild, blocking};
use crate::error::ReplayError;
use crate::report::OrderCounts;
use crate::snapshot::{OrderRow, PaymentRow, PostingRow, Rows, StockRow, Table, TableRow};

/// State at a moment.
#[derive(Debug)]
pub(crate) struct Moment {
    state: State,
    pub(crate) vector: Vector,
    pub(crate) problems: Problems,
}

#[derive(Debug)]
enum State {
    /// Of one order or SKU, which is so called.
    Of { what: String, rows: Rows },
    /// The whole shop, in a file without a name, and what it amounts to.
    Everything { file: Arc<StateFile>, sums: Value },
}

impl Rebuild {
    /// Fold everything that is wanted.
    pub(crate) async fn moment(&self, wanted: Wanted) -> Result<Moment, ReplayError> {
        let what = match &wanted {
            Wanted::Everything => return self.whole_moment().await,
            Wanted::Order(id) => format!("order {id}"),
            Wanted::Sku(sku) => format!("SKU {sku}"),
        };
        let (written, mut rows) = self.in_memory(&ServiceName::ALL, wanted.clone()).await?;
        if let Wanted::Sku(sku) = &wanted {
            rows.reservations.clear();
            rows.receipts.retain(|(key, _), _| key == sku);
        }
        Ok(Moment { state: State::Of { what, rows }, vector: written.vector, problems: written.problems })
    }

    async fn whole_moment(&self) -> Result<Moment, ReplayError> {
        let file = StateFile::temporary(&ServiceName::ALL)?;
        let pace = Pace::new(self.parallel);
        let fill = async |service| {
            let plan = self.plan(&[service], self.until.clone(), Wanted::Everything, self.unit_records).await?;
            let mut sink = FileSink::new(service, &file);
            self.fill(plan, &mut sink, &pace).await?;
            blocking(move || sink.finish()).await
        };
        let parts = try_join_all(ServiceName::ALL.map(fill)).await?;
        pace.finish();
        let (mut vector, mut problems) = (Vector::default(), Problems::default());
        for part in parts {
            vector.join(part.vector);
            problems.append(part.problems);
        }
        let (of, found) = (Arc::clone(&file), problems.found);
        let sums = blocking(move || sums(&of, found)).await?;
        Ok(Moment { state: State::Everything { file, sums }, vector, problems })
    }
}

impl Moment {
    /// Whether there is nothing of what was wanted.
    pub(crate) fn is_missing(&self) -> bool {
        match &self.state {
            State::Of { rows, .. } => *rows == Rows::default(),
            State::Everything { .. } => false,
        }
    }

    /// What became of it until the other one, which is of the same.
    pub(crate) async fn differences(&self, later: &Moment) -> Result<Differences, ReplayError> {
        match (&self.state, &later.state) {
            (State::Everything { file, .. }, State::Everything { file: later, .. }) => {
                let (file, later) = (Arc::clone(file), Arc::clone(later));
                blocking(move || file.differences(&later, &ServiceName::ALL)).await
            }
            (State::Of { rows, .. }, State::Of { rows: later, .. }) => {
                Ok(Differences::between(rows, later, &ServiceName::ALL))
            }
            (State::Of { .. }, State::Everything { .. }) | (State::Everything { .. }, State::Of { .. }) => {
                Err(ReplayError::arguments("two moments of different things"))
            }
        }
    }

    /// The rows of one order or SKU, or the summary; with the vector that they were folded to.
    pub(crate) fn json(&self) -> Value {
        let mut told = match &self.state {
            State::Everything { sums, .. } => sums.clone(),
            State::Of { rows, .. } => {
                let Rows { orders, contents, reservations, stock, receipts, payments, ledger } = rows;
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

/// Sums over everything. Blocks.
fn sums(file: &StateFile, problems: u64) -> Result<Value, ReplayError> {
    let mut orders = OrderCounts::default();
    file.each(|row: OrderRow| orders.count(&row.stage))?;
    let mut captured: BTreeMap<String, i64> = BTreeMap::new();
    file.each(|row: PostingRow| {
        if row.account == "sales" {
            let sum = captured.entry(row.currency).or_default();
            *sum = sum.saturating_sub(row.amount_minor);
        }
    })?;
    let mut payments = 0_u64;
    file.each(|_: PaymentRow| payments += 1)?;
    let (mut skus, mut received, mut reserved, mut shipped) = (0_u64, 0_i64, 0_i64, 0_i64);
    file.each(|row: StockRow| {
        skus += 1;
        received = received.saturating_add(row.received);
        reserved = reserved.saturating_add(row.reserved);
        shipped = shipped.saturating_add(row.shipped);
    })?;
    Ok(json!({
        "orders": orders,
        "payments": payments,
        "captured_minor": captured,
        "stock": { "skus": skus, "received": received, "reserved": reserved, "shipped": shipped },
        "problems": problems,
    }))
}

fn array<R: TableRow>(table: &Table<R>) -> Value {
    table.values().map(TableRow::json).collect()
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Everything { sums, .. } => write_summary(sums, f)?,
            State::Of { what, .. } if self.is_missing() => writeln!(f, "there is no {what} yet")?,
            State::Of { rows, .. } => {
                let Rows { orders, contents, reservations, stock, receipts, payments, ledger } = rows;
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
