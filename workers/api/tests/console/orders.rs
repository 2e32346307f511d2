//! Orders as a shop's people see to them: found, followed from placed to refunded, called off, and many at once.

use serde_json::json;

use crate::house::House;
use crate::person::Person;
use crate::pipeline::Outcome;
use crate::walk;

/// Of an order's page, the form of an act.
fn form(act: &str) -> String {
    format!("//form[contains(@action,'/{act}')]")
}

/// Opens a form of an order's page, fills its note, and sends it.
async fn acts(person: &Person, name: &str, act: &str, note: &str) -> Outcome {
    person.clicks(name).await?;
    person.fills_in(&form(act), "Note", note).await?;
    person.clicks_in(&form(act), name).await
}

/// Found by its id and by its customer; where there is none, that is said.
pub(crate) async fn found(house: &House) -> Outcome {
    let kim = &house.kim;
    house.order_of("find-1", "grace", "pen", 1).await?;
    house.order_of("find-2", "grace", "pen", 3).await?;
    for (wanted, shown) in [("find-1", "The order of this id"), ("grace", "2 orders, the newest first")] {
        kim.goes_to("/console/orders").await?;
        kim.fills("Order or customer", wanted).await?;
        kim.clicks("Find").await?;
        kim.sees(shown).await?;
        kim.clicks("find-1").await?;
        kim.sees("Order find-1").await?;
    }
    kim.clicks("grace").await?;
    kim.sees("find-2").await?;
    kim.fills("Order or customer", "nobody").await?;
    kim.chooses("State", "Stuck").await?;
    kim.clicks("Find").await?;
    kim.sees("No order is like that").await?;
    kim.clicks("All orders").await?;
    kim.sees("find-2").await
}

/// From placed to refunded, by clicks alone; what comes of each is shown without loading the page.
pub(crate) async fn followed(house: &House) -> Outcome {
    let kim = &house.kim;
    house.order("way-1").await?;
    kim.goes_to("/console/orders?find=way-1").await?;
    kim.clicks("way-1").await?;
    kim.sees("Ready to ship").await?;
    kim.clicks("Ship").await?;
    kim.fills("Carrier (may be left out)", "DHL").await?;
    kim.fills_in(&form("ship"), "Note", "the van is here").await?;
    kim.clicks_in(&form("ship"), "Ship").await?;
    kim.sees("Done.").await?;
    kim.sees("Completed").await?;
    kim.sees("the van is here").await?;
    kim.clicks("Refund").await?;
    kim.clicks("All that is left: EUR 5.00").await?;
    kim.fills_in(&form("refund"), "Note", "it leaks").await?;
    kim.clicks_in(&form("refund"), "Refund").await?;
    kim.sees("Done.").await?;
    kim.sees("it leaks").await?;
    kim.sees("Order refunded").await?;
    kim.until("the payment says so too", async || {
        let payment = house.api().get("/v1/orders/way-1/payment").await?.of(200)?;
        if payment.body["refunded_minor"] == 500 { Ok(()) } else { Err(format!("{payment:?}").into()) }
    })
    .await?;
    if kim.is_offered("Ship").await? || kim.is_offered("Cancel").await? {
        return Err("what has left is offered to be shipped or cancelled".into());
    }
    Ok(())
}

/// Called off before it leaves; then it can do nothing but be looked at.
pub(crate) async fn cancelled(house: &House) -> Outcome {
    let kim = &house.kim;
    house.order("off-1").await?;
    kim.goes_to("/console/orders/off-1").await?;
    acts(kim, "Cancel", "cancel", "changed their mind").await?;
    kim.sees("Done.").await?;
    kim.sees("Cancelled").await?;
    kim.sees("changed their mind").await?;
    kim.sees("Nothing: it goes on by itself, or has ended.").await?;
    let by =
        "select body::json->'origin'->>'by' from view.heard where body::json->'origin'->>'note' = 'changed their mind'";
    let by = house.pipeline.query(by).await?;
    if by.first().is_some_and(|by| by == "kim") { Ok(()) } else { Err(format!("who has done it: {by:?}").into()) }
}

/// Many at once: first what it would do, then what came of each; one that was called off meanwhile has failed, with why.
pub(crate) async fn many(house: &House) -> Outcome {
    let kim = &house.kim;
    for id in ["many-1", "many-2", "many-3"] {
        house.order_of(id, "shop", "pen", 1).await?;
    }
    kim.goes_to("/console/orders?find=shop").await?;
    kim.sees("3 orders").await?;
    kim.clicks("Choose all of this page").await?;
    kim.chooses("What", "Ship").await?;
    kim.fills_in("//fieldset", "Note", "the afternoon's van").await?;
    kim.clicks("See what it would do").await?;
    kim.sees("Nothing was done yet. “Ship” would be done to 3 orders.").await?;
    walk::looks_well(house, "bulk").await?;
    let off = json!({ "note": "out of stock after all" });
    house.api().waiting().once("off-many-2").post("/v1/orders/many-2/cancel", off).await?.of(200)?;
    kim.clicks("Ship: 3 orders").await?;
    kim.sees("2 orders done, 0 on their way, 1 failed.").await?;
    walk::looks_well(house, "bulk-done").await?;
    let failed = kim.runs("return document.querySelector('[aria-label=Failed]').innerText").await?;
    if !failed.as_str().is_some_and(|failed| failed.contains("many-2") && !failed.contains("many-1")) {
        return Err(format!("not told: {failed}").into());
    }
    kim.clicks("many-1").await?;
    kim.sees("the afternoon's van").await
}

/// Two people at one order: each sees at once what the other does, and nobody acts on what they have not seen.
pub(crate) async fn at_once(house: &House) -> Outcome {
    let (kim, lee) = (&house.kim, house.another("lee").await?);
    lee.signs_in(&house.second_key).await?;
    house.order("both-1").await?;
    for person in [kim, &lee] {
        person.goes_to("/console/orders/both-1").await?;
        person.sees("Ready to ship").await?;
    }
    // What Kim has begun to write stays while the page changes below it.
    kim.clicks("Hold").await?;
    kim.fills_in(&form("hold"), "Reason code", "fraud_check").await?;
    kim.fills_in(&form("hold"), "Note", "a strange address").await?;
    acts(&lee, "Ship", "ship", "off it goes").await?;
    lee.sees("Done.").await?;
    kim.sees("off it goes").await?;

    // Without scripts nothing is told by itself; then the answer is.
    house.order("both-2").await?;
    kim.browser.allow_scripts(false).await?;
    for person in [kim, &lee] {
        person.goes_to("/console/orders/both-2").await?;
    }
    kim.clicks("Hold").await?;
    kim.fills_in(&form("hold"), "Reason code", "fraud_check").await?;
    kim.fills_in(&form("hold"), "Note", "a strange address").await?;
    acts(&lee, "Ship", "ship", "this one too").await?;
    lee.sees("Completed").await?;
    kim.clicks_in(&form("hold"), "Hold").await?;
    kim.sees("Somebody else was here first; nothing was done for you.").await?;
    kim.sees("this one too").await?;
    kim.has_no_complaint_but(&["409"]).await?;
    lee.has_no_complaint_but(&[]).await
}

/// All that a search finds: shown, then done to those while the page tells how far it is.
pub(crate) async fn swept(house: &House) -> Outcome {
    let kim = &house.kim;
    for id in ["swept-1", "swept-2", "swept-3"] {
        house.order_of(id, "depot", "pen", 1).await?;
    }
    kim.goes_to("/console/orders?find=depot").await?;
    kim.sees("3 orders").await?;
    kim.clicks("Do something to all orders that this search finds").await?;
    let place = "//details[@id='all-of-them']";
    walk::looks_well(house, "sweep-form").await?;
    kim.chooses_in(place, "What", "Ship").await?;
    kim.fills_in(place, "Note", "all of the depot's").await?;
    kim.clicks_in(place, "See what it would do").await?;
    kim.sees("Nothing was done yet. “Ship” would be done to 3 orders.").await?;
    walk::looks_well(house, "sweep").await?;
    let off = json!({ "note": "not that one" });
    house.api().waiting().once("off-swept-2").post("/v1/orders/swept-2/cancel", off).await?.of(200)?;
    kim.clicks("Ship: 3 orders").await?;
    kim.sees("Over. 2 orders done, 0 on their way, 1 failed.").await?;
    walk::looks_well(house, "sweep-done").await?;
    let path = kim.path().await?;
    kim.goes_to("/console").await?;
    kim.goes_to(&path).await?;
    kim.sees("Over. 2 orders done").await?;
    kim.clicks("swept-2").await?;
    kim.sees("not that one").await
}

/// By its id to the order itself, by a customer's to the list, and to words that help where there is none.
pub(crate) async fn found_from_every_page(house: &House) -> Outcome {
    let kim = &house.kim;
    let goes = async |text: &str| {
        kim.fills("Find by order or customer id", text).await?;
        kim.clicks("Go").await
    };
    for page in ["/console", "/console/stock/pen", "/console/orders/tour-held", "/console/business"] {
        kim.goes_to(page).await?;
        goes("tour-returned").await?;
        kim.sees("Order tour-returned").await?;
    }
    goes("ada").await?;
    kim.sees("the newest first").await?;
    goes("nobody").await?;
    kim.sees("No order is like that").await
}
