//! Instances that are killed in the middle of requests: every order that was acknowledged is there once, none twice, and what one
//! instance has shown another one does not show older. `REQUESTS=10000 cargo test -p order-api --test door -- storm` asks for more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::api::Api;
use crate::pipeline::{Outcome, Pipeline, stop, until};

const CALLERS: usize = 6;
const KILLS: usize = 3;

/// Where instances are, in turns.
#[derive(Clone)]
struct Balancer(Arc<Mutex<(usize, Vec<Api>)>>);

impl Balancer {
    fn next(&self) -> Api {
        let mut state = locked(&self.0);
        state.0 += 1;
        state.1[state.0 % state.1.len()].clone()
    }

    fn replace(&self, index: usize, api: Api) {
        locked(&self.0).1[index] = api;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until somebody answers, always with the same key.
async fn place(balancer: &Balancer, key: &str) -> Outcome<String> {
    let body = json!({ "customer_id": "ada", "currency": "EUR",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] });
    let mut last = String::new();
    for _ in 0..2_000 {
        match balancer.next().once(key).post("/v1/orders", body.clone()).await {
            Ok(answer) if answer.status < 300 => return Ok(answer.text("order_id").to_owned()),
            Ok(answer) if answer.status >= 500 || answer.status == 429 => last = format!("{answer:?}"),
            Ok(answer) => return Err(format!("{answer:?}").into()),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Err(format!("nobody answers: {last}").into())
}

/// Reads an order again and again, each time with the position that was shown last, wherever it is asked.
async fn read_on(balancer: Balancer, id: String) -> Outcome {
    let shown = Mutex::new((0, String::new()));
    until("the order has ended", || async {
        let (version, after) = locked(&shown).clone();
        let answer = balancer.next().get(&format!("/v1/orders/{id}{after}")).await?.of(200)?;
        let found = answer.body["version"].as_i64().unwrap_or_default();
        assert!(found >= version, "version {found} after {version}");
        *locked(&shown) = (found, format!("?after={}", answer.header("order-position")));
        if answer.text("state") == "completed" { Ok(()) } else { Err(answer.body.to_string().into()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_order_is_there_once_whichever_instance_is_killed() -> Outcome {
    let requests = std::env::var("REQUESTS").map_or(Ok(300), |text| text.parse::<usize>())?;
    let orders = requests.div_ceil(CALLERS);
    let pipeline = Pipeline::start("storm").await?;
    let (mut one, other) = (pipeline.start_door("one")?, pipeline.start_door("other")?);
    pipeline.receive("pen", 100_000).await?;
    let balancer = Balancer(Arc::new(Mutex::new((0, vec![one.api.clone(), other.api.clone()]))));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let balancer = balancer.clone();
            tokio::spawn(async move {
                let mut placed = Vec::new();
                for number in 0..orders {
                    placed.push(place(&balancer, &format!("{caller}-{number}")).await?);
                }
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(placed)
            })
        })
        .collect();
    for kill in 1..=KILLS {
        until("some orders more are there", || async {
            let there = pipeline.query("select order_id from orders.orders").await?.len();
            let wanted = kill * CALLERS * orders / (KILLS + 2);
            if there >= wanted { Ok(()) } else { Err(format!("{there} of {wanted}").into()) }
        })
        .await?;
        one.daemon.kill9()?;
        one = pipeline.start_door(&format!("one-{kill}"))?;
        balancer.replace(0, one.api.clone());
    }
    let mut placed = Vec::new();
    for caller in callers {
        placed.extend(caller.await??);
    }
    let ids: BTreeSet<String> = placed.iter().cloned().collect();
    assert_eq!((placed.len(), ids.len()), (CALLERS * orders, CALLERS * orders));
    let mut readers = Vec::new();
    for id in ids.iter().step_by(ids.len().div_ceil(10)) {
        readers.push(tokio::spawn(read_on(balancer.clone(), id.clone())));
    }
    for reader in readers {
        reader.await??;
    }
    until("every order is there", || async {
        let there: BTreeSet<String> = pipeline.query("select order_id from orders.orders").await?.into_iter().collect();
        let seen: BTreeSet<String> =
            pipeline.query("select order_id from view.orders where stage = 'completed'").await?.into_iter().collect();
        if there == ids && seen == ids {
            Ok(())
        } else {
            Err(format!("{} and {} of {}", there.len(), seen.len(), ids.len()).into())
        }
    })
    .await?;
    let charged = "select count(*)::text from payments.payments where status = 'captured'";
    assert_eq!(pipeline.query(charged).await?, [ids.len().to_string()]);
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    let status = other.api.get("/v1/status").await?.of(200)?.body;
    assert_ne!(status["open"], Value::Null);
    stop(one)?;
    stop(other)
}
