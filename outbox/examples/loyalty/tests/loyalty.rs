//! Points on a real Kafka and a real Postgres: orders by an order service's own outbox, the service as a process that is killed.

mod shop;

use std::collections::BTreeMap;
use std::ops::Range;

use shop::{Result, Shop, until};

/// Orders of a run; a third is cancelled after it was confirmed, a fifth before.
const ORDERS: usize = 120;

/// What customers have in the end, and every order's state, worked out beside the service.
struct Expected {
    accounts: BTreeMap<String, i64>,
    states: BTreeMap<String, &'static str>,
}

impl Expected {
    fn of(orders: usize) -> Self {
        let mut expected = Expected { accounts: BTreeMap::new(), states: BTreeMap::new() };
        for number in 0..orders {
            let state = match (is_unconfirmed(number), is_cancelled(number)) {
                (true, _) => "Lapsed",
                (false, true) => "TakenBack",
                (false, false) => "Earned",
            };
            if state != "Lapsed" {
                let account = expected.accounts.entry(customer(number)).or_default();
                *account += if state == "Earned" { total(number) / 100 } else { 0 };
            }
            expected.states.insert(order(number), state);
        }
        expected
    }
}

fn is_unconfirmed(number: usize) -> bool {
    number % 5 == 4
}

fn is_cancelled(number: usize) -> bool {
    number % 3 == 2
}

fn order(number: usize) -> String {
    format!("o-{number}")
}

fn customer(number: usize) -> String {
    format!("c-{}", number % 7)
}

/// Never a whole number of points.
fn total(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(0) * 250 + 99
}

async fn place_and_confirm(shop: &mut Shop, orders: Range<usize>) -> Result<()> {
    for number in orders {
        shop.placed(&order(number), &customer(number), total(number)).await?;
        if !is_unconfirmed(number) {
            shop.confirmed(&order(number)).await?;
        }
    }
    Ok(())
}

async fn cancel(shop: &mut Shop, orders: usize) -> Result<()> {
    for number in (0..orders).filter(|number| is_unconfirmed(*number) || is_cancelled(*number)) {
        shop.cancelled(&order(number)).await?;
    }
    Ok(())
}

/// Until every order has its state and every account its points.
async fn assert_becomes(shop: &Shop, expected: &Expected) -> Result<()> {
    until("every order has its state", async || {
        let states = shop.states().await?;
        let wrong =
            expected.states.iter().find(|(order, state)| states.get(*order).map(String::as_str) != Some(**state));
        wrong.map_or(Ok(()), |(order, state)| Err(format!("{order} is {:?}, not {state}", states.get(order)).into()))
    })
    .await?;
    assert_eq!(shop.accounts().await?, expected.accounts);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_given_and_taken_back_once_whoever_dies() -> Result<()> {
    let mut shop = Shop::open("killed").await?;
    let service = shop.start_service()?;
    place_and_confirm(&mut shop, 0..ORDERS / 2).await?;
    until("points are given", async || match shop.accounts().await?.len() {
        0 => Err("none yet".into()),
        _ => Ok(()),
    })
    .await?;
    // The accounts are locked: the next batch that gives points stands in its middle, and there it is killed.
    let lock = shop.lock_accounts().await?;
    place_and_confirm(&mut shop, ORDERS / 2..ORDERS).await?;
    until("a batch stands in its middle", async || shop.waits_for_lock().await).await?;
    service.kill9()?;
    drop(lock);
    let service = shop.start_service()?;
    cancel(&mut shop, ORDERS).await?;
    assert_becomes(&shop, &Expected::of(ORDERS)).await?;
    // What it has said sums up to the same, however often it died.
    let (code, told) = shop.run(&["rebuild"])?;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(": 0 differences"), "{told}");
    shop.stop_service(service)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_again_and_orders_that_are_not_known_change_nothing() -> Result<()> {
    let mut shop = Shop::open("again").await?;
    let service = shop.start_service()?;
    shop.confirmed("unknown").await?;
    for _ in 0..2 {
        shop.placed("o-1", "ada", 1_999).await?;
        shop.confirmed("o-1").await?;
    }
    for _ in 0..2 {
        shop.placed("o-2", "ada", 300).await?;
        shop.confirmed("o-2").await?;
        shop.cancelled("o-2").await?;
    }
    shop.stranger_writes("nonsense").await?;
    shop.placed("o-3", "ada", 99).await?;
    shop.confirmed("o-3").await?;
    let states = [("o-1", "Earned"), ("o-2", "TakenBack"), ("o-3", "Earned")];
    let expected = Expected {
        accounts: BTreeMap::from([("ada".to_owned(), 19)]),
        states: states.map(|(order, state)| (order.to_owned(), state)).into(),
    };
    assert_becomes(&shop, &expected).await?;
    until("the stranger's record is a dead letter", async || shop.has_dead_letter().await).await?;
    shop.stop_service(service)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_names_each_row_that_is_not_as_was_said() -> Result<()> {
    let mut shop = Shop::open("rebuilt").await?;
    let service = shop.start_service()?;
    shop.placed("o-1", "ada", 1_000).await?;
    shop.confirmed("o-1").await?;
    shop.placed("o-2", "grace", 2_000).await?;
    shop.confirmed("o-2").await?;
    let states = ["o-1", "o-2"].map(|order| (order.to_owned(), "Earned")).into();
    let accounts = BTreeMap::from([("ada".to_owned(), 10), ("grace".to_owned(), 20)]);
    assert_becomes(&shop, &Expected { accounts, states }).await?;
    // The service works on meanwhile.
    assert_eq!(shop.run(&["rebuild"])?.0, Some(0));
    let schema = shop.schema.clone();
    shop.script(&format!(
        "update {schema}.loyalty_accounts set points = 11 where customer = 'ada'; \
         delete from {schema}.loyalty_entries where order_id = 'o-2'; \
         insert into {schema}.loyalty_accounts values ('nobody', 1)"
    ))
    .await?;
    let (code, told) = shop.run(&["rebuild"])?;
    assert_eq!(code, Some(1), "{told}");
    for line in [
        "loyalty_accounts customer=ada: points is 11, by the events 10",
        "loyalty_accounts customer=nobody: the table has this row, and no event makes it",
        "loyalty_entries order_id=o-2: events make this row, and the table has none",
        "4 rows in the tables, 4 by the events: 3 differences",
    ] {
        assert!(told.contains(line), "nothing of {line:?} in:\n{told}");
    }
    shop.rebuild_into("again").await?;
    let again = shop.query("select customer || ' ' || points from again.loyalty_accounts order by 1").await?;
    assert_eq!(again, ["ada 10", "grace 20"]);
    shop.stop_service(service)
}
