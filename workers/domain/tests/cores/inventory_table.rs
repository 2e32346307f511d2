//! Reservations: every state against every command.

use domain::decision::Decision;
use domain::stock::{Level, Reservation, decide, evolve};
use schemas::{InventoryCommand, InventoryEvent, Sku};

use super::fixtures::{noon, stock};
use super::table::{Table, cell};

fn level_of(_: &Sku) -> Level {
    Level { version: 1, received: 5, ..Level::default() }
}

fn when(state: Option<&Reservation>, command: &InventoryCommand) -> Decision<InventoryEvent> {
    decide(state, command, level_of, noon())
}

fn after(history: &[InventoryCommand]) -> Option<Reservation> {
    history.iter().fold(None, |state, command| match when(state.as_ref(), command).change() {
        Some(event) => evolve(state, event).unwrap().reservation,
        None => state,
    })
}

#[test]
fn reservations_are_as_documented() {
    let (enough, too_many) = (stock::reserve(&[("a", 5)]), stock::reserve(&[("a", 6)]));
    let some = stock::take_back("return-1", &[("a", 1, 1)]);
    let states = [
        ("no reservation", after(&[])),
        ("Reserved", after(std::slice::from_ref(&enough))),
        ("Rejected", after(std::slice::from_ref(&too_many))),
        ("Committed", after(&[enough.clone(), stock::commit()])),
        ("Committed, some back", after(&[enough.clone(), stock::commit(), some.clone()])),
        ("Released", after(&[enough.clone(), stock::release()])),
        ("Released, version 1", after(&[stock::release()])),
    ];
    let mut table = Table::new(states.iter().map(|(name, _)| *name));
    for (name, command) in [
        ("ReserveStock, enough there", enough),
        ("ReserveStock, too little there", too_many),
        ("CommitStock", stock::commit()),
        ("ReleaseStock", stock::release()),
        ("ReturnStock of what is out", stock::take_back("return-2", &[("a", 1, 2)])),
        ("ReturnStock of more than is out", stock::take_back("return-2", &[("a", 4, 2)])),
        ("ReturnStock, same return", some),
    ] {
        table.row(name, states.iter().map(|(_, state)| cell(&when(state.as_ref(), &command))));
    }
    table.assert_documented("inventory");
}
