//! The read model's tables: which there are, how they are made, and what is kept in them of what the services say.
//!
//! `order-api` keeps them, with the services' own `evolve`; `replay-tool` makes the same rows of the topics again and holds them against
//! these. What both need is here, once. A further table is its description in `tables` and its line in [`view_tables!`]: making it,
//! emptying it, its rights and its comparison follow.
//!
//! Deliberately absent: keeping the rows, and reading them for people, which is `order-api`'s.

mod schema;

use outbox::inbox::place::Place;
use schemas::{Message, TopicName};
use tables::{HeardRow, TableRow, Timestamptz};

pub use schema::{check, create_tables, grant, instances, is_there, migrate, readers, rewind, table_names};

/// The schema that has the tables unless told otherwise.
pub const DEFAULT_SCHEMA: &str = "view";

/// The topics that the read model is made of. An order's are beside one another in one lane, whoever owns it.
pub const INPUTS: &[TopicName] =
    &[TopicName::OrderEvents, TopicName::InventoryEvents, TopicName::PaymentEvents, TopicName::StockEvents];

/// Calls the macro `$then` with the read model's tables, by the names that they have where rows of all are kept.
#[macro_export]
macro_rules! view_tables {
    ($then:ident) => {
        $then! {
            orders: OrderRow,
            contents: ContentsRow,
            skus: OrderSkuRow,
            reservations: ReservationRow,
            stock: StockRow,
            products: ProductRow,
            payments: PaymentRow,
            heard: HeardRow
        }
    };
}

macro_rules! visits {
    ($($table:ident: $row:ident),+) => {
        /// Visit the read model's tables.
        ///
        /// # Errors
        /// The visitor's first one.
        pub fn each_table<V: tables::EachTable>(visitor: &mut V) -> Result<(), V::Error> {
            $(visitor.table::<tables::$row>()?;)+
            Ok(())
        }
    };
}

view_tables!(visits);

/// What is kept of a message word for word, where it lies at this place and answers this cause: every event, since what an order's
/// services say of it is its history, and nothing of a command. Whoever keeps more
/// or less here has another number of `schema.rs`.
pub fn heard(message: &Message, place: Place, cause: Option<&str>) -> Option<HeardRow> {
    let at = message.at()?;
    Some(HeardRow {
        topic: message.topic().as_str().to_owned(),
        key: message.key().to_owned(),
        log_offset: place.offset,
        log_partition: place.partition,
        version: message.version(),
        name: message.name().to_owned(),
        at: Timestamptz(at),
        cause: cause.map(str::to_owned),
        body: client::shown_text(message),
    })
}

/// Whether its rows change after they were inserted.
fn has_changes<R: TableRow>() -> bool {
    R::COLUMNS.iter().any(|column| column.change == tables::Change::Changes)
}
