//! Returns: goods that come back, in part or whole, whole or broken, or not at all.

use schemas::{CommandId, LineQuantity, PlaceOrder, ReceiveReturn, RequestReturn, ReturnedLine, ServiceName};
use tests::{Outcome, Pipeline, Servers, Settings, order};

use crate::DAEMON;
use crate::life::{await_event, await_refusal, balance, kill_and_restart, level, provider_did, stock, story};

fn request(order: &PlaceOrder, id: &str, lines: &[(i32, i64)]) -> Outcome<RequestReturn> {
    Ok(RequestReturn {
        order_id: order.order_id.clone(),
        command_id: CommandId::new(id)?,
        lines: lines.iter().map(|(line, quantity)| LineQuantity { line: *line, quantity: *quantity }).collect(),
        reason_code: Some("too_small".into()),
        by: None,
        note: None,
    })
}

fn receive(order: &PlaceOrder, id: &str, of: &str, lines: &[(i32, i64, &str)]) -> Outcome<ReceiveReturn> {
    let line = |(line, quantity, disposition): &(i32, i64, &str)| ReturnedLine {
        line: *line,
        quantity: *quantity,
        disposition: (*disposition).to_owned(),
    };
    Ok(ReceiveReturn {
        order_id: order.order_id.clone(),
        command_id: CommandId::new(id)?,
        return_id: CommandId::new(of)?,
        lines: lines.iter().map(line).collect(),
        refund_minor: None,
        by: Some("returns desk".into()),
        note: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_restocked_or_written_off_and_refunded_once() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    stock(&pipeline, &["a", "b"], 10).await?;
    let mut bought = order("bought", &["a", "b"])?;
    bought.lines[0].quantity = 3;
    let early = request(&bought, "early", &[])?;
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 0, 3, 0, 0]);
    drop(early);

    pipeline.publish(&[request(&bought, "back-1", &[(1, 2)])?, request(&bought, "back-1", &[(1, 2)])?]).await?;
    await_event(&pipeline, &bought, "OrderReturnRequested").await?;
    let too_many = request(&bought, "too-many", &[(1, 2)])?;
    pipeline.publish(std::slice::from_ref(&too_many)).await?;
    assert_eq!(await_refusal(&pipeline, &too_many.command_id).await?, ["LinesInvalid"], "one is still out");
    let more = receive(&bought, "more", "back-1", &[(1, 3, "restock")])?;
    let strange = receive(&bought, "strange", "nowhere", &[(1, 1, "restock")])?;
    let burnt = receive(&bought, "burnt", "back-1", &[(1, 1, "burn")])?;
    pipeline.publish(&[more.clone(), strange.clone(), burnt.clone()]).await?;
    assert_eq!(await_refusal(&pipeline, &more.command_id).await?, ["LinesInvalid"]);
    assert_eq!(await_refusal(&pipeline, &strange.command_id).await?, ["ReturnUnknown"]);
    assert_eq!(await_refusal(&pipeline, &burnt.command_id).await?, ["LinesInvalid"]);

    let came = receive(&bought, "came", "back-1", &[(1, 1, "restock"), (1, 1, "write_off")])?;
    pipeline.publish(&[came.clone(), came]).await?;
    for service in [ServiceName::Inventory, ServiceName::Payment, ServiceName::Order] {
        kill_and_restart(&mut pipeline, service).await?;
    }
    await_event(&pipeline, &bought, "OrderRefunded").await?;
    pipeline.check_clean().await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 0, 3, 2, 1], "8 can be sold: 7 that never left and 1 that came back");
    assert_eq!((balance(&pipeline).await?, provider_did(&pipeline, "refund")?), (200, 1));

    // What can be sold again is sold again.
    let mut again = order("again", &["a"])?;
    again.lines[0].quantity = 8;
    let mut short = order("short", &["a"])?;
    short.lines[0].quantity = 1;
    pipeline.publish(std::slice::from_ref(&again)).await?;
    pipeline.await_terminal(std::slice::from_ref(&again)).await?;
    pipeline.publish(std::slice::from_ref(&short)).await?;
    let rows = pipeline.await_terminal(std::slice::from_ref(&short)).await?;
    assert_eq!(rows["short"].cancel_reason.as_deref(), Some("OutOfStock"));
    pipeline.check_clean().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_that_never_comes_is_closed_and_can_be_asked_for_again() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { return_within_ms: 300, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    stock(&pipeline, &["a"], 10).await?;
    let bought = order("bought", &["a"])?;
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;
    pipeline.publish(&[request(&bought, "back-1", &[])?]).await?;
    await_event(&pipeline, &bought, "OrderReturnClosed").await?;
    pipeline.change_settings(|settings| settings.return_within_ms = 1_200_000)?;
    kill_and_restart(&mut pipeline, ServiceName::Order).await?;
    pipeline.publish(&[request(&bought, "back-2", &[])?]).await?;
    pipeline.publish(&[receive(&bought, "came", "back-2", &[(1, 1, "restock")])?]).await?;
    await_event(&pipeline, &bought, "OrderRefunded").await?;
    pipeline.check_clean().await?;
    assert_eq!(level(&pipeline, "a").await?, [10, 0, 1, 1, 0]);
    let all = story(&pipeline, &bought).await?;
    let after = [
        "OrderReturnRequested",
        "OrderReturnClosed",
        "OrderReturnRequested",
        "OrderReturnReceived",
        "OrderRefundRequested",
        "OrderRefunded",
    ];
    assert_eq!(all[5..], after);
    Ok(())
}
