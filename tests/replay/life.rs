//! An order's life after its confirmation, as `trace`, `verify` and `rebuild` tell it: what it waits for while it waits, and
//! everything once it is over.

use schemas::{
    CommandId, HoldOrder, LineQuantity, Message, OrderId, PlaceOrder, ReceiveReturn, RefundOrder, ReleaseOrder,
    RequestReturn, ReturnedLine, ServiceName, ShipOrder,
};
use serde_json::Value;
use tests::{Outcome, Pipeline, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::run;

const ORDER: &str = "o-1";

fn ids(command: &str) -> Outcome<(OrderId, CommandId)> {
    Ok((OrderId::new(ORDER)?, CommandId::new(command)?))
}

fn by(name: &str) -> Option<String> {
    Some(name.to_owned())
}

async fn traced(pipeline: &Pipeline) -> Outcome<Value> {
    run(pipeline, &["trace", ORDER, "--json"]).await?.expect(0)?.json()
}

/// Wait until the order's standing is so.
async fn await_standing(pipeline: &Pipeline, what: &str, is_so: impl Fn(&Value) -> bool) -> Outcome<Value> {
    pipeline
        .until(what, async || {
            let standing = traced(pipeline).await?["standing"].clone();
            if is_so(&standing) { Ok(standing) } else { Err(trouble(format!("{standing:#}"))) }
        })
        .await
}

fn hold() -> Outcome<Message> {
    let (order_id, command_id) = ids("hold")?;
    let (by, note, reason_code) = (by("fraud desk"), Some("the address is odd".to_owned()), "Address".to_owned());
    Ok(HoldOrder { order_id, command_id, reason_code, until: None, by, note }.into())
}

fn release() -> Outcome<Message> {
    let (order_id, command_id) = ids("release")?;
    Ok(ReleaseOrder { order_id, command_id, by: by("fraud desk"), note: None }.into())
}

fn ship() -> Outcome<Message> {
    let (order_id, command_id) = ids("ship")?;
    let (carrier, tracking) = (Some("DHL".to_owned()), Some("42".to_owned()));
    Ok(ShipOrder { order_id, command_id, lines: Vec::new(), carrier, tracking, by: by("warehouse"), note: None }.into())
}

fn refund() -> Outcome<Message> {
    let (order_id, command_id) = ids("goodwill")?;
    let reason_code = Some("Late".to_owned());
    let amount_minor = Some(25);
    Ok(RefundOrder { order_id, command_id, amount_minor, lines: Vec::new(), reason_code, by: None, note: None }.into())
}

fn ask_back() -> Outcome<Message> {
    let (order_id, command_id) = ids("back")?;
    let lines = vec![LineQuantity { line: 1, quantity: 1 }];
    Ok(RequestReturn { order_id, command_id, lines, reason_code: None, by: None, note: None }.into())
}

fn came_back() -> Outcome<Message> {
    let (order_id, command_id) = ids("came")?;
    let lines = vec![ReturnedLine { line: 1, quantity: 1, disposition: "restock".to_owned() }];
    let return_id = CommandId::new("back")?;
    Ok(ReceiveReturn { order_id, command_id, return_id, lines, refund_minor: None, by: None, note: None }.into())
}

/// No line below the one with the stage is wider than a terminal.
fn standing_is_narrow(text: &str) -> Outcome {
    let below = text.split("stands at").nth(1).ok_or_else(|| trouble(text))?;
    match below.lines().skip(1).find(|line| line.chars().count() > 80) {
        None => Ok(()),
        Some(line) => Err(trouble(format!("too wide: {line:?}"))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_life_is_traced_verified_and_rebuilt() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let placed = PlaceOrder { fulfilment: Some("on_command".to_owned()), ..order(ORDER, &["a", "b"])? };
    pipeline.receive(&stock_for(std::slice::from_ref(&placed))).await?;
    let url = pipeline.database_url().to_owned();

    pipeline.publish(&[placed]).await?;
    let ready = |standing: &Value| standing["stage"] == "ready_to_ship";
    let standing = await_standing(&pipeline, "it is ready", ready).await?;
    let waiting = &standing["waiting_for_commands"][0];
    assert_eq!(waiting["for"], "ShipOrder", "{standing:#}");
    assert!(waiting["deadline"].is_string() && waiting["since"].is_string(), "{standing:#}");

    pipeline.publish(&[hold()?]).await?;
    let held = |standing: &Value| !standing["aftercare"]["hold"].is_null();
    let standing = await_standing(&pipeline, "it is held", held).await?;
    assert_eq!(standing["waiting_for_commands"][0]["for"], "ReleaseOrder or RejectOrder", "{standing:#}");
    let text = run(&pipeline, &["trace", ORDER]).await?.expect(0)?.stdout;
    assert!(text.contains("waits for ReleaseOrder or RejectOrder: it is held: Address"), "{text}");
    assert!(text.contains("fraud desk") && text.contains("the address is odd"), "who held it, and why: {text}");
    standing_is_narrow(&text)?;
    let told = run(&pipeline, &["verify", "--quiescent", "--database-url", &url]).await?.expect(0)?.stdout;
    assert!(told.contains("waits             1   for ReleaseOrder 1"), "{told}");

    pipeline.publish(&[release()?, ship()?]).await?;
    await_standing(&pipeline, "it has left", |standing| standing["stage"] == "completed").await?;
    pipeline.publish(&[refund()?, ask_back()?]).await?;
    let open = |standing: &Value| standing["waiting_for_commands"][0]["for"] == "ReceiveReturn";
    await_standing(&pipeline, "goods are to come back", open).await?;
    pipeline.publish(&[came_back()?]).await?;
    let over = |standing: &Value| {
        let refunds = standing["aftercare"]["refunds"].as_array().map_or(&[][..], Vec::as_slice);
        refunds.len() == 2 && refunds.iter().all(|refund| refund["state"] == "refunded")
    };
    await_standing(&pipeline, "all is refunded", over).await?;
    pipeline.check_clean().await?;

    let text = run(&pipeline, &["trace", ORDER]).await?.expect(0)?.stdout;
    for words in ["refund goodwill, ", "(Late): refunded", "return back: taken back, 1 of 1 pieces came", "(DHL 42)"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    standing_is_narrow(&text)?;
    rebuilt_and_swapped(&mut pipeline).await
}

/// The rebuilt tables are the live ones, and take their place with the views that people read.
async fn rebuilt_and_swapped(pipeline: &mut Pipeline) -> Outcome {
    let url = pipeline.database_url().to_owned();
    let dry = run(pipeline, &["rebuild", "--dry-run", "--database-url", &url]).await?.expect(0)?.stdout;
    assert_eq!(dry.matches("the same, row for row").count(), 3, "{dry}");
    pipeline.stop_services(&ServiceName::ALL).await?;
    run(pipeline, &["rebuild", "--swap", "--database-url", &url]).await?.expect(0)?;
    for (view, state) in [("orders.order_refunds", "state"), ("payments.payment_refunds", "outcome")] {
        let sql = format!("select count(*) from {view} where {state} = 'refunded'");
        assert_eq!(pipeline.tables().number(&sql).await?, 2, "{view}");
    }
    let sql = "select count(*) from orders.order_returns where state = 'taken_back'";
    assert_eq!(pipeline.tables().number(sql).await?, 1);
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.check_clean().await
}
