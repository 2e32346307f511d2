//! Customers who have to act before anything is held (3-D Secure): the order waits for them and no longer, whoever dies meanwhile, and
//! where they go stands nowhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use domain::statement::StatementOutcome;
use schemas::{OrderEvent, PlaceOrder, ServiceName, TopicName};
use stripe_server::{Behaviour, Running};
use tests::{Outcome, Pipeline, ProviderSettings, STRIPE_KEY, Servers, Settings, order, trouble};

use crate::DAEMON;
use crate::life::{await_event, cancel, events_of, stock, story};

const LIMIT: Duration = Duration::from_secs(10);

/// What is in every address to which a customer goes.
const ADDRESS: &str = "/test/act/";

fn behaviour() -> Behaviour {
    Behaviour { keys: [(STRIPE_KEY.to_owned(), "default".to_owned())].into(), ..Behaviour::default() }
}

async fn pipeline(settings: Settings) -> Outcome<(Pipeline, Running)> {
    let servers = Servers::shared().await?;
    Pipeline::start_at_provider(DAEMON, &servers, settings, behaviour()).await
}

/// Files of the pipeline's folder, settings aside, that have this text.
fn files_with(pipeline: &Pipeline, text: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(pipeline.folder())? {
        let path = entry?.path();
        if path.is_file() && String::from_utf8_lossy(&std::fs::read(&path)?).contains(text) {
            found.push(path);
        }
    }
    Ok(found)
}

fn settings(confirm_within_ms: i64, customer_action_timeout_ms: i64) -> Settings {
    let customer_action_timeout_ms = Some(customer_action_timeout_ms);
    let provider = ProviderSettings { customer_action_timeout_ms, ..ProviderSettings::default() };
    Settings { instances: 1, confirm_within_ms, provider, ..Settings::default() }
}

/// An order whose customer has to confirm its payment.
fn to_be_confirmed(id: &str) -> Outcome<PlaceOrder> {
    Ok(PlaceOrder { payment_token: Some("pm_card_authenticationRequired".into()), ..order(id, &["a"])? })
}

/// What the provider answers to a request without a key.
async fn get(server: &Running, path: String) -> Outcome<String> {
    let address: SocketAddr = server.address();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    tokio::task::spawn_blocking(move || -> Outcome<String> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
    .await?
}

/// The provider's name for what waits.
async fn reference(pipeline: &Pipeline, order: &PlaceOrder) -> Outcome<String> {
    let sql = "select provider_reference from payments.payment_actions where order_id = $1";
    let rows = pipeline.tables().query(sql, &[&order.order_id.as_str()]).await?;
    let row = rows.first().ok_or_else(|| trouble(format!("nobody waits for the customer of {}", order.order_id)))?;
    Ok(row.get(0))
}

/// The customer goes there, and confirms or fails.
async fn act(pipeline: &Pipeline, server: &Running, order: &PlaceOrder, outcome: &str) -> Outcome {
    let id = reference(pipeline, order).await?;
    let answer = get(server, format!("{ADDRESS}{id}?outcome={outcome}")).await?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(trouble(answer)) }
}

async fn await_waiting(pipeline: &Pipeline, orders: &[PlaceOrder]) -> Outcome {
    for order in orders {
        await_event(pipeline, order, "OrderActionRequired").await?;
    }
    Ok(())
}

/// No address of a customer stands in a topic, a table or a log.
async fn assert_told_nowhere(pipeline: &Pipeline) -> Outcome {
    for topic in TopicName::ALL {
        for record in pipeline.messages(topic).await? {
            assert!(!format!("{:?}", record.message).contains(ADDRESS), "{topic} has the address");
        }
    }
    let sql = "select count (*) from (select p::text as row from payments.payments p \
               union all select c::text from payments.payment_calls c union all select o::text from orders.orders o) as r \
               where position ($1 in row) > 0";
    let told: i64 = pipeline.tables().query(sql, &[&ADDRESS]).await?[0].get(0);
    assert_eq!(told, 0, "a table has the address");
    assert_eq!(files_with(pipeline, ADDRESS)?, Vec::<PathBuf>::new(), "a log has the address");
    Ok(())
}

fn why(events: &[OrderEvent]) -> Option<String> {
    let code = |event: &OrderEvent| match event {
        OrderEvent::OrderCancelled(event) => Some(event.reason_code.clone().unwrap_or(format!("{:?}", event.reason))),
        _ => None,
    };
    events.iter().find_map(code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_waits_for_its_customer_beyond_its_own_time_and_a_dead_payment_service() -> Outcome {
    let (mut pipeline, server) = pipeline(settings(10_000, 600_000)).await?;
    stock(&pipeline, &["a"], 10).await?;
    let orders = ["confirmed", "refused", "undone"].map(to_be_confirmed).into_iter().collect::<Outcome<Vec<_>>>()?;
    pipeline.publish(&orders).await?;
    await_waiting(&pipeline, &orders).await?;
    pipeline.kill9(ServiceName::Payment, 0)?;
    let events = events_of(&pipeline, &orders[0]).await?;
    let Some(OrderEvent::OrderPlaced(placed)) = events.first() else { return Err(trouble(format!("{events:?}"))) };
    pipeline
        .until("the time of the order is over", async || {
            let is_over = jiff::Timestamp::now() > placed.confirm_by.to_timestamp();
            if is_over { Ok(()) } else { Err(trouble("it is not")) }
        })
        .await?;
    act(&pipeline, &server, &orders[0], "confirmed").await?;
    pipeline.spawn(ServiceName::Payment, 0).await?;
    act(&pipeline, &server, &orders[1], "failed").await?;
    pipeline.publish(&[cancel(&orders[2])?]).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    let stage = |at: usize| rows[orders[at].order_id.as_str()].stage.as_str();
    assert_eq!([stage(0), stage(1), stage(2)], ["completed", "cancelled", "cancelled"]);
    let plain = ["OrderPlaced", "OrderStockReserved", "OrderActionRequired", "OrderConfirmed", "OrderPaymentCaptured"];
    assert_eq!(story(&pipeline, &orders[0]).await?[..5], plain);
    assert_eq!(why(&events_of(&pipeline, &orders[1]).await?).as_deref(), Some("PaymentDeclined"));
    assert_eq!(why(&events_of(&pipeline, &orders[2]).await?).as_deref(), Some("Requested"));
    assert_told_nowhere(&pipeline).await?;
    pipeline.check_clean().await?;
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_confirms_is_cancelled_at_its_time_at_the_provider_too() -> Outcome {
    let (mut pipeline, server) = pipeline(settings(1_200_000, 4_000)).await?;
    stock(&pipeline, &["a"], 10).await?;
    let orders = ["nobody", "nobody-either"].map(to_be_confirmed).into_iter().collect::<Outcome<Vec<_>>>()?;
    pipeline.publish(&orders[..1]).await?;
    await_waiting(&pipeline, &orders[..1]).await?;
    pipeline.await_terminal(&orders[..1]).await?;
    // The other one's time is over while nobody is there to look at it.
    pipeline.publish(&orders[1..]).await?;
    await_waiting(&pipeline, &orders[1..]).await?;
    pipeline.kill9(ServiceName::Payment, 0)?;
    let sql = "select count (*) from orders.orders where action_until < now ()";
    pipeline
        .until("its time is over", async || {
            let over = pipeline.tables().number(sql).await?;
            if over == 1 { Ok(()) } else { Err(trouble(format!("{over}"))) }
        })
        .await?;
    pipeline.spawn(ServiceName::Payment, 0).await?;
    pipeline.await_terminal(&orders).await?;
    for order in &orders {
        let expired = Some("CustomerActionExpired");
        assert_eq!(why(&events_of(&pipeline, order).await?).as_deref(), expired, "{}", order.order_id);
    }
    let statement = pipeline.statement()?;
    let done: Vec<_> = statement.iter().map(|line| (line.operation.as_str(), line.outcome)).collect();
    assert_eq!(done, [("void", StatementOutcome::Succeeded); 2], "nothing was held, and what waited is cancelled");
    assert_told_nowhere(&pipeline).await?;
    pipeline.check_clean().await?;
    server.stop().await;
    Ok(())
}
