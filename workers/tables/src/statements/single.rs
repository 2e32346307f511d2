//! The same statements on one row: its values are the parameters, one for each column.
//!
//! A service that is not under load has one item in most transactions, and for one row an array of each column, unnested, costs
//! more than all else that the statement does: Postgres keeps a set of rows for each of them. The primary key stands in an
//! equation, so the plan can only go to it.

use crate::{Change, Column, TableRow};

/// Lock the row of this key and read it. Parameters: the key's columns.
pub fn lock<R: TableRow>() -> String {
    format!("select {} from {} x where {} for update", R::column_list(), R::TABLE, on_key::<R>())
}

/// Insert a row. Parameters: `TableRow::insert_values`.
pub fn insert<R: TableRow>() -> String {
    let values: Vec<String> = (1..).zip(R::COLUMNS).map(|(number, column)| value(number, column)).collect();
    format!("insert into {} ({}) values ({}) returning 1", R::TABLE, R::column_list(), values.join(", "))
}

/// Write what may change of a row that is still as it was loaded. Parameters: `TableRow::update_values`.
pub fn update<R: TableRow>() -> String {
    let carried: Vec<&Column> = R::COLUMNS.iter().filter(|column| column.change.is_in_update()).collect();
    let set = (1..).zip(&carried).filter(|(_, column)| column.change == Change::Changes);
    let set: Vec<String> = set.map(|(number, column)| format!("{} = {}", column.name, value(number, column))).collect();
    let as_loaded = as_loaded::<R>(carried.len() + 1);
    format!("update {} x set {} where {as_loaded} returning 1", R::TABLE, set.join(", "))
}

/// Delete a row that is still as it was loaded. Parameters: the key's columns and the guard.
pub fn delete<R: TableRow>() -> String {
    format!("delete from {} x where {} returning 1", R::TABLE, as_loaded::<R>(R::key_columns().count() + 1))
}

/// Lock a row that is still as it was loaded. Parameters: the key's columns and the guard.
pub fn hold<R: TableRow>() -> String {
    format!("select 1 from {} x where {} for update", R::TABLE, as_loaded::<R>(R::key_columns().count() + 1))
}

/// 1 if there is a row of this key. Parameters: the key's columns.
pub fn find<R: TableRow>() -> String {
    format!("select 1 from {} x where {}", R::TABLE, on_key::<R>())
}

fn value(number: usize, column: &Column) -> String {
    format!("${number}::{}", column.kind.sql())
}

/// The key's columns are the first ones.
fn on_key<R: TableRow>() -> String {
    let keys = (1..).zip(R::key_columns());
    let keys: Vec<String> =
        keys.map(|(number, column)| format!("x.{} = {}", column.name, value(number, column))).collect();
    keys.join(" and ")
}

/// The key, and the guard, whose parameters begin with this number.
fn as_loaded<R: TableRow>(first_of_guard: usize) -> String {
    let guard = (first_of_guard..).zip(R::GUARD);
    let guard: String = guard.map(|(number, name)| format!(" and x.{name} = ${number}::bigint")).collect();
    format!("{}{guard}", on_key::<R>())
}
