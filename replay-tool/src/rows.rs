//! The rows of state: what is made of a row in a binary COPY, in SQLite and in JSON, and how two of them differ.
//!
//! What columns a table has, and which row an aggregate is stored as, is described once, in `tables`. A digest is the
//! identity of all rows together, whatever their order.

mod cell;
mod differences;
mod digest;
mod merge;
mod table;

use schemas::{PerService, ServiceName};

pub(crate) use cell::sqlite_type;
pub use differences::{Differences, RowDifference};
pub(crate) use digest::{StateDigest, Sum};
pub(crate) use merge::{Unequal, compare, merge};
pub(crate) use table::{Difference, RowFormats, Table};
pub(crate) use tables::{
    ContentsRow, EachTable, HeardRow, OrderRow, OrderSkuRow, PaymentRow, PostingRow, ProductRow, ReceiptRow,
    ReservationRow, StockRow, TableRow,
};

use crate::keeper::Keeper;

/// From the list of the services' tables of state: the rows of all, and what is done with each of them.
macro_rules! rows {
    ($($service:ident { $($table:ident: $row:ident),+ })+) => {
        /// The state of all services, as their tables hold it or as a fold makes it.
        #[derive(Debug, Default, Clone, PartialEq)]
        pub(crate) struct Rows {
            $($(pub(crate) $table: Table<tables::$row>,)+)+
        }

        impl Rows {
            /// Read every table, each from its service's.
            pub(crate) async fn read<S: Readable>(from: &PerService<S>) -> Result<Rows, S::Error> {
                let ($($($table,)+)+) = tokio::try_join!($($(from[ServiceName::$service].table::<tables::$row>()),+),+)?;
                Ok(Rows { $($($table,)+)+ })
            }

            /// Show each table of a service, here and there.
            pub(crate) fn each_pair(&self, there: &Rows, service: ServiceName, look: &mut impl LookAtBoth) {
                match service {
                    $(ServiceName::$service => {
                        $(look.tables(&self.$table, &there.$table);)+
                    })+
                }
            }

            /// A digest of every table, whole.
            pub(crate) fn digest(&self) -> StateDigest {
                let mut digest = StateDigest::default();
                $($(digest.add_rows(self.$table.values());)+)+
                digest
            }
        }

        async fn copy_each_of_service<C: Copying>(service: ServiceName, copying: &mut C) -> Result<(), C::Error> {
            match service {
                $(ServiceName::$service => {
                    $(copying.table::<tables::$row>().await?;)+
                })+
            }
            Ok(())
        }
    };
}

tables::state_tables!(rows);

/// The same of the read model's tables.
macro_rules! rows_of_view {
    ($($table:ident: $row:ident),+) => {
        async fn copy_each_of_view<C: Copying>(copying: &mut C) -> Result<(), C::Error> {
            $(copying.table::<tables::$row>().await?;)+
            Ok(())
        }
    };
}

view::view_tables!(rows_of_view);

/// Copy each table of a keeper.
pub(crate) async fn copy_each<C: Copying>(keeper: Keeper, copying: &mut C) -> Result<(), C::Error> {
    match keeper {
        Keeper::Service(service) => copy_each_of_service(service, copying).await,
        Keeper::View => copy_each_of_view(copying).await,
    }
}

/// Visit each table of a keeper.
pub(crate) fn each_table<V: EachTable>(keeper: Keeper, visitor: &mut V) -> Result<(), V::Error> {
    match keeper {
        Keeper::Service(service) => tables::each_table(service, visitor),
        Keeper::View => view::each_table(visitor),
    }
}

/// The names of a keeper's tables.
pub(crate) fn table_names(keeper: Keeper) -> Vec<&'static str> {
    match keeper {
        Keeper::Service(service) => tables::table_names(service),
        Keeper::View => view::table_names(),
    }
}

/// Where the tables of a service are read.
pub(crate) trait Readable {
    /// Why it cannot be read.
    type Error;

    /// A whole table.
    fn table<R: TableRow>(&self) -> impl Future<Output = Result<Table<R>, Self::Error>> + Send;
}

/// Looks at a table here and there.
pub(crate) trait LookAtBoth {
    /// Look.
    fn tables<R: TableRow>(&mut self, here: &Table<R>, there: &Table<R>);
}

/// Copies tables one after the other.
pub(crate) trait Copying {
    /// Why it cannot.
    type Error;

    /// Copy the table of these rows.
    fn table<R: TableRow + 'static>(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
