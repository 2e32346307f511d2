//! How the pipeline is, as it changes.

use crate::house::House;
use crate::pipeline::Outcome;

/// An order that is placed elsewhere is counted on a page that nobody loads again.
pub(crate) async fn changes(house: &House) -> Outcome {
    let kim = &house.kim;
    kim.goes_to("/console").await?;
    kim.runs("window.isTheSame = true").await?;
    let placed = "return [...document.querySelectorAll('dt')].find(e => e.textContent == 'Orders not finished')\
                  .nextElementSibling.textContent.trim()";
    let before = kim.runs(placed).await?;
    house.order("live-1").await?;
    kim.until("the order is counted", async || {
        let now = kim.runs(placed).await?;
        if now != before { Ok(()) } else { Err(format!("{before}, still").into()) }
    })
    .await?;
    let is_the_same = kim.runs("return window.isTheSame === true").await?;
    if is_the_same == true { Ok(()) } else { Err("the page was loaded again".into()) }
}
