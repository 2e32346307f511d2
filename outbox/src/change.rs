//! Changes that a commit carries out together with the append, as one statement.
//!
//! A client that sends statements one by one is answered one by one, and each pays for its own start: for a transaction of a
//! few rows that is most of what it costs. Composed into one statement, in which each change is a `with` query, they cost a third, and
//! the whole is all or nothing without BEGIN and COMMIT. A `case` reads the changes in their order and goes on to the next only
//! when the one before has changed as many rows as it had to, so locks are taken in the order of the changes, and the append,
//! which locks the lanes, comes last. (<https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING>: a
//! modifying query that is read runs as it is read.)
//!
//! All changes of a transaction see the rows as they were before the first of them, so no two may change the same row.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio_postgres::types::ToSql;

use crate::append::{Batch, PARAMETERS};
use crate::statement::Param;

/// A statement that changes rows, or looks whether they are as they should be, and says how many those are by giving a row for
/// each: an `insert`, `update` or `delete` with `returning 1`, or a `select`.
///
/// ```
/// let change = outbox::Change::new("update stock set pieces = $2::int where sku = $1::text and pieces > $2 returning 1");
/// ```
#[derive(Debug, Clone)]
pub struct Change {
    text: Arc<str>,
    parameters: usize,
    refusal: &'static str,
}

impl Change {
    /// The change with this text. Its parameters are `$1`, `$2`, …, each cast to its type where it stands first; no `$` stands for
    /// anything else.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let parameters = highest_parameter(&text);
        Self { text, parameters, refusal: "rows are not as they were read" }
    }

    /// The same, which says these words when it changes another number of rows than it should. They hold no quotation mark.
    #[must_use]
    pub fn refused_with(mut self, words: &'static str) -> Self {
        self.refusal = words;
        self
    }

    /// Its text, to be looked at.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A change with what it is carried out with.
#[derive(Debug)]
pub(crate) struct Changing {
    pub(crate) change: Change,
    pub(crate) params: Vec<Param>,
    /// How many rows it must give.
    pub(crate) rows: i64,
}

/// What comes after the changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Last<'a> {
    /// `outbox_append`, with these messages.
    Append(&'a Batch<'a>),
    /// Only the check that the protocol can hold.
    Guard,
}

/// The parameters of the whole statement.
pub(crate) fn parameters<'p>(changes: &'p [Changing], last: Last<'p>) -> Vec<&'p (dyn ToSql + Sync)> {
    let mut all: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(changes.len() * 8 + 12);
    for changing in changes {
        all.extend(changing.params.iter().map(|param| -> &(dyn ToSql + Sync) { &**param }));
        all.push(&changing.rows);
    }
    if let Last::Append(batch) = last {
        all.extend(batch.parameters());
    }
    all
}

/// The whole statement: the heads of the lanes as they were, null without messages; an error where a change refuses.
pub(crate) fn compose(quoted_schema: &str, changes: &[Changing], last: Last<'_>) -> String {
    let mut text = String::with_capacity(2048);
    let mut next = 1;
    let mut cases = String::with_capacity(1024);
    for (number, Changing { change, .. }) in changes.iter().enumerate() {
        text.push_str(if number == 0 { "with " } else { ", " });
        let _infallible = write!(text, "c{number} as (");
        push_shifted(&mut text, &change.text, next - 1);
        text.push(')');
        let rows = next + change.parameters;
        let _infallible = write!(
            cases,
            " when (select count(*) from c{number}) <> ${rows}::int8 \
              then (select null::int8[] where {quoted_schema}.outbox_refuse('OB002', '{}'))",
            change.refusal
        );
        next = rows + 1;
    }
    let last = match last {
        Last::Append(_) => {
            let numbers: Vec<String> = (next..next + PARAMETERS).map(|number| format!("${number}")).collect();
            format!("{quoted_schema}.outbox_append({})", numbers.join(", "))
        }
        Last::Guard => format!("(select null::int8[] from {quoted_schema}.outbox_guard())"),
    };
    let _infallible = match cases.is_empty() {
        true => write!(text, "select {last}"),
        false => write!(text, " select case{cases} else {last} end"),
    };
    text
}

/// The text with all parameters moved up by so many.
fn push_shifted(to: &mut String, text: &str, by: usize) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at + 1);
        let (number, after) = leading_number(from);
        to.push_str(before);
        let _infallible = write!(to, "{}", number + by);
        rest = after;
    }
    to.push_str(rest);
}

fn highest_parameter(text: &str) -> usize {
    text.split('$').skip(1).map(|from| leading_number(from).0).max().unwrap_or(0)
}

fn leading_number(text: &str) -> (usize, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (digits.parse().unwrap_or(0), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changing(text: &str) -> Changing {
        Changing { change: Change::new(text), params: Vec::new(), rows: 1 }
    }

    #[test]
    fn parameters_are_counted_and_moved_up() {
        let change = Change::new("update t set a = $2, b = $2, c = $10 where k = $1 returning 1");
        assert_eq!(change.parameters, 10);
        let mut text = String::new();
        push_shifted(&mut text, &change.text, 3);
        assert_eq!(text, "update t set a = $5, b = $5, c = $13 where k = $4 returning 1");
    }

    #[test]
    fn changes_are_read_in_their_order_and_the_append_comes_last() {
        let changes = [changing("delete from a where k = $1 returning 1"), changing("select $1 from b")];
        let batch = Batch::default();
        let text = compose("\"s\"", &changes, Last::Append(&batch));
        let places: Vec<usize> =
            ["c0 as (delete", "$1 returning", "c1 as (select $3", "from c0) <> $2", "from c1) <> $4"]
                .iter()
                .chain(&["outbox_append($5, ", "$16)"])
                .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}")))
                .collect();
        assert!(places.is_sorted(), "{places:?} {text}");
    }

    #[test]
    fn without_changes_only_the_last_part_is_left() {
        assert_eq!(compose("\"s\"", &[], Last::Guard), "select (select null::int8[] from \"s\".outbox_guard())");
    }
}
