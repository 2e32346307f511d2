//! How two sets of rows differ, named so that a person finds the row. Pure.

use std::collections::BTreeMap;
use std::fmt;

use crate::rebuild::Table;
use crate::rebuild::store::Row;

/// What a comparison has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows that events make.
    pub rebuilt: usize,
    /// Rows of the live tables.
    pub live: usize,
    /// Every difference, table by table, ascending by key; none is good.
    pub differences: Vec<Difference>,
}

/// A row that is not as its events say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row: `customer=c-7`.
    pub key: String,
    /// What is different.
    pub what: What,
}

/// What is different in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Events make it, and the live table has none of its key.
    Missing,
    /// The live table has it, and no event makes it.
    Unexplained,
    /// A column has another value.
    Column {
        /// Its name.
        name: String,
        /// As the live table has it; `None` for null.
        live: Option<String>,
        /// As events make it.
        rebuilt: Option<String>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { table, key, what } = self;
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
        match what {
            What::Missing => write!(f, "{table} {key}: events make this row, and the table has none"),
            What::Unexplained => write!(f, "{table} {key}: the table has this row, and no event makes it"),
            What::Column { name, live, rebuilt } => {
                write!(f, "{table} {key}: {name} is {}, by the events {}", shown(live), shown(rebuilt))
            }
        }
    }
}

impl fmt::Display for Comparison {
    /// The differences, a line each, and the count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        let (live, rebuilt, differences) = (self.live, self.rebuilt, self.differences.len());
        write!(f, "{live} rows in the tables, {rebuilt} by the events: {differences} differences")
    }
}

impl Comparison {
    /// Compares the rows of one table, in the columns that the rebuilt ones have.
    pub(crate) fn add(&mut self, table: &Table, live: &[Row], rebuilt: &[Row]) {
        let by_key = |rows: &[Row]| -> BTreeMap<String, Row> {
            rows.iter().map(|row| (key_of(table.key, row), row.clone())).collect()
        };
        let (mut live_rows, rebuilt_rows) = (by_key(live), by_key(rebuilt));
        let mut found = Vec::new();
        for (key, row) in rebuilt_rows {
            let Some(stored) = live_rows.remove(&key) else {
                found.push((key, What::Missing));
                continue;
            };
            for (name, value) in row {
                let there = stored.get(&name).cloned().flatten();
                if there != value {
                    found.push((key.clone(), What::Column { name, live: there, rebuilt: value }));
                }
            }
        }
        found.extend(live_rows.into_keys().map(|key| (key, What::Unexplained)));
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.differences.extend(found.into_iter().map(|(key, what)| Difference { table: table.name, key, what }));
        self.live += live.len();
        self.rebuilt += rebuilt.len();
    }
}

fn key_of(columns: &[&'static str], row: &Row) -> String {
    let part = |name: &&str| format!("{name}={}", row.get(*name).cloned().flatten().unwrap_or_default());
    columns.iter().map(part).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> Row {
        columns.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn every_kind_of_difference_is_named_and_what_is_not_derived_is_not_compared() {
        let table = Table::new("accounts", &["customer"], Vec::<Row>::new());
        let live = [
            row(&[("customer", "a"), ("points", "5"), ("seen", "today")]),
            row(&[("customer", "b"), ("points", "5")]),
            row(&[("customer", "d"), ("points", "1")]),
        ];
        let rebuilt = [
            row(&[("customer", "a"), ("points", "5")]),
            row(&[("customer", "b"), ("points", "6")]),
            row(&[("customer", "c"), ("points", "7")]),
        ];
        let mut comparison = Comparison::default();
        comparison.add(&table, &live, &rebuilt);
        let told: Vec<String> = comparison.differences.iter().map(ToString::to_string).collect();
        let expected = [
            "accounts customer=b: points is 5, by the events 6",
            "accounts customer=c: events make this row, and the table has none",
            "accounts customer=d: the table has this row, and no event makes it",
        ];
        assert_eq!((told, comparison.live, comparison.rebuilt), (expected.map(str::to_owned).to_vec(), 3, 3));
    }
}
