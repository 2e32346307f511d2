//! Goods and takings.

use serde_json::json;

use crate::house::House;
use crate::pipeline::Outcome;

/// A SKU is found in the list; goods are booked, with why, and counted.
pub(crate) async fn received(house: &House) -> Outcome {
    let kim = &house.kim;
    kim.goes_to("/console/stock").await?;
    kim.clicks("paper").await?;
    kim.sees("SKU paper").await?;
    let available = "return [...document.querySelectorAll('dt')].find(e => e.textContent == 'Available')\
                     .nextElementSibling.textContent";
    let before = kim.runs(available).await?;
    let form = "//form[contains(@action,'/receive')]";
    kim.fills("Pieces that arrived", "7").await?;
    kim.fills_in(form, "Why", "pallet 9").await?;
    kim.clicks_in(form, "Receive goods").await?;
    kim.sees("The goods are booked.").await?;
    kim.sees("pallet 9").await?;
    // A form that is sent twice is done once.
    let twice = "const done = arguments[0], form = document.querySelector('form[action$=\"/receive\"]');
        form.elements.pieces.value = 3;
        form.elements.note.value = 'sent twice';
        const send = () => fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
        send().then(send).then(answer => done(answer.status), error => done(String(error)))";
    let twice = kim.browser.run_until_told(twice, json!([])).await?;
    kim.goes_to("/console/stock/paper").await?;
    let after = kim.runs(available).await?;
    if (before.as_str(), after.as_str(), twice) != (Some("40"), Some("50"), json!(200)) {
        return Err(format!("{before}, then {after}").into());
    }
    // A SKU that nobody knows yet can be received as well.
    kim.goes_to("/console/stock").await?;
    kim.fills("SKU", "nib/gold").await?;
    kim.clicks("Open").await?;
    kim.sees("SKU nib/gold").await?;
    kim.sees("Nothing of it was ever received.").await
}

/// What was taken, given back and kept.
pub(crate) async fn taken(house: &House) -> Outcome {
    let kim = &house.kim;
    house.order("sold-1").await?;
    kim.sees_in_time("/console/business", "EUR").await?;
    kim.sees("Kept by hour, EUR").await?;
    kim.sees_in_time("/console/business", "pen").await
}
