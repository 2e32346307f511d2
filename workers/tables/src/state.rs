//! Which tables hold a service's state: what its events say, row for row. Runtime tables are not among them.

use std::convert::Infallible;

use schemas::ServiceName;

use super::TableRow;

/// Something to be done with every table of state, whatever its rows are.
pub trait EachTable {
    /// Why it could not be done.
    type Error;

    /// Do it with the table of these rows.
    ///
    /// # Errors
    /// It could not be done.
    fn table<R: TableRow>(&mut self) -> Result<(), Self::Error>;
}

/// Calls the macro `$then` with each service's tables of state, by the names that they have where rows of all are kept.
#[macro_export]
macro_rules! state_tables {
    ($then:ident) => {
        $then! {
            Order { orders: OrderRow, contents: ContentsRow }
            Inventory { reservations: ReservationRow, stock: StockRow, receipts: ReceiptRow, products: ProductRow }
            Payment { payments: PaymentRow, ledger: PostingRow }
        }
    };
}

macro_rules! visits {
    ($($service:ident { $($table:ident: $row:ident),+ })+) => {
        /// Visit the service's tables.
        ///
        /// # Errors
        /// The visitor's first one.
        pub fn each_table<V: EachTable>(service: ServiceName, visitor: &mut V) -> Result<(), V::Error> {
            match service {
                $(ServiceName::$service => {
                    $(visitor.table::<$crate::$row>()?;)+
                })+
            }
            Ok(())
        }
    };
}

state_tables!(visits);

/// The names of the service's tables of state.
pub fn table_names(service: ServiceName) -> Vec<&'static str> {
    struct Names(Vec<&'static str>);
    impl EachTable for Names {
        type Error = Infallible;

        fn table<R: TableRow>(&mut self) -> Result<(), Infallible> {
            self.0.push(R::TABLE);
            Ok(())
        }
    }
    let mut names = Names(Vec::new());
    let Ok(()) = each_table(service, &mut names);
    names.0
}
