//! Webhooks of a payment provider: a reason to look and never a state, whichever instance is called, how often, and in what order.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use domain::simulator::SimulatorConfig;
use schemas::{CommandId, OrderEvent, PaymentEvent, PlaceOrder, RefundOrder, ServiceName, TopicName, partitioner};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tests::{Outcome, Pipeline, Servers, Settings, order, trouble};

use crate::DAEMON;
use crate::life::{balance, events_of, paid_at_shipment, provider_did, stock};

const LIMIT: Duration = Duration::from_secs(10);

/// HMAC-SHA256, by its definition and with no library's help.
fn hmac(secret: &str, message: &[u8]) -> String {
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let padded = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where an instance takes webhooks.
pub(crate) async fn hook_of(pipeline: &Pipeline, instance: usize) -> Outcome<SocketAddr> {
    let line = pipeline.daemon(ServiceName::Payment, instance)?.await_log("listening for webhooks").await?;
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
    Ok(address.ok_or_else(|| trouble(line.clone()))?.parse()?)
}

/// What an instance answers to a webhook that this secret has signed now.
pub(crate) async fn call(pipeline: &Pipeline, instance: usize, secret: &str, body: &Value) -> Outcome<u16> {
    let address = hook_of(pipeline, instance).await?;
    let (body, now) = (body.to_string(), jiff::Timestamp::now().as_second());
    let signature = hmac(secret, format!("{now}.{body}").as_bytes());
    let request = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nStripe-Signature: t={now},v1={signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::task::spawn_blocking(move || -> Outcome<u16> {
        let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        status.ok_or_else(|| trouble(answer))
    })
    .await?
}

/// The instance that owns the order's lane, and the other one.
async fn owner_and_other(pipeline: &Pipeline, order: &PlaceOrder, partitions: i32) -> Outcome<(usize, usize)> {
    let lane = partitioner::partition_of(order.order_id.as_str().as_bytes(), partitions);
    pipeline
        .until("one instance owns the order's lane", async || {
            let mut owners = Vec::new();
            for instance in [0, 1] {
                if pipeline.daemon(ServiceName::Payment, instance)?.lanes().await?.contains(&lane) {
                    owners.push(instance);
                }
            }
            if let [owner] = owners[..] { Ok((owner, 1 - owner)) } else { Err(trouble(format!("{owners:?}"))) }
        })
        .await
}

/// What payment says of the disputes of an order.
async fn disputed(pipeline: &Pipeline, order: &PlaceOrder) -> Outcome<Vec<String>> {
    let records = pipeline.messages(TopicName::PaymentEvents).await?;
    let of_order = records.into_iter().filter_map(|record| PaymentEvent::try_from(record.message).ok());
    let statuses = of_order
        .filter(|event| *event.key() == order.order_id)
        .filter_map(|event| if let PaymentEvent::PaymentDisputed(event) = event { Some(event.status) } else { None });
    Ok(statuses.collect())
}

pub(crate) async fn await_disputed(pipeline: &Pipeline, order: &PlaceOrder, expected: &[&str]) -> Outcome {
    pipeline
        .until(&format!("{} is disputed: {expected:?}", order.order_id), async || {
            let found = disputed(pipeline, order).await?;
            if found == expected { Ok(()) } else { Err(trouble(format!("{found:?}"))) }
        })
        .await
}

fn dispute(order: &PlaceOrder, status: &str) -> Value {
    json!({"order_id": order.order_id, "disputed": {"dispute_id": "dp_1", "status": status, "amount_minor": 100,
        "currency": "USD", "fee_minor": 15}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_makes_the_owner_look_whoever_is_called_and_is_believed_in_nothing() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { webhooks: true, ..Settings::default() };
    let partitions = settings.partitions;
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    pipeline.sign_webhooks_with(&["whsec_old", "whsec_new"])?;
    stock(&pipeline, &["a"], 10).await?;
    let (bought, calm) = (order("bought", &["a"])?, order("calm", &["a"])?);
    let orders = [bought.clone(), calm.clone()];
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    let (_, other) = owner_and_other(&pipeline, &bought, partitions).await?;
    let reference = pipeline
        .tables()
        .query(
            "select authorization_reference from payments.payments where order_id = $1",
            &[&bought.order_id.as_str()],
        )
        .await?[0]
        .get::<_, String>(0);
    // It says that the dispute is lost, of another amount. The provider says that it is opened.
    let lie = json!({"type": "charge.dispute.closed", "data": {"object": {"object": "dispute", "status": "lost",
        "amount": 999, "payment_intent": reference}}});
    pipeline.says_afterwards(&dispute(&bought, "opened"))?;
    assert_eq!(call(&pipeline, other, "whsec_else", &lie).await?, 400);
    assert_eq!(call(&pipeline, other, "whsec_old", &lie).await?, 200);
    await_disputed(&pipeline, &bought, &["opened"]).await?;
    assert_eq!(balance(&pipeline).await?, 200 - 100 - 15);

    // Repeated at both, by our own metadata, and about orders of which there is no news, or which nobody knows.
    let by_id = |id: &str| json!({"data": {"object": {"object": "charge", "metadata": {"order_id": id}}}});
    for instance in [0, 1, 0, 1] {
        for id in [bought.order_id.as_str(), calm.order_id.as_str(), "nobody's"] {
            assert_eq!(call(&pipeline, instance, "whsec_new", &by_id(id)).await?, 200);
        }
    }
    // A secret that is taken away signs no more, without a restart.
    pipeline.sign_webhooks_with(&["whsec_new"])?;
    assert_eq!(call(&pipeline, other, "whsec_old", &lie).await?, 400);
    pipeline.says_afterwards(&dispute(&bought, "won"))?;
    assert_eq!(call(&pipeline, other, "whsec_new", &lie).await?, 200);
    await_disputed(&pipeline, &bought, &["opened", "won"]).await?;
    assert_eq!(balance(&pipeline).await?, 200 - 15);
    assert_eq!(disputed(&pipeline, &calm).await?, [] as [String; 0]);
    pipeline
        .until("no row waits for a look", async || {
            let rows = pipeline.tables().number("select count(*) from payments.payment_looks").await?;
            if rows == 0 { Ok(()) } else { Err(trouble(format!("{rows} rows"))) }
        })
        .await?;
    pipeline.check_clean().await
}

/// How long after the answer to a webhook at the instance that is not the order's it was recorded what the provider says; of nine orders,
/// in ascending order.
async fn noticed_after_ms(pipeline: &Pipeline, partitions: i32) -> Outcome<Vec<i64>> {
    let orders = (0..9).map(|number| order(&format!("bought-{number}"), &["a"])).collect::<Outcome<Vec<_>>>()?;
    stock(pipeline, &["a"], 10).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    let mut after_ms = Vec::new();
    for order in &orders {
        let (_, other) = owner_and_other(pipeline, order, partitions).await?;
        pipeline.says_afterwards(&dispute(order, "opened"))?;
        let webhook = json!({"data": {"object": {"object": "dispute", "metadata": {"order_id": order.order_id}}}});
        assert_eq!(call(pipeline, other, "whsec", &webhook).await?, 200);
        let answered_ms = jiff::Timestamp::now().as_millisecond();
        await_disputed(pipeline, order, &["opened"]).await?;
        let at = "select (disputes::jsonb #>> '{0,at}')::bigint / 1000 from payments.payments where order_id = $1";
        let rows = pipeline.tables().query(at, &[&order.order_id.as_str()]).await?;
        after_ms.push(rows[0].get::<_, i64>(0) - answered_ms);
    }
    after_ms.sort_unstable();
    Ok(after_ms)
}

async fn hooked(timer_period_ms: u64) -> Outcome<(Pipeline, i32)> {
    let servers = Servers::shared().await?;
    let settings = Settings { webhooks: true, timer_period_ms, ..Settings::default() };
    let partitions = settings.partitions;
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    pipeline.sign_webhooks_with(&["whsec"])?;
    Ok((pipeline, partitions))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_looks_within_a_second_where_the_other_instance_is_called() -> Outcome {
    let (pipeline, partitions) = hooked(500).await?;
    let after_ms = noticed_after_ms(&pipeline, partitions).await?;
    // Most of them: the machine may be busy with something else for a moment.
    assert!(after_ms[6] <= 1_000, "{after_ms:?}");
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_alone_makes_the_owner_look() -> Outcome {
    // Longer than all of the test may take.
    let (pipeline, partitions) = hooked(60_000).await?;
    let after_ms = noticed_after_ms(&pipeline, partitions).await?;
    assert!(after_ms[6] <= 1_000, "{after_ms:?}");
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lapses_is_held_again_once_and_then_the_order_is_undone() -> Outcome {
    let servers = Servers::shared().await?;
    // Shorter than the time before the end at which it is held again: as if that had come.
    let simulator = SimulatorConfig { hold_ms: Some(5_000), ..SimulatorConfig::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    stock(&pipeline, &["a"], 10).await?;
    let waiting = paid_at_shipment(order("waiting", &["a"])?);
    pipeline.publish(std::slice::from_ref(&waiting)).await?;
    let rows = pipeline.await_terminal(std::slice::from_ref(&waiting)).await?;
    let row = &rows[waiting.order_id.as_str()];
    assert_eq!((row.stage.as_str(), row.cancel_reason.as_deref()), ("cancelled", Some("PaymentDeclined")));
    let held = "select authorization_attempt, void_reason from payments.payments";
    let held = &pipeline.tables().query(held, &[]).await?[0];
    assert_eq!((held.get::<_, i32>(0), held.get::<_, Option<String>>(1)), (2, Some("expired".to_owned())));
    assert_eq!(provider_did(&pipeline, "authorize")?, 2);
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_comes_back_is_owed_again() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { webhooks: true, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    pipeline.sign_webhooks_with(&["whsec"])?;
    stock(&pipeline, &["a"], 10).await?;
    let bought = order("bought", &["a"])?;
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;
    let refund = |id: &str| -> Outcome<RefundOrder> {
        let all = RefundOrder::all(bought.order_id.clone(), CommandId::new(id)?);
        Ok(RefundOrder { amount_minor: Some(70), ..all })
    };
    let await_outcomes = async |expected: &[&str]| {
        pipeline
            .until(&format!("refunds end {expected:?}"), async || {
                let events = events_of(&pipeline, &bought).await?;
                let ended = events
                    .iter()
                    .filter(|event| matches!(event, OrderEvent::OrderRefunded(_) | OrderEvent::OrderRefundFailed(_)));
                let names: Vec<&str> = ended.map(OrderEvent::name).collect();
                if names == expected { Ok(()) } else { Err(trouble(format!("{names:?}"))) }
            })
            .await
    };
    pipeline.publish(&[refund("r-1")?]).await?;
    await_outcomes(&["OrderRefunded"]).await?;
    let reference = pipeline
        .tables()
        .query(
            "select refunds::jsonb #>> '{0,outcome,refunded,provider_reference}' \
        from payments.payments",
            &[],
        )
        .await?[0]
        .get::<_, String>(0);
    pipeline.says_afterwards(&json!({"order_id": bought.order_id,
        "refund_failed": {"reference": reference, "detail": "account closed"}}))?;
    let failed = json!({"data": {"object": {"object": "refund", "metadata": {"order_id": bought.order_id}}}});
    for instance in [0, 1] {
        assert_eq!(call(&pipeline, instance, "whsec", &failed).await?, 200);
    }
    await_outcomes(&["OrderRefunded", "OrderRefundFailed"]).await?;
    assert_eq!(balance(&pipeline).await?, 100);
    // The amount is free: it can be given back once more, under another id.
    pipeline.publish(&[refund("r-1")?, refund("r-2")?]).await?;
    await_outcomes(&["OrderRefunded", "OrderRefundFailed", "OrderRefunded"]).await?;
    assert_eq!(balance(&pipeline).await?, 30);
    pipeline.check_clean().await
}
