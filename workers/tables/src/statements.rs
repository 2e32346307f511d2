//! The texts of the statements on a table of rows, made from its description: one for a batch of rows, however many, and in
//! [`single`] one for a batch of one, which takes values instead of arrays.
//!
//! Each obeys the rules of decision 5 (`docs/decisions/0005-look-ups-that-cannot-be-turned-round.md`): rows are found by `unnest` and a
//! `lateral` that cannot be pulled up (`for update`, or `offset 0`), so whatever the statistics say, the plan goes from the
//! parameters to the primary key, one row each, and locks in the parameters' order; changes are made by `ctid` from such a
//! look-up. (`= any (array)` checks a row that was changed meanwhile against the whole array again; a plain join may be
//! turned round and scan the table.) Parameters are arrays, one for each column.

pub mod single;

use super::{Change, Column, Kind, TableRow};

/// Lock the rows of these keys, in the parameters' order, and read them. Parameters: the key's columns. Give keys in
/// ascending order, so that nobody waits for a lock in a circle.
pub fn lock<R: TableRow>() -> String {
    look_up_with::<R>("for update")
}

/// Read the rows of these keys and lock nothing. Parameters: the key's columns.
pub fn look_up<R: TableRow>() -> String {
    look_up_with::<R>("offset 0")
}

fn look_up_with<R: TableRow>(fence: &str) -> String {
    let keys: Vec<&Column> = R::key_columns().collect();
    format!(
        "select r.* from {}, lateral (select {} from {} x where {} {fence}) as r",
        unnest(&keys, &[]),
        R::column_list(),
        R::TABLE,
        on_key::<R>(),
    )
}

/// Insert rows; a row of 1 for each. Parameters: `TableRow::insert_parameters`.
pub fn insert<R: TableRow>() -> String {
    let columns: Vec<&Column> = R::COLUMNS.iter().collect();
    let values: Vec<String> = columns.iter().map(|column| value(column)).collect();
    format!(
        "insert into {} ({}) select {} from {} returning 1",
        R::TABLE,
        R::column_list(),
        values.join(", "),
        unnest(&columns, &[]),
    )
}

/// Write what may change of rows that are still as they were loaded; a row of 1 for each. Parameters:
/// `TableRow::update_parameters`.
pub fn update<R: TableRow>() -> String {
    let carried: Vec<&Column> = R::COLUMNS.iter().filter(|column| column.change.is_in_update()).collect();
    let changing = carried.iter().filter(|column| column.change == Change::Changes);
    let set: Vec<String> = changing.map(|column| format!("{} = {}", column.name, value(column))).collect();
    format!(
        "update {table} r set {set} from {unnest}, lateral (\
            select x.ctid from {table} x where {as_loaded} offset 0) as t where r.ctid = t.ctid returning 1",
        table = R::TABLE,
        set = set.join(", "),
        unnest = unnest(&carried, R::GUARD),
        as_loaded = as_loaded::<R>(),
    )
}

/// Delete rows that are still as they were loaded; a row of 1 for each. Parameters: the key's columns and the guard.
pub fn delete<R: TableRow>() -> String {
    let keys: Vec<&Column> = R::key_columns().collect();
    format!(
        "delete from {table} r using {unnest}, lateral (\
            select x.ctid from {table} x where {as_loaded} offset 0) as t where r.ctid = t.ctid returning 1",
        table = R::TABLE,
        unnest = unnest(&keys, R::GUARD),
        as_loaded = as_loaded::<R>(),
    )
}

/// Lock rows that are still as they were loaded; a row of 1 for each. Parameters: the key's columns and the guard.
pub fn hold<R: TableRow>() -> String {
    let keys: Vec<&Column> = R::key_columns().collect();
    format!(
        "select 1 from {}, lateral (select from {} x where {} for update) as r",
        unnest(&keys, R::GUARD),
        R::TABLE,
        as_loaded::<R>(),
    )
}

/// A row of 1 for each key that is there. Parameters: the key's columns.
pub fn find<R: TableRow>() -> String {
    let keys: Vec<&Column> = R::key_columns().collect();
    format!(
        "select 1 from {}, lateral (select from {} x where {} offset 0) as r",
        unnest(&keys, &[]),
        R::TABLE,
        on_key::<R>(),
    )
}

/// One row `u` for each item of the arrays: these columns, and the guard's earlier values.
fn unnest(columns: &[&Column], guard: &[&str]) -> String {
    let kinds = columns.iter().map(|column| if column.kind.is_list() { Kind::Text } else { column.kind });
    let kinds = kinds.chain(guard.iter().map(|_| Kind::Bigint));
    let parameters: Vec<String> =
        (1..).zip(kinds).map(|(number, kind)| format!("${number}::{}[]", kind.sql())).collect();
    let names = columns.iter().map(|column| column.name.to_owned());
    let names: Vec<String> = names.chain(guard.iter().map(|name| format!("had_{name}"))).collect();
    format!("unnest ({}) as u ({})", parameters.join(", "), names.join(", "))
}

/// A column's value in `u`; lists come as literals.
fn value(column: &Column) -> String {
    match column.kind.is_list() {
        true => format!("u.{}::{}", column.name, column.kind.sql()),
        false => format!("u.{}", column.name),
    }
}

fn on_key<R: TableRow>() -> String {
    let keys: Vec<String> = R::key_columns().map(|column| format!("x.{0} = u.{0}", column.name)).collect();
    keys.join(" and ")
}

fn as_loaded<R: TableRow>() -> String {
    let guard: String = R::GUARD.iter().map(|name| format!(" and x.{name} = u.had_{name}")).collect();
    format!("{}{guard}", on_key::<R>())
}
