//! Live tables against rebuilt ones, row for row and column for column.

use std::fmt::{self, Display, Formatter};

use schemas::ServiceName;
use serde::Serialize;
use tables::TableRow;

use super::merge::{Unequal, compare};
use super::table::{Difference, RowFormats as _, Table};
use super::{LookAtBoth, Rows};

/// Where a live row and its rebuilt one differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowDifference {
    /// The table and the row's key.
    pub row: String,
    /// The column; none where one of the two has no such row.
    pub column: Option<&'static str>,
    /// What the live table holds; none where it has no such row.
    pub live: Option<String>,
    /// What follows from the topics; none where they do not tell of such a row.
    pub rebuilt: Option<String>,
}

/// Differences: all counted, the first ones kept.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Differences {
    /// How many there are.
    pub found: u64,
    /// The first [`Differences::LISTED`].
    pub listed: Vec<RowDifference>,
}

impl Differences {
    /// How many are kept.
    pub const LISTED: usize = 1_000;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found == 0
    }

    /// All tables of these services.
    pub(crate) fn between(live: &Rows, rebuilt: &Rows, services: &[ServiceName]) -> Self {
        let mut all = Differences::default();
        services.iter().for_each(|service| live.each_pair(rebuilt, *service, &mut all));
        all
    }

    /// Between a live table, here, and a rebuilt one.
    pub(crate) fn add<R: TableRow>(&mut self, unequal: Unequal<'_, R>) {
        let row = unequal.row().subject();
        let whole = |row: &R| Some(row.json().to_string());
        let (column, live, rebuilt) = match unequal {
            Unequal::Here(row) => (None, whole(row), None),
            Unequal::There(row) => (None, None, whole(row)),
            Unequal::Column(_, Difference { column, here, there }) => (Some(column), Some(here), Some(there)),
        };
        self.found += 1;
        if self.listed.len() < Self::LISTED {
            self.listed.push(RowDifference { row, column, live, rebuilt });
        }
    }
}

impl LookAtBoth for Differences {
    /// The live table and the rebuilt one.
    fn tables<R: TableRow>(&mut self, live: &Table<R>, rebuilt: &Table<R>) {
        compare(live, rebuilt, |unequal| self.add(unequal));
    }
}

impl Display for Differences {
    /// A table, at most fifty lines of it; nothing where there are no differences.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 50;
        const WIDEST: usize = 44;
        if self.is_empty() {
            return Ok(());
        }
        let shown = &self.listed[..self.listed.len().min(SHOWN)];
        let width = |text: fn(&RowDifference) -> &str| {
            shown.iter().map(|one| text(one).chars().count()).max().unwrap_or(0).clamp(7, WIDEST)
        };
        let (row, column) = (width(|one| &one.row), width(|one| one.column.unwrap_or_default()));
        let live = width(|one| one.live.as_deref().unwrap_or_default());
        writeln!(f, "{:<row$}  {:<column$}  {:<live$}  rebuilt", "row", "column", "live")?;
        for one in shown {
            let cell = |value: &Option<String>| clipped(value.as_deref().unwrap_or("no such row"), WIDEST);
            let name = one.column.unwrap_or("-");
            let (key, here, there) = (clipped(&one.row, WIDEST), cell(&one.live), cell(&one.rebuilt));
            writeln!(f, "{key:<row$}  {name:<column$}  {here:<live$}  {there}")?;
        }
        let shown = u64::try_from(shown.len()).unwrap_or(u64::MAX);
        if self.found > shown {
            writeln!(f, "and {} more", self.found - shown)?;
        }
        Ok(())
    }
}

fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tables::StockRow;

    use super::*;

    fn rows(stock: &[(&str, i64)]) -> Rows {
        let row = |(sku, received): &(&str, i64)| {
            let row = StockRow {
                sku: (*sku).into(),
                version: 1,
                received: *received,
                reserved: 0,
                shipped: 0,
                returned: 0,
                written_off: 0,
            };
            (row.key(), row)
        };
        Rows { stock: stock.iter().map(row).collect(), ..Rows::default() }
    }

    #[test]
    fn a_changed_a_missing_and_an_invented_row_are_told_apart() {
        let (live, rebuilt) = (rows(&[("a", 1), ("b", 2)]), rows(&[("a", 3), ("c", 4)]));
        let differences = Differences::between(&live, &rebuilt, &[ServiceName::Inventory]);
        let told: Vec<_> = differences
            .listed
            .iter()
            .map(|one| (one.row.as_str(), one.live.is_some(), one.rebuilt.is_some()))
            .collect();
        assert_eq!(told, [("stock a", true, true), ("stock b", true, false), ("stock c", false, true)]);
        assert_eq!(differences.listed[0].column, Some("received"));
        assert_eq!(differences.to_string().lines().count(), 4);
        assert!(Differences::between(&live, &rebuilt, &[ServiceName::Order]).is_empty());
    }
}
