//! Refunds: whole and in parts, several at once, refused and without an answer; never more than was taken.

use domain::simulator::SimulatorConfig;
use schemas::{CommandId, LineQuantity, OrderEvent, PlaceOrder, RefundOrder, ServiceName};
use tests::{Outcome, Pipeline, Servers, Settings, order, trouble};

use crate::DAEMON;
use crate::life::{await_event, await_refusal, balance, events_of, kill_and_restart, provider_did, stock};

fn refund(order: &PlaceOrder, id: &str, amount_minor: Option<i64>) -> Outcome<RefundOrder> {
    Ok(RefundOrder { amount_minor, ..RefundOrder::all(order.order_id.clone(), CommandId::new(id)?) })
}

/// Waits until so many refunds of an order have ended; how many were carried out.
async fn await_refunds(pipeline: &Pipeline, order: &PlaceOrder, count: usize) -> Outcome<usize> {
    pipeline
        .until(&format!("{count} refunds of {} have ended", order.order_id), async || {
            let events = events_of(pipeline, order).await?;
            let done = events.iter().filter(|event| matches!(event, OrderEvent::OrderRefunded(_))).count();
            let failed = events.iter().filter(|event| matches!(event, OrderEvent::OrderRefundFailed(_))).count();
            if done + failed >= count { Ok(done) } else { Err(trouble(format!("{done} and {failed}"))) }
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_an_order_are_refunded_and_never_more_than_was_taken() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig {
        timeout_after_effect_per_million: 300_000,
        server_error_per_million: 200_000,
        timeout_ms: 50,
        ..SimulatorConfig::default()
    };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    stock(&pipeline, &["a", "b", "c"], 10).await?;
    let bought = order("bought", &["a", "b", "c"])?;
    let early = refund(&bought, "early", None)?;
    pipeline.publish(std::slice::from_ref(&early)).await?;
    assert_eq!(await_refusal(&pipeline, &early.command_id).await?, ["OrderUnknown"]);
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;

    let by_line =
        RefundOrder { lines: vec![LineQuantity { line: 2, quantity: 1 }], ..refund(&bought, "by-line", None)? };
    let refunds = [refund(&bought, "part", Some(30))?, by_line.clone(), refund(&bought, "part", Some(30))?, by_line];
    pipeline.publish(&refunds).await?;
    kill_and_restart(&mut pipeline, ServiceName::Payment).await?;
    kill_and_restart(&mut pipeline, ServiceName::Order).await?;
    assert_eq!(await_refunds(&pipeline, &bought, 2).await?, 2);
    assert_eq!(balance(&pipeline).await?, 300 - 30 - 100);

    for (id, amount, reason) in [
        ("too-much", Some(171), "AmountTooLarge"),
        ("nothing", Some(0), "AmountNotPositive"),
        ("less", Some(-1), "AmountNotPositive"),
    ] {
        let wrong = refund(&bought, id, amount)?;
        pipeline.publish(std::slice::from_ref(&wrong)).await?;
        assert_eq!(await_refusal(&pipeline, &wrong.command_id).await?, [reason]);
    }
    let strange =
        RefundOrder { lines: vec![LineQuantity { line: 9, quantity: 1 }], ..refund(&bought, "strange", None)? };
    pipeline.publish(std::slice::from_ref(&strange)).await?;
    assert_eq!(await_refusal(&pipeline, &strange.command_id).await?, ["LinesInvalid"]);

    // All that is left; after it nothing is.
    pipeline.publish(&[refund(&bought, "rest", None)?]).await?;
    assert_eq!(await_refunds(&pipeline, &bought, 3).await?, 3);
    let last = refund(&bought, "once-more", None)?;
    pipeline.publish(std::slice::from_ref(&last)).await?;
    assert_eq!(await_refusal(&pipeline, &last.command_id).await?, ["AmountNotPositive"]);
    pipeline.check_clean().await?;
    assert_eq!((balance(&pipeline).await?, provider_did(&pipeline, "refund")?), (0, 3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_refused_says_so_and_frees_its_amount() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { refund_failure_per_million: 1_000_000, ..SimulatorConfig::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    stock(&pipeline, &["a"], 10).await?;
    let bought = order("bought", &["a"])?;
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;
    pipeline.publish(&[refund(&bought, "first", None)?]).await?;
    await_event(&pipeline, &bought, "OrderRefundFailed").await?;
    let events = events_of(&pipeline, &bought).await?;
    let Some(OrderEvent::OrderRefundFailed(failed)) = events.last() else { panic!("{events:?}") };
    assert_eq!((failed.outcome.as_str(), failed.amount_minor), ("refused", 100));
    assert_eq!(balance(&pipeline).await?, 100, "no money has moved");

    // The card is good again: another refund of the same amount goes through.
    pipeline.change_settings(|settings| settings.simulator.refund_failure_per_million = 0)?;
    kill_and_restart(&mut pipeline, ServiceName::Payment).await?;
    pipeline.publish(&[refund(&bought, "second", None)?]).await?;
    assert_eq!(await_refunds(&pipeline, &bought, 2).await?, 1);
    pipeline.check_clean().await?;
    assert_eq!(balance(&pipeline).await?, 0);
    let states = "select state from orders.order_refunds where order_id = 'bought' order by refund_id";
    let states: Vec<String> = pipeline.tables().query(states, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert_eq!(states, ["refused", "refunded"], "as people see them");
    Ok(())
}
