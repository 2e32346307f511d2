//! State as it was at a moment, for people: one order or one SKU row by row, or the whole shop in a few sums.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use domain::stock::Level;
use futures_util::future::try_join_all;
use grammar::counted;
use schemas::ServiceName;
use serde_json::{Map, Value, json};

use crate::error::ReplayError;
use crate::fold::{OrderCounts, Wanted};
use crate::keeper::Keeper;
use crate::rebuild::into::{FileSink, StateFile, UnitLimit};
use crate::rebuild::plan::Vector;
use crate::rebuild::run::{Rebuild, blocking};
use crate::rebuild::unit::Problems;
use crate::rows::{
    Differences, EachTable, OrderRow, PaymentRow, PostingRow, RowFormats, StockRow, TableRow, each_table,
};

/// The read model has nothing that they do not.
fn services() -> [Keeper; 3] {
    ServiceName::ALL.map(Keeper::from)
}

/// State at a moment.
#[derive(Debug)]
pub(crate) struct Moment {
    /// In a file without a name.
    file: Arc<StateFile>,
    told: Told,
    vector: Vector,
    problems: Problems,
}

/// What is told of it.
#[derive(Debug)]
enum Told {
    /// Of one order or SKU, which is so called: its rows by table, and the same in lines.
    Rows { what: String, tables: Map<String, Value>, lines: String },
    /// Of the whole shop.
    Sums(Value),
}

impl Rebuild {
    /// Fold everything that is wanted.
    pub(crate) async fn moment(&self, wanted: Wanted) -> Result<Moment, ReplayError> {
        let file = StateFile::temporary(&services())?;
        let limit = UnitLimit::new(self.parallel);
        let fill = async |keeper| {
            let plan = self.plan(keeper, self.until.clone(), wanted.clone(), self.unit_records).await?;
            let mut sink = FileSink::new(keeper, &file);
            self.fill(plan, &mut sink, &limit).await?;
            blocking(move || sink.finish()).await
        };
        let parts = try_join_all(services().map(fill)).await?;
        limit.finish();
        let (mut vector, mut problems) = (Vector::default(), Problems::default());
        for part in parts {
            vector.join(part.vector);
            problems.append(part.problems);
        }
        let what = match &wanted {
            Wanted::Everything => None,
            Wanted::Order(id) => Some(format!("order {id}")),
            Wanted::Sku(sku) => Some(format!("SKU {sku}")),
        };
        let of = Arc::clone(&file);
        let told = blocking(move || match what {
            None => sums(&of).map(Told::Sums),
            Some(what) => rows(&of, what),
        });
        Ok(Moment { told: told.await?, file, vector, problems })
    }
}

impl Moment {
    /// Whether there is nothing of what was wanted.
    pub(crate) fn is_missing(&self) -> bool {
        match &self.told {
            Told::Rows { lines, .. } => lines.is_empty(),
            Told::Sums(_) => false,
        }
    }

    /// What became of it until the other one, which is of the same.
    pub(crate) async fn differences(&self, later: &Moment) -> Result<Differences, ReplayError> {
        let (file, later) = (Arc::clone(&self.file), Arc::clone(&later.file));
        blocking(move || file.differences(&later, &services())).await
    }

    /// The rows of one order or SKU, or the sums; with the vector that they were folded to.
    pub(crate) fn json(&self) -> Value {
        let mut told = match &self.told {
            Told::Rows { tables, .. } => Value::Object(tables.clone()),
            Told::Sums(sums) => sums.clone(),
        };
        if let Value::Object(fields) = &mut told {
            fields.insert("problems".into(), json!(self.problems.found));
            fields.insert("vector".into(), json!(self.vector));
            fields.insert("listed_problems".into(), json!(self.problems.listed));
        }
        told
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.told {
            Told::Sums(sums) => {
                write_sums(sums, f)?;
                writeln!(f, "{:<15} {}", "problems", self.problems.found)?;
            }
            Told::Rows { what, .. } if self.is_missing() => writeln!(f, "there is no {what} yet")?,
            Told::Rows { lines, .. } => f.write_str(lines)?,
        }
        self.problems.listed.iter().take(20).try_for_each(|problem| writeln!(f, "problem: {problem}"))
    }
}

/// All rows, few as they are, in the order of their keys. Blocks.
fn rows(file: &StateFile, what: String) -> Result<Told, ReplayError> {
    struct Telling<'f> {
        file: &'f StateFile,
        tables: Map<String, Value>,
        lines: String,
    }
    impl EachTable for Telling<'_> {
        type Error = ReplayError;

        fn table<R: TableRow>(&mut self) -> Result<(), ReplayError> {
            let mut rows: Vec<R> = Vec::new();
            self.file.each(|row| rows.push(row))?;
            rows.sort_by_key(R::key);
            rows.iter().for_each(|row| put_lines(row, &mut self.lines));
            self.tables.insert(R::TABLE.to_owned(), rows.iter().map(RowFormats::json).collect());
            Ok(())
        }
    }
    let mut telling = Telling { file, tables: Map::new(), lines: String::new() };
    services().into_iter().try_for_each(|keeper| each_table(keeper, &mut telling))?;
    Ok(Told::Rows { what, tables: telling.tables, lines: telling.lines })
}

/// One column a line; what is null is left out.
fn put_lines<R: TableRow>(row: &R, lines: &mut String) {
    lines.push_str(&row.subject());
    lines.push('\n');
    let Value::Object(columns) = row.json() else { return };
    for name in R::COLUMNS.iter().map(|column| column.name) {
        let text = match columns.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        lines.push_str(&format!("  {name:<24} {text}\n"));
    }
}

/// Sums over everything. Blocks.
fn sums(file: &StateFile) -> Result<Value, ReplayError> {
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
    let mut refunded: BTreeMap<String, i64> = BTreeMap::new();
    file.each(|row: PaymentRow| {
        payments += 1;
        if let (Some(currency), true) = (row.currency, row.refunded_minor != 0) {
            let sum = refunded.entry(currency).or_default();
            *sum = sum.saturating_add(row.refunded_minor);
        }
    })?;
    let (mut skus, mut sum) = (0_u64, Level::default());
    file.each(|row: StockRow| {
        skus += 1;
        sum.received = sum.received.saturating_add(row.received);
        sum.reserved = sum.reserved.saturating_add(row.reserved);
        sum.shipped = sum.shipped.saturating_add(row.shipped);
        sum.returned = sum.returned.saturating_add(row.returned);
        sum.written_off = sum.written_off.saturating_add(row.written_off);
    })?;
    Ok(json!({
        "orders": orders,
        "payments": payments,
        "captured_minor": captured,
        "refunded_minor": refunded,
        "stock": {
            "skus": skus, "received": sum.received, "reserved": sum.reserved, "shipped": sum.shipped,
            "returned": sum.returned, "written_off": sum.written_off,
        },
    }))
}

fn write_sums(sums: &Value, f: &mut Formatter<'_>) -> fmt::Result {
    let Value::Object(parts) = sums else { return Ok(()) };
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
        format!("{}\n{head}\n{rest}", counted(self.found, "change"))
    }
}
