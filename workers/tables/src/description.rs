//! What a table's description consists of, and the macro that it is written with.
//!
//! `key` names the columns of the primary key, `guard` those whose stored values an update compares with what was loaded
//! (none where the row's lock alone protects it). Each other column says whether it is written `once` or `changes`.

use std::fmt::Debug;

use tokio_postgres::Row;

use super::{Cell, Kind, Parameter, Unreadable, Value};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether it takes null.
    pub is_nullable: bool,
    /// What becomes of it after a row was inserted.
    pub change: Change,
}

/// What becomes of a column after its row was inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is part of the primary key.
    Key,
    /// Nothing: updates leave it out.
    Once,
    /// Every update writes it.
    Changes,
}

impl Change {
    /// Whether an update carries the column: to find the row, or to write it.
    pub const fn is_in_update(self) -> bool {
        match self {
            Change::Key | Change::Changes => true,
            Change::Once => false,
        }
    }
}

impl Column {
    pub(super) const fn new<V: Value>(name: &'static str, change: Change) -> Self {
        Column { name, kind: V::KIND, is_nullable: V::IS_NULLABLE, change }
    }
}

/// A row of a table, as its description defines it.
pub trait TableRow: Sized + Clone + Debug + PartialEq + Send {
    /// The primary key.
    type Key: Ord + Clone + Debug + Send;
    /// The values of the guard, in the order of [`TableRow::GUARD`].
    type Guard: AsRef<[i64]> + Copy + Send;
    /// The table's name.
    const TABLE: &'static str;
    /// All columns that are written, the key's first. Digests depend on their order: new ones go to the end.
    const COLUMNS: &'static [Column];
    /// The columns that an update compares with what was loaded.
    const GUARD: &'static [&'static str];

    /// The row's key.
    fn key(&self) -> Self::Key;
    /// The row's own values of the guard, for its next update.
    fn guard(&self) -> Self::Guard;
    /// The table and the key in words.
    fn subject(&self) -> String;
    /// From a row that has exactly the columns.
    ///
    /// # Errors
    /// The columns have other types.
    fn read(row: &Row) -> Result<Self, Unreadable>;
    /// From values that come one after the other.
    ///
    /// # Errors
    /// What the source says.
    fn of_cells<S: CellSource>(source: &mut S) -> Result<Self, S::Error>;
    /// Give every value, in the order of the columns, until one is refused; none for null.
    ///
    /// # Errors
    /// The refusal.
    fn each_cell<'r, E>(&'r self, take: impl FnMut(Option<Cell<'r>>) -> Result<(), E>) -> Result<(), E>;
    /// The parameters of `statements::insert`: one array for each column.
    fn insert_parameters(rows: Vec<Self>) -> Vec<Parameter>;
    /// The parameters of `statements::update`, for rows that were loaded with these values of the guard: one array for each
    /// column that it carries, and one for each of the guard.
    fn update_parameters(rows: Vec<(Self::Guard, Self)>) -> Vec<Parameter>;

    /// The parameters of `statements::single::insert`: a value for each column.
    fn insert_values(self) -> Vec<Parameter>;
    /// The parameters of `statements::single::update`, for a row that was loaded with these values of the guard: a value for each
    /// column that it carries, and each of the guard.
    fn update_values(self, guard: Self::Guard) -> Vec<Parameter>;

    /// The names of the columns, with commas.
    fn column_list() -> String {
        let names: Vec<&str> = Self::COLUMNS.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The columns of the primary key.
    fn key_columns() -> impl Iterator<Item = &'static Column> {
        Self::COLUMNS.iter().filter(|column| column.change == Change::Key)
    }
}

/// Where a row's values come from, one after the other.
pub trait CellSource {
    /// Why there is none.
    type Error;

    /// The column's value; none for null.
    ///
    /// # Errors
    /// It is not of the column's kind.
    fn next(&mut self, column: &'static Column) -> Result<Option<Cell<'static>>, Self::Error>;
    /// The value that was given for the column is not one that it takes: a null, or of another kind.
    fn refused(&self, column: &'static Column) -> Self::Error;
}

/// Reads a row's columns one after the other.
#[derive(Debug)]
pub(super) struct RowReader<'r> {
    row: &'r Row,
    columns: &'static [Column],
    next: usize,
}

impl<'r> RowReader<'r> {
    pub(super) fn new<R: TableRow>(row: &'r Row) -> Self {
        RowReader { row, columns: R::COLUMNS, next: 0 }
    }

    pub(super) fn next<V: Value>(&mut self) -> Result<V, Unreadable> {
        let (index, column) = (self.next, &self.columns[self.next]);
        self.next += 1;
        self.row.try_get(index).map_err(|source| Unreadable { column: column.name, source })
    }
}

/// Reads values one after the other.
#[derive(Debug)]
pub(super) struct CellReader<'s, S> {
    source: &'s mut S,
    columns: &'static [Column],
    next: usize,
}

impl<'s, S: CellSource> CellReader<'s, S> {
    pub(super) fn new<R: TableRow>(source: &'s mut S) -> Self {
        CellReader { source, columns: R::COLUMNS, next: 0 }
    }

    pub(super) fn next<V: Value>(&mut self) -> Result<V, S::Error> {
        let column = &self.columns[self.next];
        self.next += 1;
        let cell = self.source.next(column)?;
        V::of_cell(cell).ok_or_else(|| self.source.refused(column))
    }
}

/// The arrays of the guards' values, one for each column of them.
pub fn guard_parameters<G: AsRef<[i64]>>(guards: &[G], columns: usize) -> Vec<Parameter> {
    let nth = |index: usize| -> Vec<i64> { guards.iter().filter_map(|had| had.as_ref().get(index).copied()).collect() };
    (0..columns).map(|index| Box::new(nth(index)) as Parameter).collect()
}

/// Defines a row type whose fields are the table's columns.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $name:ident in $table:literal, key ($($key:ident: $key_type:ty),+), guard ($($guard:ident),*) {
            $($change:ident $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("The column `", stringify!($key), "` of the key.")] pub $key: $key_type,)+
            $(#[doc = concat!("The column `", stringify!($field), "`.")] pub $field: $type,)*
        }

        impl $crate::TableRow for $name {
            type Key = ($($key_type,)+);
            type Guard = [i64; {
                const GUARD: &[&str] = &[$(stringify!($guard)),*];
                GUARD.len()
            }];
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [$crate::Column] = &[
                $($crate::Column::new::<$key_type>(stringify!($key), $crate::Change::Key),)+
                $($crate::Column::new::<$type>(stringify!($field), table!(@change $change)),)*
            ];
            const GUARD: &'static [&'static str] = &[$(stringify!($guard)),*];

            fn key(&self) -> Self::Key {
                ($(self.$key.clone(),)+)
            }

            fn guard(&self) -> Self::Guard {
                [$(i64::from(self.$guard)),*]
            }

            fn subject(&self) -> String {
                let parts: Vec<String> = vec![$(self.$key.to_string()),+];
                format!("{} {}", $table, parts.join(" "))
            }

            fn read(row: &tokio_postgres::Row) -> Result<Self, $crate::Unreadable> {
                let mut columns = $crate::description::RowReader::new::<Self>(row);
                Ok(Self { $($key: columns.next()?,)+ $($field: columns.next()?,)* })
            }

            fn of_cells<S: $crate::CellSource>(source: &mut S) -> Result<Self, S::Error> {
                let mut columns = $crate::description::CellReader::new::<Self>(source);
                Ok(Self { $($key: columns.next()?,)+ $($field: columns.next()?,)* })
            }

            fn each_cell<'r, E>(
                &'r self,
                mut take: impl FnMut(Option<$crate::Cell<'r>>) -> Result<(), E>,
            ) -> Result<(), E> {
                $(take($crate::Value::cell(&self.$key))?;)+
                $(take($crate::Value::cell(&self.$field))?;)*
                Ok(())
            }

            fn insert_parameters(rows: Vec<Self>) -> Vec<$crate::Parameter> {
                use $crate::{Parameter, Value};
                $(let mut $key = Vec::with_capacity(rows.len());)+
                $(let mut $field = Vec::with_capacity(rows.len());)*
                for row in rows {
                    $($key.push(Value::into_item(row.$key));)+
                    $($field.push(Value::into_item(row.$field));)*
                }
                vec![$(Box::new($key) as Parameter,)+ $(Box::new($field) as Parameter,)*]
            }

            fn update_parameters(rows: Vec<(Self::Guard, Self)>) -> Vec<$crate::Parameter> {
                use $crate::{Parameter, Value};
                let (guards, rows): (Vec<Self::Guard>, Vec<Self>) = rows.into_iter().unzip();
                let mut parameters: Vec<Parameter> = Vec::with_capacity(Self::COLUMNS.len() + Self::GUARD.len() + 1);
                $(let mut $key = Vec::with_capacity(rows.len());)+
                $(let mut $field = Vec::with_capacity(rows.len());)*
                for row in rows {
                    $($key.push(Value::into_item(row.$key));)+
                    $(if table!(@change $change).is_in_update() {
                        $field.push(Value::into_item(row.$field));
                    })*
                }
                $(parameters.push(Box::new($key));)+
                $(if table!(@change $change).is_in_update() {
                    parameters.push(Box::new($field));
                })*
                parameters.append(&mut $crate::description::guard_parameters(&guards, Self::GUARD.len()));
                parameters
            }

            fn insert_values(self) -> Vec<$crate::Parameter> {
                vec![$(Box::new(self.$key),)+ $(Box::new(self.$field),)*]
            }

            fn update_values(self, guard: Self::Guard) -> Vec<$crate::Parameter> {
                let mut parameters: Vec<$crate::Parameter> = Vec::with_capacity(Self::COLUMNS.len() + Self::GUARD.len());
                $(parameters.push(Box::new(self.$key));)+
                $(if table!(@change $change).is_in_update() {
                    parameters.push(Box::new(self.$field));
                })*
                parameters.extend(guard.into_iter().map(|had: i64| Box::new(had) as $crate::Parameter));
                parameters
            }
        }
    };
    (@change once) => { $crate::Change::Once };
    (@change changes) => { $crate::Change::Changes };
}

pub(super) use table;
