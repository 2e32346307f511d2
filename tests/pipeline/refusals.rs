//! Every order and every command that is refused: an event with every reason, and nothing else happens.

use std::collections::HashMap;

use schemas::{
    AdjustStock, CancelOrder, CommandId, Message, OrderCommandName, OrderEvent, OrderId, OrderRejected, PlaceOrder,
    ReceiveStock, RefundOrder, RejectionCode, RejectionCode as Code, Sku, StockEvent, StockRejectionCode, TopicName,
    limits,
};
use tests::{Outcome, Pipeline, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;

/// An order with one thing changed.
fn changed(id: &str, change: impl FnOnce(&mut PlaceOrder)) -> Outcome<PlaceOrder> {
    let mut order = order(id, &["a", "b"])?;
    change(&mut order);
    Ok(order)
}

/// Bad orders with the reasons that have to come, in this order.
fn bad_orders() -> Outcome<Vec<(PlaceOrder, Vec<Code>)>> {
    let many = |count: usize| move |order: &mut PlaceOrder| order.lines = vec![order.lines[0].clone(); count];
    Ok(vec![
        (changed("no-lines", |order| order.lines.clear())?, vec![Code::NoLines]),
        (changed("zero", |order| order.lines[1].quantity = 0)?, vec![Code::QuantityNotPositive]),
        (changed("negative", |order| order.lines[0].quantity = -1)?, vec![Code::QuantityNotPositive]),
        (changed("lowest", |order| order.lines[0].quantity = i64::MIN)?, vec![Code::QuantityNotPositive]),
        (changed("price", |order| order.lines[0].unit_price_minor = -1)?, vec![Code::PriceNegative]),
        (changed("currency", |order| order.currency = "XYZ".into())?, vec![Code::CurrencyUnknown]),
        (changed("no-currency", |order| order.currency.clear())?, vec![Code::CurrencyUnknown]),
        (changed("case", |order| order.currency = "usd".into())?, vec![Code::CurrencyUnknown]),
        (
            changed("line-overflow", |order| {
                (order.lines[0].quantity, order.lines[0].unit_price_minor) = (i64::MAX, 2)
            })?,
            vec![Code::AmountOverflow],
        ),
        (
            changed("sum-overflow", |order| {
                order.lines.iter_mut().for_each(|line| line.unit_price_minor = i64::MAX);
            })?,
            vec![Code::AmountOverflow],
        ),
        (changed("too-many", many(limits::MAX_LINES + 1))?, vec![Code::TooManyLines]),
        (changed("far-too-many", many(20_000))?, vec![Code::TooManyLines]),
        (
            changed("everything", |order| {
                order.currency = "???".into();
                order.lines[0].quantity = 0;
                order.lines[1].unit_price_minor = -5;
            })?,
            vec![Code::CurrencyUnknown, Code::QuantityNotPositive, Code::PriceNegative],
        ),
        (
            changed("forty-mistakes", |order| {
                order.lines = vec![order.lines[0].clone(); 40];
                order.lines.iter_mut().for_each(|line| line.quantity = 0);
                order.lines[39].unit_price_minor = -1;
            })?,
            // Bounded, with the first of each kind among them.
            [vec![Code::QuantityNotPositive; limits::MAX_REASONS - 1], vec![Code::PriceNegative]].concat(),
        ),
    ])
}

fn codes(event: &OrderRejected) -> Vec<RejectionCode> {
    event.reasons.iter().map(|reason| reason.code).collect()
}

async fn rejections(pipeline: &Pipeline) -> Outcome<Vec<OrderRejected>> {
    let mut rejected = Vec::new();
    for record in pipeline.messages(TopicName::OrderEvents).await? {
        if let Message::OrderEvent(OrderEvent::OrderRejected(event)) = record.message {
            rejected.push(event);
        }
    }
    Ok(rejected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_order_is_refused_with_every_reason_and_makes_no_order() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let good = vec![order("good-1", &["a"])?, changed("free", |order| order.lines[0].unit_price_minor = 0)?];
    pipeline.receive(&stock_for(&good)).await?;
    let bad = bad_orders()?;
    let (orders, expected): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
    pipeline.publish(&orders).await?;
    pipeline.publish(&good).await?;
    pipeline.await_terminal(&good).await?;
    pipeline.check_clean().await?;

    let by_id: HashMap<String, OrderRejected> =
        rejections(&pipeline).await?.into_iter().map(|event| (event.order_id.as_str().to_owned(), event)).collect();
    assert_eq!(by_id.len(), orders.len());
    for (order, expected) in orders.iter().zip(expected) {
        let id = order.order_id.as_str();
        let event = by_id.get(id).ok_or_else(|| trouble(format!("{id} was not refused")))?;
        assert_eq!((event.command, codes(event)), (OrderCommandName::PlaceOrder, expected), "{id}");
        assert!(event.reasons.iter().all(|reason| !reason.detail.is_empty()), "{id}: words for every reason");
    }
    assert_eq!(pipeline.tables().orders().await?.len(), good.len(), "there are no other orders");
    // What no topic takes does not leave the client.
    let huge = changed("huge", |order| order.lines = vec![order.lines[0].clone(); 300_000])?;
    let refused = pipeline.publish(&[huge]).await.expect_err("it does not fit").to_string();
    assert!(refused.contains("too large") && refused.contains("1048576"), "{refused}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_fit_the_order_is_refused_and_leaves_it_alone() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let placed = order("placed-1", &["a"])?;
    pipeline.receive(&stock_for(std::slice::from_ref(&placed))).await?;
    pipeline.publish(std::slice::from_ref(&placed)).await?;
    let before = pipeline.await_terminal(std::slice::from_ref(&placed)).await?;
    assert_eq!(before["placed-1"].stage, "completed");

    let (id, unknown) = (placed.order_id.clone(), OrderId::new("unknown-1")?);
    let mut other = placed.clone();
    other.lines[0].quantity = 2;
    let command = |text: &str| CommandId::new(text);
    let commands: Vec<Message> = vec![
        placed.clone().into(),
        other.into(),
        CancelOrder::new(id.clone(), command("cancel-finished")?).into(),
        CancelOrder::new(unknown.clone(), command("cancel-unknown")?).into(),
        RefundOrder { amount_minor: Some(101), ..RefundOrder::all(id, command("refund-too-much")?) }.into(),
        RefundOrder::all(unknown, command("refund-unknown")?).into(),
    ];
    pipeline.publish(&commands).await?;
    pipeline.check_clean().await?;

    let mut found: Vec<(String, Vec<Code>)> = rejections(&pipeline)
        .await?
        .iter()
        .map(|event| (event.command_id.as_ref().map_or_else(String::new, |id| id.as_str().to_owned()), codes(event)))
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("", Code::ContentDiffers),
        ("cancel-finished", Code::OrderFinished),
        ("cancel-unknown", Code::OrderUnknown),
        ("refund-too-much", Code::AmountOverflow),
        ("refund-unknown", Code::OrderUnknown),
    ];
    assert_eq!(found, expected.map(|(id, code)| (id.to_owned(), vec![code])));
    assert_eq!(pipeline.tables().orders().await?, before, "the order is as it was");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_command_that_cannot_be_is_refused_and_moves_no_stock() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let sku = Sku::new("a")?;
    let receive = |id: &str, quantity| {
        let command_id = CommandId::new(id)?;
        Outcome::Ok(Message::from(ReceiveStock::of(sku.clone(), command_id, quantity)))
    };
    let adjust = |id: &str, delta| {
        let command_id = CommandId::new(id)?;
        Outcome::Ok(Message::from(AdjustStock::of(sku.clone(), command_id, delta)))
    };
    let commands = [
        receive("good", 10)?,
        receive("good", 10)?,
        receive("good", 11)?,
        receive("none", 0)?,
        receive("less", -3)?,
        receive("overflow", i64::MAX)?,
        adjust("by-none", 0)?,
        adjust("too-far", -11)?,
        adjust("down", -4)?,
    ];
    pipeline.publish(&commands).await?;
    pipeline.check_clean().await?;

    let mut refused = Vec::new();
    for record in pipeline.messages(TopicName::StockEvents).await? {
        if let Message::StockEvent(StockEvent::StockCommandRejected(event)) = record.message {
            refused.push((event.command_id.as_str().to_owned(), event.code));
        }
    }
    let expected = [
        ("good", StockRejectionCode::ContentDiffers),
        ("none", StockRejectionCode::QuantityNotPositive),
        ("less", StockRejectionCode::QuantityNotPositive),
        ("overflow", StockRejectionCode::QuantityOverflow),
        ("by-none", StockRejectionCode::NoChange),
        ("too-far", StockRejectionCode::BelowReserved),
    ];
    assert_eq!(refused, expected.map(|(id, code)| (id.to_owned(), code)));
    assert_eq!(pipeline.tables().number("select received from inventory.stock where sku = 'a'").await?, 6);
    Ok(())
}
