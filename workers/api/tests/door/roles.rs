//! Every operation of the document needs the one role that it names, and every command says who asked for it.

use std::collections::BTreeSet;

use hyper::Method;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::api::Api;
use crate::keys::made;
use crate::pipeline::{Outcome, PATIENCE, Pipeline, stop, until};

const ROLES: [&str; 4] = ["orders:read", "orders:write", "stock:write", "ops:act"];

/// An operation, as the document has it.
#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    path: String,
    role: String,
}

impl Operation {
    fn is_read(&self) -> bool {
        self.method == Method::GET
    }

    /// Asks for something that is not there, in a form that is good enough for every gate.
    async fn ask(&self, api: &Api) -> Outcome<(u16, String, String)> {
        let path: Vec<&str> =
            self.path.split('/').map(|part| if part.starts_with('{') { "nowhere" } else { part }).collect();
        let body = (!self.is_read()).then(|| ("application/json", "{}".to_owned()));
        let said = api.once("k").ask(self.method.clone(), &path.join("/"), body).await?;
        Ok((said.status, said.header("www-authenticate").to_owned(), said.text("detail").to_owned()))
    }
}

async fn operations(api: &Api) -> Outcome<Vec<Operation>> {
    let document = api.get("/v1/openapi.json").await?.of(200)?.body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().ok_or("no paths")? {
        for (method, operation) in item.as_object().ok_or("no operations")? {
            let roles =
                operation["security"][0]["bearer"].as_array().ok_or_else(|| format!("{method} {path}: no role"))?;
            let [Value::String(role)] = roles.as_slice() else {
                return Err(format!("{method} {path}: {roles:?}").into());
            };
            let method = method.to_uppercase().parse()?;
            operations.push(Operation { method, path: path.clone(), role: role.clone() });
        }
    }
    Ok(operations)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_needs_the_one_role_that_the_document_names() -> Outcome {
    let pipeline = Pipeline::start("roles").await?;
    let (mut entries, mut only, mut lacking) = (String::new(), Vec::new(), Vec::new());
    for role in ROLES {
        let others: Vec<&str> = ROLES.into_iter().filter(|other| *other != role).collect();
        let (key, entry) = made(&pipeline, &format!("only {role}"), &[role])?;
        let (but, further) = made(&pipeline, &format!("all but {role}"), &others)?;
        only.push((role, key));
        lacking.push((role, but));
        entries += &(entry + &further);
    }
    let file = pipeline.write("keys.toml", &entries)?;
    let door = pipeline.start_door_with("door", |command| {
        command.env("API_KEYS_FILE", &file);
    })?;
    let with = |keys: &[(&str, String)], role: &str| -> Outcome<Api> {
        let key = keys.iter().find(|(one, _)| *one == role).ok_or_else(|| format!("{role}: no such role"))?;
        Ok(door.api.with("authorization", &format!("Bearer {}", key.1)))
    };
    let operations = operations(&door.api).await?;
    assert!(operations.len() > 15, "{operations:?}");
    for operation in &operations {
        let (status, challenge, _) = operation.ask(&door.api).await?;
        assert_eq!((status, challenge.as_str()), (401, "Bearer"), "{operation:?} without a key");
        let (status, challenge, detail) = operation.ask(&with(&lacking, &operation.role)?).await?;
        assert!(
            status == 403 && detail.ends_with(&operation.role),
            "{operation:?} without its role: {status} {detail}"
        );
        assert!(challenge.contains(&format!("scope=\"{}\"", operation.role)), "{challenge}");
        let (status, ..) = operation.ask(&with(&only, &operation.role)?).await?;
        assert!(status < 500 && ![401, 403].contains(&status), "{operation:?} with its role alone: {status}");
    }
    stop(door)
}

/// What each command is asked for with, and the name of the command; those of an order on the order that stands before them.
fn commands() -> Vec<(&'static str, Value, &'static str)> {
    let order = || {
        json!({ "customer_id": "ada", "currency": "EUR", "fulfilment": "on_command",
            "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] })
    };
    vec![
        ("/v1/stock/receipts", json!({ "sku": "pen", "quantity": 100 }), "ReceiveStock"),
        ("/v1/stock/adjustments", json!({ "sku": "pen", "delta": -1 }), "AdjustStock"),
        ("/v1/products/{sku}", json!({ "title": "Pen", "price_minor": 100, "currency": "EUR" }), "DescribeProduct"),
        ("/v1/orders", order(), "PlaceOrder"),
        ("/v1/orders/{id}/hold", json!({ "reason_code": "fraud_check" }), "HoldOrder"),
        ("/v1/orders/{id}/release", json!({}), "ReleaseOrder"),
        ("/v1/orders/{id}/ship", json!({}), "ShipOrder"),
        ("/v1/orders/{id}/refunds", json!({ "amount_minor": 10 }), "RefundOrder"),
        ("/v1/orders/{id}/returns", json!({ "reason_code": "unwanted" }), "RequestReturn"),
        (
            "/v1/orders/{id}/returns/{return_id}/receipt",
            json!({ "lines": [{ "line": 1, "quantity": 1, "disposition": "restock" }] }),
            "ReceiveReturn",
        ),
        ("/v1/orders/{id}/cancel", json!({}), "CancelOrder"),
        ("/v1/orders/{id}/reject", json!({ "reason_code": "fraud" }), "RejectOrder"),
        ("/v1/orders/{id}/retry", json!({}), "RetryOrder"),
        ("/v1/orders/{id}/skip", json!({ "note": "seen to" }), "SkipOrderStep"),
        ("/v1/orders/{id}/resolve", json!({ "outcome": "cancelled", "note": "settled" }), "ResolveOrder"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_says_who_asked_for_it() -> Outcome {
    let pipeline = Pipeline::start("by").await?;
    let (door, [key]) = pipeline.start_door_for([("back office", &ROLES)])?;
    let api = door.api.with("authorization", &format!("Bearer {key}"));
    let commands = commands();
    let asked: BTreeSet<&str> = commands.iter().map(|(path, ..)| *path).collect();
    let operations = operations(&door.api).await?;
    let writing = operations.iter().filter(|operation| !operation.is_read());
    let writing: BTreeSet<&str> = writing.map(|operation| operation.path.as_str()).collect();
    assert_eq!(asked, writing, "every operation that writes has to stand in this test");

    let (mut order, mut expected) = (String::new(), Vec::new());
    for (path, body, command) in commands {
        // A return has the id of the command that asked for it.
        let path = path.replace("{id}", &order).replace("{return_id}", "RequestReturn").replace("{sku}", "pen");
        let method = if command == "DescribeProduct" { Method::PUT } else { Method::POST };
        let said = api.waiting().once(command).ask(method, &path, Some(("application/json", body.to_string()))).await?;
        // Some are refused, which is said of a command that was published.
        assert!([200, 201, 202, 422].contains(&said.status), "{command}: {said:?}");
        if command == "PlaceOrder" {
            order = said.text("order_id").to_owned();
        }
        expected.push(format!("{command} of /order-api/back%20office"));
    }
    expected.sort();
    let mut sources = Vec::new();
    for topic in ["order.commands.v1", "stock.commands.v1"] {
        sources.extend(published(&pipeline, topic)?);
    }
    sources.sort();
    assert_eq!(sources, expected);
    // What came of them says it too, where it comes of a command that has a place for it.
    let by = until("the trail has it", || async {
        let by = "select distinct name || ' ' || (body::json->'origin'->>'by') from view.heard \
                  where body::json->'origin'->>'by' is not null order by 1";
        let said = pipeline.query(by).await?;
        if said.iter().any(|said| said.starts_with("OrderShipped")) {
            Ok(said)
        } else {
            Err(format!("{said:?}").into())
        }
    })
    .await?;
    assert!(by.iter().all(|said| said.ends_with(" back office")), "{by:?}");
    stop(door)
}

/// What lies in a topic of commands, and who is named as its source.
fn published(pipeline: &Pipeline, topic: &str) -> Outcome<Vec<String>> {
    let topic = format!("{}{topic}", pipeline.prefix);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", pipeline.brokers()).set("group.id", "nobody");
    let consumer: BaseConsumer = config.create()?;
    let (mut list, mut left) = (TopicPartitionList::new(), 0);
    for partition in 0..3 {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, PATIENCE)?;
        left += high - low;
        list.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut found = Vec::new();
    while left > 0 {
        let record = consumer.poll(PATIENCE).ok_or("the topic has less than it says")??;
        let headers: Vec<_> = record.headers().into_iter().flat_map(|headers| headers.iter()).collect();
        let header = |name: &str| {
            let value = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        // Requests for what came of the door's commands are the services' own.
        if header("ce_source").starts_with("/order-api") {
            let kind = header("ce_type");
            let kind = kind.trim_start_matches("shop.").split('.').nth(1).unwrap_or_default();
            found.push(format!("{kind} of {}", header("ce_source")));
        }
        left -= 1;
    }
    Ok(found)
}
