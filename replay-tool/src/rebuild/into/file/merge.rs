//! Two files, table by table in the order of keys, side by side: what differs, in memory that does not grow.

use super::StateFile;
use crate::error::ReplayError;
use crate::keeper::Keeper;
use crate::rows::{Differences, EachTable, RowFormats as _, TableRow, each_table, merge};

impl StateFile {
    /// What differs in these keepers' tables between this file, the live one, and a rebuilt one. Blocks.
    pub(crate) fn differences(&self, rebuilt: &StateFile, keepers: &[Keeper]) -> Result<Differences, ReplayError> {
        let mut merging = Merging { live: self, rebuilt, differences: Differences::default() };
        keepers.iter().try_for_each(|keeper| each_table(*keeper, &mut merging))?;
        Ok(merging.differences)
    }
}

struct Merging<'f> {
    live: &'f StateFile,
    rebuilt: &'f StateFile,
    differences: Differences,
}

impl EachTable for Merging<'_> {
    type Error = ReplayError;

    fn table<R: TableRow>(&mut self) -> Result<(), ReplayError> {
        let (live, rebuilt) = (self.live.lock(), self.rebuilt.lock());
        let key: Vec<&str> = R::key_columns().map(|column| column.name).collect();
        let sql = format!("select {} from {} order by {}", R::column_list(), R::TABLE, key.join(", "));
        let mut compare = || {
            let (mut live, mut rebuilt) = (live.prepare(&sql)?, rebuilt.prepare(&sql)?);
            let (live, rebuilt) = (live.query_map([], R::of_sqlite)?, rebuilt.query_map([], R::of_sqlite)?);
            // Text is ordered by its bytes in SQLite as it is here.
            merge::<R, R, _>(live, rebuilt, |unequal| self.differences.add(unequal))
        };
        compare().map_err(self.live.failed())
    }
}

#[cfg(test)]
mod tests {
    use schemas::ServiceName;

    use super::*;
    use crate::rows::StockRow;

    const INVENTORY: Keeper = Keeper::Service(ServiceName::Inventory);

    fn file(stock: &[(&str, i64)]) -> std::sync::Arc<StateFile> {
        let file = StateFile::temporary(&[INVENTORY]).unwrap();
        let row = |(sku, received): &(&str, i64)| StockRow {
            sku: (*sku).into(),
            version: 1,
            received: *received,
            reserved: 0,
            shipped: 0,
            returned: 0,
            written_off: 0,
        };
        file.add(stock.iter().map(row).collect()).unwrap();
        file
    }

    #[test]
    fn rows_are_met_whatever_their_order_and_wherever_others_are_missing() {
        // In Rust's order of bytes, not in an alphabet's.
        let live = file(&[("é", 1), ("b", 2), ("Z", 3), ("a", 4)]);
        let rebuilt = file(&[("b", 5), ("c", 6), ("Z", 3), ("é", 1)]);
        let differences = live.differences(&rebuilt, &[INVENTORY]).unwrap();
        let told: Vec<_> = differences
            .listed
            .iter()
            .map(|one| (one.row.as_str(), one.column, one.live.is_some(), one.rebuilt.is_some()))
            .collect();
        let expected =
            [("stock a", None, true, false), ("stock b", Some("received"), true, true), ("stock c", None, false, true)];
        assert_eq!(told, expected);
        assert!(live.differences(&live_again(), &[INVENTORY]).unwrap().is_empty());
    }

    fn live_again() -> std::sync::Arc<StateFile> {
        file(&[("a", 4), ("b", 2), ("Z", 3), ("é", 1)])
    }
}
