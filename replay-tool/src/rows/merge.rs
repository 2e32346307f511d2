//! Two tables side by side in the order of keys: the one place where rows meet and are compared, wherever they lie.
//! What becomes of what differs is the caller's.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::convert::Infallible;

use tables::TableRow;

use super::table::{Difference, RowFormats as _, Table};

/// Something in which two tables differ.
#[derive(Debug)]
pub(crate) enum Unequal<'r, R> {
    /// Only the first table has this row.
    Here(&'r R),
    /// Only the second one has it.
    There(&'r R),
    /// Both have this row, with another value in one column.
    Column(&'r R, Difference),
}

impl<R> Unequal<'_, R> {
    /// The row; the first table's, if that has it.
    pub(crate) fn row(&self) -> &R {
        match self {
            Unequal::Here(row) | Unequal::There(row) | Unequal::Column(row, _) => row,
        }
    }
}

/// Tell everything in which two tables differ, whose rows come in ascending order of their keys. Of each table one row is
/// held at a time.
///
/// # Errors
/// A row cannot be read.
pub(crate) fn merge<R: TableRow, T: Borrow<R>, E>(
    mut here: impl Iterator<Item = Result<T, E>>,
    mut there: impl Iterator<Item = Result<T, E>>,
    mut tell: impl FnMut(Unequal<'_, R>),
) -> Result<(), E> {
    let (mut left, mut right) = (here.next().transpose()?, there.next().transpose()?);
    loop {
        let order = match (left.as_ref().map(T::borrow), right.as_ref().map(T::borrow)) {
            (None, None) => return Ok(()),
            (Some(row), None) => {
                tell(Unequal::Here(row));
                Ordering::Less
            }
            (None, Some(row)) => {
                tell(Unequal::There(row));
                Ordering::Greater
            }
            (Some(row), Some(other)) => {
                let order = row.key().cmp(&other.key());
                match order {
                    Ordering::Less => tell(Unequal::Here(row)),
                    Ordering::Greater => tell(Unequal::There(other)),
                    Ordering::Equal => {
                        row.differences(other).into_iter().for_each(|one| tell(Unequal::Column(row, one)))
                    }
                }
                order
            }
        };
        if order.is_le() {
            left = here.next().transpose()?;
        }
        if order.is_ge() {
            right = there.next().transpose()?;
        }
    }
}

/// The same of tables that are held in memory.
pub(crate) fn compare<R: TableRow>(here: &Table<R>, there: &Table<R>, tell: impl FnMut(Unequal<'_, R>)) {
    let (here, there) = (here.values().map(Ok::<&R, Infallible>), there.values().map(Ok));
    let Ok(()) = merge(here, there, tell);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use tables::StockRow;

    use super::*;

    fn table(stock: &BTreeMap<u8, i64>) -> Table<StockRow> {
        let row = |(sku, received): (&u8, &i64)| {
            let row = StockRow {
                sku: sku.to_string(),
                version: 1,
                received: *received,
                reserved: 0,
                shipped: *received,
                returned: 0,
                written_off: 0,
            };
            (row.key(), row)
        };
        stock.iter().map(row).collect()
    }

    proptest! {
        /// Every key is met once, on the sides that have it, and the columns are told in which its rows differ.
        #[test]
        fn all_that_differs_is_told_and_nothing_else(
            here in proptest::collection::btree_map(0_u8..12, 0_i64..3, 0..12),
            there in proptest::collection::btree_map(0_u8..12, 0_i64..3, 0..12),
        ) {
            let mut told = Vec::new();
            compare(&table(&here), &table(&there), |unequal| {
                let what = match &unequal {
                    Unequal::Here(_) => "here",
                    Unequal::There(_) => "there",
                    Unequal::Column(_, difference) => difference.column,
                };
                told.push((unequal.row().sku.clone(), what));
            });
            let mut expected = Vec::new();
            for sku in 0..12_u8 {
                let whats: &[&str] = match (here.get(&sku), there.get(&sku)) {
                    (Some(_), None) => &["here"],
                    (None, Some(_)) => &["there"],
                    (Some(one), Some(other)) if one != other => &["received", "shipped"],
                    (Some(_), Some(_)) | (None, None) => &[],
                };
                expected.extend(whats.iter().map(|what| (sku.to_string(), *what)));
            }
            expected.sort_by(|(one, _), (other, _)| one.cmp(other));
            prop_assert_eq!(told, expected);
        }
    }
}
