//! What hangs: a record that nobody could take, and an order that a person has to free.

use crate::house::House;
use crate::pipeline::Outcome;

/// Seen, corrected, tried, sent again, and an order then.
pub(crate) async fn dead_letter(house: &House) -> Outcome {
    let kim = &house.kim;
    house.spoil("letter-1", b"{\"no\": \"avro\"}", ("ce_source", "<img src=x onerror=alert(1)>")).await?;
    kim.sees_in_time("/console/dead-letters", "letter-1").await?;
    kim.clicks_at("//tr[contains(.,'letter-1')]//a[contains(@href,'/console/dead-letters/')]").await?;
    kim.sees("What is wrong").await?;
    kim.sees("<img src=x onerror=alert(1)>").await?;
    let order = "{\"order_id\": \"letter-1\", \"customer_id\": \"ada\", \"placed_at\": \"2026-11-30T12:00:00Z\", \
        \"currency\": \"EUR\", \"lines\": [{\"sku\": \"pen\", \"quantity\": 1, \"unit_price_minor\": 250}]}";
    let correction = "//form[h3='Correct it and send it']";
    kim.chooses("Type", "PlaceOrder").await?;
    kim.fills("Body (JSON)", &order.replace("\"quantity\": 1", "\"quantity\": \"1\"")).await?;
    kim.fills_in(correction, "Why", "the shop's bug 12").await?;
    kim.clicks_in(correction, "Redrive").await?;
    kim.sees("lines[0].quantity").await?;
    kim.fills("Body (JSON)", order).await?;
    kim.clicks_in(correction, "Dry run").await?;
    kim.sees("Dry run: nothing was changed").await?;
    kim.clicks_in(correction, "Redrive").await?;
    kim.sees("Redriven").await?;
    kim.sees("by kim, edited").await?;
    kim.sees_in_time("/console/orders/letter-1", "Completed").await?;
    kim.has_no_complaint_but(&["400", "404"]).await
}

/// Tried again in vain, then ended with a note.
pub(crate) async fn freed(house: &House) -> Outcome {
    let kim = &house.kim;
    let id = house.get_stuck().await?;
    kim.sees_in_time("/console/stuck", &id).await?;
    let card = format!("//section[h3[normalize-space()='{id}']]");
    kim.fills_in(&card, "Who has seen to it, and how", "the bank was down").await?;
    kim.clicks_in(&card, "Try again").await?;
    kim.sees("Sent. Order").await?;
    kim.sees_in_time("/console/stuck", &id).await?;
    kim.fills_in(&card, "Who has seen to it, and how", "settled by phone").await?;
    kim.clicks_in(&card, "End as cancelled").await?;
    kim.sees("Sent. Order").await?;
    kim.clicks(&id).await?;
    kim.sees("Cancelled").await?;
    kim.sees("settled by phone").await
}
