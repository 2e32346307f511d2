//! A flash sale: far more orders than pieces, all of one SKU, on several partitions and instances at once.

use domain::simulator::SimulatorConfig;
use schemas::{InventoryEvent, Message, OrderId, PlaceOrder, Sku, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, order};

use crate::DAEMON;

const SKU: &str = "on-sale";
const PIECES: i64 = 25;
const ORDERS: usize = 400;

/// What came of a sale.
struct Sale {
    confirmed: i64,
    available: i64,
    out_of_stock: usize,
    declined: usize,
}

/// Sells 25 pieces to 400 orders; this share of the payments is declined.
async fn sell(decline_per_million: u32) -> Outcome<Sale> {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { decline_per_million, ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    pipeline.receive(&[(Sku::new(SKU)?, PIECES)].into()).await?;
    let orders: Vec<PlaceOrder> =
        (0..ORDERS).map(|number| order(&format!("sale-{number}"), &[SKU])).collect::<Outcome<_>>()?;
    pipeline.publish(&orders).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    refusals_name_an_empty_shelf(&pipeline).await?;
    let level = pipeline.tables().query("select received, reserved, shipped from inventory.stock", &[]).await?;
    let [received, reserved, shipped]: [i64; 3] = [level[0].get(0), level[0].get(1), level[0].get(2)];
    assert_eq!((level.len(), received, reserved), (1, PIECES, 0));
    let cancelled = |reason| rows.values().filter(|row| row.cancel_reason.as_deref() == Some(reason)).count();
    let confirmed = i64::try_from(rows.values().filter(|row| row.stage == "completed").count())?;
    assert_eq!(shipped, confirmed, "what is confirmed leaves, and nothing else does");
    let (out_of_stock, declined) = (cancelled("OutOfStock"), cancelled("PaymentDeclined"));
    Ok(Sale { confirmed, available: received - reserved - shipped, out_of_stock, declined })
}

/// A refusal names what was available when it was decided, under the SKU's lock: never less than nothing, and never a piece
/// that an order of one piece could have had.
async fn refusals_name_an_empty_shelf(pipeline: &Pipeline) -> Outcome {
    let mut refused: Vec<(OrderId, i64)> = Vec::new();
    for record in pipeline.messages(TopicName::InventoryEvents).await? {
        if let Message::InventoryEvent(InventoryEvent::StockRejected(event)) = record.message {
            refused.extend(event.shortages.iter().map(|shortage| (event.order_id.clone(), shortage.available)));
        }
    }
    let wrong: Vec<_> = refused.iter().filter(|(_, available)| *available != 0).collect();
    assert!(!refused.is_empty() && wrong.is_empty(), "{} of {}: {wrong:?}", wrong.len(), refused.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_declined_exactly_as_many_are_confirmed_as_there_are_pieces() -> Outcome {
    let sale = sell(0).await?;
    assert_eq!((sale.confirmed, sale.available), (PIECES, 0));
    assert_eq!((sale.out_of_stock, sale.declined), (ORDERS - 25, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_piece_is_sold_again_or_left_and_never_lost() -> Outcome {
    let sale = sell(300_000).await?;
    // The sum alone would hold for what is sold twice, too.
    assert_eq!(sale.confirmed + sale.available, PIECES);
    assert!(sale.available >= 0, "{} available", sale.available);
    assert!(sale.declined > 0 && sale.confirmed > 0, "{} declined, {} confirmed", sale.declined, sale.confirmed);
    assert_eq!(sale.out_of_stock + sale.declined, ORDERS - usize::try_from(sale.confirmed)?);
    Ok(())
}
