//! What is made from the descriptions, and whether they agree with the cores: no server is needed for that.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use super::*;
use crate::stories::Told;

/// Do something with every table that is described.
macro_rules! each_described {
    ($act:ident) => {{
        $act::<OrderRow>();
        $act::<ContentsRow>();
        $act::<ReservationRow>();
        $act::<StockRow>();
        $act::<ReceiptRow>();
        $act::<ProductRow>();
        $act::<PaymentRow>();
        $act::<PostingRow>();
        $act::<PaymentCallRow>();
    }};
}

fn cells<R: TableRow>(row: &R) -> Vec<Option<Cell<'_>>> {
    let mut cells = Vec::new();
    let Ok(()) = row.each_cell(|cell| {
        cells.push(cell);
        Ok::<(), Infallible>(())
    });
    cells
}

/// The sections of a file by their headings, which begin with `== `.
fn sections(text: &str) -> BTreeMap<&str, &str> {
    let sections = text.split("== ").filter_map(|section| section.split_once('\n'));
    // In front of the next heading stand an empty line and, in SQL, what makes it a comment.
    sections.map(|(name, body)| (name, body.trim_end_matches("-- ").trim_end())).collect()
}

#[test]
fn descriptions_give_these_statements() {
    fn check<R: TableRow>() {
        let changes = R::COLUMNS.iter().any(|column| column.change == Change::Changes);
        let mut texts = vec![statements::lock::<R>(), statements::look_up::<R>(), statements::insert::<R>()];
        texts.extend(changes.then(statements::update::<R>));
        texts.extend([statements::delete::<R>(), statements::hold::<R>(), statements::find::<R>()]);
        texts.extend([statements::single::lock::<R>(), statements::single::insert::<R>()]);
        texts.extend(changes.then(statements::single::update::<R>));
        let single = [statements::single::delete::<R>, statements::single::hold::<R>, statements::single::find::<R>];
        texts.extend(single.map(|text| text()));
        let known = sections(include_str!("tests/statements.sql"));
        assert_eq!(known.get(R::TABLE).copied().unwrap_or_default(), texts.join("\n"), "{}", R::TABLE);
    }
    each_described!(check);
}

/// Who writes a value into another column, or takes it from another field, does so on both sides of every comparison: so
/// what events say is written down here once more, by hand.
#[test]
fn rows_say_what_the_events_say() {
    fn check<R: Told>() {
        let last: Vec<R> = R::stories().into_iter().filter_map(|mut story| story.pop()).collect();
        let line = |(column, cell): (&Column, &Option<Cell<'_>>)| {
            let value = cell.as_ref().map(|cell| match cell {
                Cell::Text(text) => text.to_string(),
                Cell::Bytea(bytes) => format!("{} bytes", bytes.len()),
                Cell::Integer(number) => number.to_string(),
                Cell::Bigint(number) => number.to_string(),
                Cell::Timestamptz(time) => time.to_string(),
                Cell::Texts(texts) => format!("[{}]", texts.join(",")),
                Cell::Bigints(numbers) => {
                    format!("[{}]", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
                }
            });
            format!("{} = {}", column.name, value.as_deref().unwrap_or("null"))
        };
        let rows = last.iter().map(|row| {
            let lines: Vec<String> = R::COLUMNS.iter().zip(&cells(row)).map(line).collect();
            lines.join("\n")
        });
        let text = rows.collect::<Vec<_>>().join("\n\n");
        let known = sections(include_str!("tests/rows.txt"));
        assert_eq!(known.get(R::TABLE).copied().unwrap_or_default(), text, "{}", R::TABLE);
    }
    each_described!(check);
}

/// A column that changes and is not written would be lost, one that is written and never changes is waste.
#[test]
fn updates_write_what_changes_and_nothing_else() {
    fn check<R: Told>() {
        let mut changed = BTreeSet::new();
        for story in R::stories() {
            for pair in story.windows(2) {
                let (before, after) = (cells(&pair[0]), cells(&pair[1]));
                let both = R::COLUMNS.iter().zip(before.into_iter().zip(after));
                changed.extend(both.filter(|(_, (before, after))| before != after).map(|(column, _)| column.name));
            }
        }
        let said = R::COLUMNS.iter().filter(|column| column.change == Change::Changes);
        assert_eq!(changed, said.map(|column| column.name).collect(), "{}", R::TABLE);
    }
    each_described!(check);
}

#[test]
fn updates_compare_with_what_was_loaded() {
    fn check<R: TableRow>() {
        let changing: Vec<&Column> = R::COLUMNS.iter().filter(|column| column.change == Change::Changes).collect();
        for name in R::GUARD {
            let column = changing.iter().find(|column| column.name == *name);
            let is_number = column.is_some_and(|column| matches!(column.kind, Kind::Bigint | Kind::Integer));
            assert!(is_number, "{}.{name}", R::TABLE);
        }
        assert_eq!(changing.is_empty(), R::GUARD.is_empty(), "{}", R::TABLE);
        // Calls are no state and have no version: their tries tell one from another.
        let has_version = !changing.is_empty() && R::TABLE != "payment_calls";
        assert_eq!(has_version, R::GUARD.first() == Some(&"version"), "{}", R::TABLE);
    }
    each_described!(check);
}

#[test]
fn a_row_becomes_what_it_was_made_of() {
    stories::orders().into_iter().flatten().for_each(|order| {
        // The lines are another table's.
        let expected = domain::saga::Order { lines: Vec::new(), ..order.clone() };
        assert_eq!(OrderRow::of(&order, 3).into_order(), Ok(expected));
    });
    stories::reservations().into_iter().flatten().for_each(|reservation| {
        assert_eq!(ReservationRow::of(&reservation).into_reservation(), Ok(reservation));
    });
    stories::payments().into_iter().flatten().for_each(|payment| {
        assert_eq!(PaymentRow::of(&payment).into_payment(), Ok(payment));
    });
    stories::receipts().into_iter().for_each(|receipt| {
        assert_eq!(ReceiptRow::of(&receipt).into_receipt(), Ok(receipt));
    });
    stories::products().into_iter().for_each(|product| {
        assert_eq!(ProductRow::of(&product).into_product(), Ok(product));
    });
    stories::calls().into_iter().for_each(|call| {
        assert_eq!(PaymentCallRow::of(&call, 3, None, None).into_call(), Ok(call));
    });
    let level = domain::stock::Level { version: 1, received: 2, reserved: 3, shipped: 4, returned: 5, written_off: 6 };
    let sku = schemas::Sku::new("a").unwrap();
    assert_eq!(StockRow::of(&sku, level).into_level(), Ok((sku, level)));
}

#[test]
fn a_text_that_nobody_knows_is_named_with_its_column() {
    let order = stories::orders().remove(0).remove(0);
    let row = OrderRow { stage: "refunded".into(), ..OrderRow::of(&order, 3) };
    let unknown = row.into_order().unwrap_err();
    assert_eq!(unknown.to_string(), r#"column stage holds "refunded", which this version does not know"#);
    let payment = stories::payments().remove(0).remove(0);
    let row = PaymentRow { amount_minor: None, ..PaymentRow::of(&payment) };
    assert_eq!(row.into_payment().unwrap_err().column, "amount_minor");
}
