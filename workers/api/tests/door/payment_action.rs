//! Where a customer goes who has to confirm a payment: told to who may, for as long as there is something to do, and written nowhere.

use std::net::SocketAddr;

use schemas::ServiceName;
use serde_json::json;
use stripe_server::{Behaviour, Running};

use crate::api::{Answer, Api};
use crate::pipeline::{ACTION_SECRET, Door, Outcome, PATIENCE, Pipeline, Setting, made, stop, until, until_state};

/// What is in every address to which a customer goes.
const ADDRESS: &str = "/test/act/";

async fn started(name: &str) -> Outcome<(Pipeline, Running, Api)> {
    let server = stripe_server::start(Behaviour::default(), ([127, 0, 0, 1], 0).into()).await?;
    let setting = Setting { stripe: Some(server.address()), ..Setting::default() };
    let pipeline = Pipeline::start_as(name, setting).await?;
    let line = pipeline.daemon(ServiceName::Payment)?.wait_for_line("listening for webhooks", PATIENCE)?;
    let line = line.ok_or("the payment service takes no webhooks")?;
    let hooks: Option<SocketAddr> =
        line.split_whitespace().find_map(|word| word.strip_prefix("address=")?.parse().ok());
    Ok((pipeline, server, Api::new(hooks.ok_or("no address")?)))
}

/// A door that asks the payment service; two callers, who may place orders, and who may only look.
fn door(pipeline: &Pipeline, hooks: &Api) -> Outcome<(Door, Api, Api)> {
    let (shop, entry) = made(pipeline, "shop", &["orders:read", "orders:write", "stock:write"])?;
    let (viewer, further) = made(pipeline, "viewer", &["orders:read", "stock:write", "ops:act"])?;
    let keys = pipeline.write("keys.toml", &(entry + &further))?;
    let secret = pipeline.write("door-secret", ACTION_SECRET)?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("API_KEYS_FILE", &keys).env("PAYMENT_ACTIONS", format!("http://{}", hooks.address()));
        command.env("PAYMENT_ACTIONS_SECRET_FILE", &secret);
    })?;
    let [shop, viewer] = [shop, viewer].map(|key| door.api.with("authorization", &format!("Bearer {key}")));
    Ok((door, shop, viewer))
}

/// An order whose customer has to confirm its payment; where it is.
async fn placed(shop: &Api, id: &str) -> Outcome<String> {
    let order = json!({ "order_id": id, "customer_id": "ada", "currency": "EUR", "payment_token": "pm_card_authenticationRequired",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 250 }] });
    shop.once(id).post("/v1/orders", order).await?.of(202)?;
    Ok(format!("/v1/orders/{id}"))
}

/// The address, once the payment waits for its customer.
async fn address(shop: &Api, order: &str) -> Outcome<Answer> {
    until("it is told where the customer goes", || async {
        shop.get(&format!("{order}/payment/action")).await?.of(200)
    })
    .await
}

fn problem(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.text("type").trim_start_matches("urn:order-api:"))
}

/// No address stands in a log, in what the services keep, or in the read model.
async fn assert_written_nowhere(pipeline: &Pipeline) -> Outcome {
    assert!(pipeline.files_with(ADDRESS)?.is_empty(), "a log has the address: {:?}", pipeline.files_with(ADDRESS)?);
    let tables = "select format ('%I.%I', schemaname, tablename) from pg_tables \
                  where schemaname in ('orders', 'payments', 'inventory', 'view')";
    let tables = pipeline.query(tables).await?;
    assert!(tables.len() > 20, "{tables:?}");
    for table in tables {
        let sql = format!("select t::text from {table} t where position ('{ADDRESS}' in t::text) > 0");
        assert_eq!(pipeline.query(&sql).await?, Vec::<String>::new(), "{table} has the address");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_places_orders_sends_the_customer_to_the_address_and_the_order_completes() -> Outcome {
    let (pipeline, server, hooks) = started("action").await?;
    let (door, shop, viewer) = door(&pipeline, &hooks)?;
    shop.once("r").waiting().post("/v1/stock/receipts", json!({ "sku": "pen", "quantity": 9 })).await?.of(200)?;
    let order = placed(&shop, "o-1").await?;
    let told = address(&shop, &order).await?;
    assert_eq!(told.header("cache-control"), "no-store");
    let action = format!("{order}/payment/action");
    until("the order says the same time", || async {
        let found = shop.get(&order).await?.of(200)?;
        let is_the_same = found.text("action_required_until") == told.text("until");
        if is_the_same { Ok(()) } else { Err(format!("{found:?}").into()) }
    })
    .await?;
    let nowhere = shop.get("/v1/orders/nowhere/payment/action").await?;
    assert_eq!(problem(&nowhere), (404, "not-found"));
    assert_eq!(viewer.get(&action).await?.status, 403, "who may only look sends nobody there");
    let direct = "/payments/o-1/action";
    for wrong in ["", "Bearer ", "Bearer planted", "Basic another"] {
        let said = hooks.with("authorization", wrong).get(direct).await?;
        assert!(said.status == 401 && said.body.get("url").is_none(), "{wrong}: {said:?}");
    }
    let said = hooks.with("authorization", &format!("Bearer {ACTION_SECRET}")).get(direct).await?.of(200)?;
    assert_eq!((said.header("cache-control"), said.text("url")), ("no-store", told.text("url")));
    // The door reads its secret each time, and does not tell that it is wrong.
    pipeline.write("door-secret", "planted")?;
    let refused = shop.get(&action).await?;
    assert_eq!((problem(&refused), refused.header("retry-after")), ((503, "unavailable"), "5"));
    pipeline.write("door-secret", "another")?;

    let url = shop.get(&action).await?.of(200)?.text("url").to_owned();
    let path = url.strip_prefix(&format!("http://{}", server.address())).ok_or("it leads elsewhere")?;
    Api::new(server.address()).get(path).await?.of(200)?;
    until_state(&shop, &order, "completed").await?;
    let again = shop.get(&action).await?;
    assert_eq!((problem(&again), again.header("cache-control")), ((409, "nothing-to-do"), "no-store"));
    assert!(again.text("detail").contains("captured"), "{again:?}");

    let second = placed(&shop, "o-2").await?;
    address(&shop, &second).await?;
    server.stop().await;
    let unheard = shop.get(&format!("{second}/payment/action")).await?;
    assert_eq!(problem(&unheard), (503, "unavailable"));
    assert!(!unheard.header("retry-after").is_empty(), "{unheard:?}");
    assert_written_nowhere(&pipeline).await?;
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_knows_no_payment_service_says_so() -> Outcome {
    let pipeline = Pipeline::start("no_action").await?;
    let door = pipeline.start_door("door")?;
    let said = door.api.get("/v1/orders/nowhere/payment/action").await?;
    assert_eq!(problem(&said), (404, "not-configured"));
    stop(door)
}
