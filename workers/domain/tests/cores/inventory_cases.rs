//! Stock in detail: sums, shortages, locks, receipts.

use std::collections::BTreeMap;

use domain::decision::{Contradiction, Outcome};
use domain::stock::{Level, Product, Receipt, decide, decide_stock, evolve, evolve_stock, skus_touched};
use schemas::{
    AdjustStock, InventoryEvent, ReceiveStock, Shortage, Sku, StockCommand, StockCommandRefused, StockCommandRejected,
    StockEvent, StockRejected, StockRejectionCode, StockReserved, limits,
};

use super::fixtures::{command_id, describe, noon, order_id, sku, stock, stock_line};

fn level(received: i64) -> Level {
    Level { version: 1, received, ..Level::default() }
}

fn reserve(lines: &[(&str, i64)], available: i64) -> InventoryEvent {
    let decision = decide(None, &stock::reserve(lines), |_| level(available), noon());
    assert_eq!(decision.outcome, Outcome::Applied);
    decision.event.unwrap()
}

fn stock_event(level: Level, command: StockCommand) -> StockEvent {
    decide_stock(None, level, &command, noon()).event.unwrap()
}

fn code(level: Level, command: StockCommand) -> StockRejectionCode {
    let event = stock_event(level, command);
    let StockEvent::StockCommandRejected(StockCommandRejected { code, .. }) = event else { panic!("{event:?}") };
    code
}

fn receive(quantity: i64) -> StockCommand {
    ReceiveStock::of(sku("a"), command_id("k"), quantity).into()
}

fn adjust(delta: i64) -> StockCommand {
    AdjustStock::of(sku("a"), command_id("k"), delta).into()
}

#[test]
fn lines_of_one_sku_are_summed_and_skus_ascend() {
    let InventoryEvent::StockReserved(StockReserved { lines, .. }) = reserve(&[("b", 2), ("a", 1), ("b", 3)], 5) else {
        panic!()
    };
    assert_eq!(lines, [stock_line("a", 1), stock_line("b", 5)]);
}

#[test]
fn one_short_sku_refuses_all_and_is_named() {
    let levels = |sku: &Sku| if sku.as_str() == "b" { level(2) } else { level(9) };
    let command = stock::reserve(&[("a", 1), ("b", 3)]);
    let decision = decide(None, &command, levels, noon());
    let shortages = vec![Shortage { sku: sku("b"), requested: 3, available: 2 }];
    assert_eq!(decision.event, Some(StockRejected { order_id: order_id(), version: 1, at: noon(), shortages }.into()));
}

#[test]
fn a_sum_that_does_not_fit_is_more_than_there_is() {
    let InventoryEvent::StockRejected(StockRejected { shortages, .. }) =
        reserve(&[("a", i64::MAX), ("a", 1)], i64::MAX)
    else {
        panic!()
    };
    assert_eq!(shortages, [Shortage { sku: sku("a"), requested: i64::MAX, available: i64::MAX }]);
}

#[test]
fn nothing_and_less_than_nothing_are_never_reserved() {
    assert!(matches!(reserve(&[], 5), InventoryEvent::StockRejected(_)));
    assert!(matches!(reserve(&[("a", 0)], 5), InventoryEvent::StockRejected(_)));
    assert!(matches!(reserve(&[("a", -1)], 5), InventoryEvent::StockRejected(_)));
}

#[test]
fn the_list_of_shortages_is_bounded() {
    let names: Vec<String> = (0..40).map(|number| format!("s-{number:02}")).collect();
    let lines: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let InventoryEvent::StockRejected(StockRejected { shortages, .. }) = reserve(&lines, 0) else { panic!() };
    assert_eq!(shortages.len(), limits::MAX_REASONS);
}

#[test]
fn the_locks_cover_what_is_read_or_changed() {
    let command = stock::reserve(&[("b", 1), ("a", 1)]);
    assert_eq!(skus_touched(None, &command).map(Sku::as_str).collect::<Vec<_>>(), ["b", "a"]);
    let reservation = evolve(None, &reserve(&[("c", 1)], 5)).unwrap().reservation;
    assert_eq!(skus_touched(reservation.as_ref(), &stock::commit()).map(Sku::as_str).collect::<Vec<_>>(), ["c"]);
    assert_eq!(skus_touched(None, &stock::release()).count(), 0);
}

#[test]
fn a_repeated_event_changes_no_level() {
    let event = reserve(&[("a", 2)], 5);
    let first = evolve(None, &event).unwrap();
    assert_eq!(first.changes.len(), 1);
    let second = evolve(first.reservation.clone(), &event).unwrap();
    assert_eq!((second.reservation, second.changes), (first.reservation, vec![]));
}

#[test]
fn what_cannot_follow_is_an_error() {
    assert_eq!(evolve(None, &stock::committed()).unwrap_err().why, Contradiction::Gap);
    let released = evolve(None, &reserve(&[("a", 2)], 5)).unwrap().reservation;
    let released = evolve(released, &stock::released()).unwrap().reservation;
    let InventoryEvent::StockCommitted(mut committed) = stock::committed() else { panic!() };
    committed.version = 3;
    assert_eq!(evolve(released, &committed.into()).unwrap_err().why, Contradiction::Impossible("released"));
}

#[test]
fn stock_commands_are_refused_with_a_reason() {
    assert_eq!(code(level(5), receive(0)), StockRejectionCode::QuantityNotPositive);
    assert_eq!(code(level(5), receive(-3)), StockRejectionCode::QuantityNotPositive);
    assert_eq!(code(level(5), receive(i64::MAX)), StockRejectionCode::QuantityOverflow);
    assert_eq!(code(level(5), adjust(0)), StockRejectionCode::NoChange);
    assert_eq!(code(level(5), adjust(i64::MAX)), StockRejectionCode::QuantityOverflow);
    assert_eq!(code(level(5), adjust(-6)), StockRejectionCode::BelowReserved);
    assert_eq!(code(Level { reserved: 2, shipped: 2, ..level(5) }, adjust(-2)), StockRejectionCode::BelowReserved);
    assert_eq!(code(Level::default(), adjust(i64::MIN)), StockRejectionCode::BelowReserved);
}

#[test]
fn an_adjustment_can_take_what_is_available() {
    let before = Level { reserved: 2, shipped: 2, ..level(5) };
    let after = evolve_stock(&sku("a"), before, &stock_event(before, adjust(-1))).unwrap();
    assert_eq!(after, Level { version: 2, received: 4, reserved: 2, shipped: 2, ..Level::default() });
    assert_eq!(after.available(), 0);
}

#[test]
fn a_repeated_stock_command_is_answered_in_the_same_words() {
    let asked = AdjustStock { by: Some("ann".into()), ..AdjustStock::of(sku("a"), command_id("k"), 3) }.into();
    for command in [receive(5), adjust(3), asked, pen(250), describe("a", "k", "Pen", 0, "JPY", Some("ann")).into()] {
        let event = stock_event(Level::default(), command.clone());
        let receipt = Receipt::of(&event).unwrap();
        let again = decide_stock(Some(&receipt), level(99), &command, noon().plus_ms(9));
        assert_eq!((again.outcome, again.event), (Outcome::Repeated, Some(event)));
    }
    let receipt = Receipt::of(&stock_event(Level::default(), receive(5))).unwrap();
    for other in [receive(6), adjust(5), pen(5)] {
        let decision = decide_stock(Some(&receipt), level(5), &other, noon());
        assert_eq!(decision.outcome, Outcome::Rejected, "{other:?}");
    }
}

#[test]
fn a_repetition_is_the_same_whoever_asks_for_it() {
    let event = stock_event(Level::default(), describe("a", "k", "Pen", 250, "EUR", Some("ann")).into());
    let receipt = Receipt::of(&event).unwrap();
    let again = decide_stock(Some(&receipt), level(9), &pen(250), noon().plus_ms(9));
    assert_eq!((again.outcome, again.event), (Outcome::Repeated, Some(event)));
}

#[test]
fn who_asks_and_why_stands_in_the_event_and_a_plain_command_leaves_nothing() {
    let note = Some("x".repeat(limits::MAX_DETAIL_BYTES + 1));
    let asked = ReceiveStock { by: Some("ann".into()), note, ..ReceiveStock::of(sku("a"), command_id("k"), 5) };
    let event = stock_event(Level::default(), asked.into());
    let origin = event.origin().unwrap();
    assert_eq!((origin.command.as_str(), &origin.command_id), ("ReceiveStock", &command_id("k")));
    assert_eq!((origin.by.as_deref(), origin.note.as_ref().unwrap().len()), (Some("ann"), limits::MAX_DETAIL_BYTES));
    assert_eq!(stock_event(Level::default(), receive(5)).origin(), None);
}

fn pen(price_minor: i64) -> StockCommand {
    describe("a", "k", "Pen", price_minor, "EUR", None).into()
}

#[test]
fn a_description_takes_a_version_of_its_sku_and_no_piece() {
    let event = stock_event(level(5), pen(250));
    assert_eq!(evolve_stock(&sku("a"), level(5), &event).unwrap(), Level { version: 2, ..level(5) });
    let product = Product::of(&event).unwrap();
    let told = (product.version, product.description.title.as_str(), product.description.price_minor);
    assert_eq!((told, product.changed_at), ((2, "Pen", 250), noon()));
    assert_eq!(Product::of(&stock_event(level(5), receive(1))), None);
}

#[test]
fn a_description_is_refused_with_every_reason() {
    let codes = |title: &str, price_minor, currency: &str| -> Vec<String> {
        let command = describe("a", "k", title, price_minor, currency, None).into();
        let event = stock_event(level(5), command);
        assert_eq!(event.version(), None);
        let StockEvent::StockCommandRefused(StockCommandRefused { command, reasons, .. }) = event else {
            panic!("{event:?}")
        };
        assert_eq!(command, "DescribeProduct");
        reasons.into_iter().map(|reason| reason.reason_code).collect()
    };
    let (long, longest) = ("x".repeat(limits::MAX_TITLE_BYTES + 1), "x".repeat(limits::MAX_TITLE_BYTES));
    assert_eq!(codes(" \t", -1, "DEM"), ["TitleEmpty", "PriceNegative", "CurrencyUnknown"]);
    assert_eq!(codes(&long, limits::MAX_TOTAL_MINOR + 1, "EUR"), ["TitleTooLong", "PriceTooLarge"]);
    for price_minor in [0, limits::MAX_TOTAL_MINOR] {
        let event = stock_event(level(5), describe("a", "k", &longest, price_minor, "EUR", None).into());
        assert_eq!(event.version(), Some(2), "{event:?}");
    }
    // Another command of this id was a receipt.
    let receipt = Receipt::of(&stock_event(Level::default(), receive(5))).unwrap();
    let event = decide_stock(Some(&receipt), level(5), &pen(1), noon()).event.unwrap();
    let StockEvent::StockCommandRefused(StockCommandRefused { reasons, .. }) = event else { panic!("{event:?}") };
    assert_eq!(reasons[0].reason_code, "ContentDiffers");
}

#[test]
fn stock_events_of_another_sku_or_with_a_gap_are_errors() {
    let event = stock_event(Level::default(), receive(5));
    assert_eq!(evolve_stock(&sku("b"), Level::default(), &event).unwrap_err().why, Contradiction::OtherAggregate);
    let later = stock_event(level(5), receive(5));
    assert_eq!(evolve_stock(&sku("a"), Level::default(), &later).unwrap_err().why, Contradiction::Gap);
    assert_eq!(evolve_stock(&sku("a"), level(9), &event).unwrap(), level(9));
}

#[test]
fn what_comes_back_is_there_again_unless_it_is_written_off() {
    let history =
        [stock::reserve(&[("a", 3), ("b", 1)]), stock::commit(), stock::take_back("r", &[("a", 1, 1), ("b", 0, 1)])];
    let (mut reservation, mut levels) = (None, BTreeMap::from([(sku("a"), level(5)), (sku("b"), level(5))]));
    for command in &history {
        let decision = decide(reservation.as_ref(), command, |sku| levels[sku], noon());
        let evolved = evolve(reservation, decision.change().unwrap()).unwrap();
        for change in &evolved.changes {
            let level = levels.get_mut(&change.sku).unwrap();
            *level = level.after(change).unwrap();
        }
        reservation = evolved.reservation;
    }
    let of = |name| levels[&sku(name)];
    let after = Level { shipped: 3, returned: 2, written_off: 1, ..level(5) };
    assert_eq!((of("a"), of("a").available(), of("b").available()), (after, 3, 4));
    assert_eq!(of("a").received + of("a").returned, of("a").available() + of("a").shipped + of("a").written_off);
    // The same return again is the same; another one takes what is still out, and no more.
    let again = decide(reservation.as_ref(), &history[2], |sku| levels[sku], noon());
    assert_eq!(again.outcome, Outcome::Repeated);
    let other = |lines| decide(reservation.as_ref(), &stock::take_back("s", lines), |sku| levels[sku], noon()).outcome;
    assert_eq!(other(&[("a", 1, 0)]), Outcome::Applied);
    for lines in [&[("a", 2, 0)][..], &[("b", 1, 0)], &[("c", 1, 0)], &[("a", 0, 0)], &[("a", -1, 1)], &[]] {
        assert_eq!(other(lines), Outcome::Rejected, "{lines:?}");
    }
}
