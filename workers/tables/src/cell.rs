//! What a column can hold: a few kinds, each with one Rust type, and a value of any of them.

use std::borrow::Cow;
use std::fmt::Debug;

use postgres_types::{FromSqlOwned, ToSql, Type};
use schemas::Time;

use super::Timestamptz;
use super::array_literal;

/// A boxed parameter.
pub type Parameter = Box<dyn ToSql + Sync + Send>;

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `text`.
    Text,
    /// `bytea`.
    Bytea,
    /// `integer`, 32 bits.
    Integer,
    /// `bigint`, 64 bits.
    Bigint,
    /// `timestamptz`.
    Timestamptz,
    /// `text[]`.
    Texts,
    /// `bigint[]`.
    Bigints,
}

impl Kind {
    /// The type's name.
    pub const fn sql(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Bytea => "bytea",
            Kind::Integer => "int",
            Kind::Bigint => "bigint",
            Kind::Timestamptz => "timestamptz",
            Kind::Texts => "text[]",
            Kind::Bigints => "bigint[]",
        }
    }

    /// The type as the driver knows it.
    pub const fn postgres_type(self) -> Type {
        match self {
            Kind::Text => Type::TEXT,
            Kind::Bytea => Type::BYTEA,
            Kind::Integer => Type::INT4,
            Kind::Bigint => Type::INT8,
            Kind::Timestamptz => Type::TIMESTAMPTZ,
            Kind::Texts => Type::TEXT_ARRAY,
            Kind::Bigints => Type::INT8_ARRAY,
        }
    }

    /// Whether a value is a list, which goes through `unnest` as its literal and is cast behind it.
    pub const fn is_list(self) -> bool {
        match self {
            Kind::Texts | Kind::Bigints => true,
            Kind::Text | Kind::Bytea | Kind::Integer | Kind::Bigint | Kind::Timestamptz => false,
        }
    }
}

/// A value that is not null.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'v> {
    /// Of [`Kind::Text`].
    Text(Cow<'v, str>),
    /// Of [`Kind::Bytea`].
    Bytea(Cow<'v, [u8]>),
    /// Of [`Kind::Integer`].
    Integer(i32),
    /// Of [`Kind::Bigint`].
    Bigint(i64),
    /// Of [`Kind::Timestamptz`].
    Timestamptz(Time),
    /// Of [`Kind::Texts`].
    Texts(Cow<'v, [String]>),
    /// Of [`Kind::Bigints`].
    Bigints(Cow<'v, [i64]>),
}

/// A Rust type that a column's values have.
pub trait Value: FromSqlOwned + ToSql + Clone + Debug + PartialEq + Send + Sync {
    /// The column's type.
    const KIND: Kind;
    /// Whether the column takes null.
    const IS_NULLABLE: bool = false;
    /// An item of the array that carries the column of many rows.
    type Item: ToSql + Sync + Send + 'static;

    /// The value as such an item.
    fn into_item(self) -> Self::Item;
    /// The value; none for null.
    fn cell(&self) -> Option<Cell<'_>>;
    /// From a value, none for null; none where it is not of this type.
    fn of_cell(cell: Option<Cell<'_>>) -> Option<Self>;
}

/// A type that is its own array item.
macro_rules! plain_value {
    ($type:ty, $kind:ident, $value:ident => $cell:expr, $inner:ident => $back:expr) => {
        impl Value for $type {
            const KIND: Kind = Kind::$kind;
            type Item = Self;

            fn into_item(self) -> Self {
                self
            }

            fn cell(&self) -> Option<Cell<'_>> {
                let $value = self;
                Some(Cell::$kind($cell))
            }

            fn of_cell(cell: Option<Cell<'_>>) -> Option<Self> {
                if let Some(Cell::$kind($inner)) = cell { Some($back) } else { None }
            }
        }
    };
}

plain_value!(String, Text, value => Cow::Borrowed(value.as_str()), text => text.into_owned());
plain_value!(Vec<u8>, Bytea, value => Cow::Borrowed(value.as_slice()), bytes => bytes.into_owned());
plain_value!(i32, Integer, value => *value, number => number);
plain_value!(i64, Bigint, value => *value, number => number);
plain_value!(Timestamptz, Timestamptz, value => value.0, time => Timestamptz(time));

/// A list, whose array item is its literal.
macro_rules! list_value {
    ($type:ty, $kind:ident, $literal:path) => {
        impl Value for Vec<$type> {
            const KIND: Kind = Kind::$kind;
            type Item = String;

            fn into_item(self) -> String {
                $literal(&self)
            }

            fn cell(&self) -> Option<Cell<'_>> {
                Some(Cell::$kind(Cow::Borrowed(self.as_slice())))
            }

            fn of_cell(cell: Option<Cell<'_>>) -> Option<Self> {
                if let Some(Cell::$kind(items)) = cell { Some(items.into_owned()) } else { None }
            }
        }
    };
}

list_value!(String, Texts, array_literal::of_texts);
list_value!(i64, Bigints, array_literal::of_numbers);

impl<V: Value> Value for Option<V> {
    const KIND: Kind = V::KIND;
    const IS_NULLABLE: bool = true;
    type Item = Option<V::Item>;

    fn into_item(self) -> Option<V::Item> {
        self.map(V::into_item)
    }

    fn cell(&self) -> Option<Cell<'_>> {
        self.as_ref().and_then(V::cell)
    }

    fn of_cell(cell: Option<Cell<'_>>) -> Option<Self> {
        match cell {
            None => Some(None),
            Some(_) => V::of_cell(cell).map(Some),
        }
    }
}
