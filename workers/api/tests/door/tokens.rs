//! Tokens of an identity provider: who gets in by them, how far, and what happens while it cannot be asked.

use std::process::Command;

use serde_json::{Value, json};

use crate::api::{Answer, Api};
use crate::issuer::{AUDIENCE, Issuer, Key, unsigned};
use crate::pipeline::{Door, Outcome, Pipeline, stop, until};

fn trusting(issuer: &Issuer) -> impl FnOnce(&mut Command) {
    let name = issuer.name.clone();
    move |command| {
        command.env("OIDC_ISSUER", name).env("JWT_AUDIENCE", AUDIENCE).env("LOG", "debug");
    }
}

fn with(claims: &Value, changes: Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

fn by(door: &Door, token: &str) -> Api {
    door.api.with("authorization", &format!("Bearer {token}"))
}

/// Refused, in words that have these in them, also for a program.
fn refused(answer: &Answer, words: &str) {
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"invalid_token\"") && challenge.contains(words), "{answer:?}");
    assert!(answer.status == 401 && answer.text("detail").contains(words), "{answer:?}");
    for name in ["content-security-policy", "x-content-type-options", "cache-control"] {
        assert!(!answer.header(name).is_empty(), "{name}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_issuer_vouches_for_gets_in_as_far_as_its_roles_go() -> Outcome {
    let pipeline = Pipeline::start("tokens").await?;
    let keys = ["RS256", "PS256", "ES256", "EdDSA"]
        .map(|algorithm| Key::new(algorithm, algorithm))
        .into_iter()
        .collect::<Outcome<Vec<Key>>>()?;
    let issuer = Issuer::start(&keys).await?;
    for (missing, words) in [("JWT_AUDIENCE", "--jwt-audience"), ("OIDC_ISSUER", "--oidc-issuer")] {
        let mut command = pipeline.door_command();
        trusting(&issuer)(&mut command);
        let output = command.env_remove(missing).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(words), "{told}");
    }
    let door = pipeline.start_door_with("door", |command| {
        trusting(&issuer)(command);
        command.env("API_LISTEN", "0.0.0.0:0");
    })?;

    // By each algorithm, and with roles wherever they are.
    let mut shown = Vec::new();
    let reader = issuer.claims("reader", &["orders:read"]);
    for key in &keys {
        let token = key.token(&reader)?;
        by(&door, &token).get("/v1/orders").await?.of(200)?;
        shown.push(token);
    }
    let scoped = with(&reader, json!({ "roles": null, "scope": "openid orders:read" }));
    let scoped = keys[0].token(&scoped)?;
    by(&door, &scoped).get("/v1/orders").await?.of(200)?;

    // Too few roles, by name; and nobody at all.
    let receipt = json!({ "sku": "pen", "quantity": 10 });
    let few = by(&door, &shown[0]).once("r").post("/v1/stock/receipts", receipt.clone()).await?.of(403)?;
    assert_eq!(few.header("www-authenticate"), "Bearer error=\"insufficient_scope\", scope=\"stock:write\"");
    assert_eq!(few.text("detail"), "reader has not the role stock:write");
    assert_eq!(door.api.get("/v1/orders").await?.of(401)?.header("www-authenticate"), "Bearer");

    // What is not to be believed.
    let key = &keys[0];
    let now = reader["iat"].as_i64().unwrap_or_default();
    let header = json!({ "alg": "RS256", "kid": key.id });
    let good = key.token(&reader)?;
    let (signed, signature) = good.rsplit_once('.').ok_or("no token")?;
    let other = Key::new("RS256", "RS256")?;
    let more = unsigned(&header, &with(&reader, json!({ "roles": ["ops:act"] })));
    let made = [
        (key.token(&with(&reader, json!({ "exp": now - 60 })))?, "has expired"),
        (key.token(&with(&reader, json!({ "nbf": now + 120 })))?, "not valid yet"),
        (key.token(&with(&reader, json!({ "exp": null })))?, "no exp"),
        (key.token(&with(&reader, json!({ "aud": "somebody-else" })))?, "audience orders-api"),
        (key.token(&with(&reader, json!({ "aud": null })))?, "no aud"),
        (key.token(&with(&reader, json!({ "iss": "https://id.example" })))?, "issuer http://127.0.0.1"),
        (key.token(&with(&reader, json!({ "sub": "n".repeat(65) })))?, "64 printable bytes"),
        (other.token(&reader)?, "signature"),
        (format!("{more}.{signature}"), "signature"),
        (format!("{signed}."), "signature"),
        (key.confused(&reader)?, "algorithm"),
        (format!("{}.", unsigned(&json!({ "alg": "none" }), &reader)), "algorithm"),
        (key.token_with(&json!({ "alg": "RS512", "kid": key.id }), &reader)?, "algorithm"),
        (key.token_with(&json!({ "alg": "RS256", "kid": key.id, "crit": ["b64"], "b64": false }), &reader)?, "be read"),
        (key.token_with(&json!({ "alg": "RS256", "kid": "ES256" }), &reader)?, "does not show"),
        (key.token_with(&json!({ "alg": "RS256", "kid": "sealing" }), &reader)?, "does not show"),
        // Two keys could be meant.
        (key.token_with(&json!({ "alg": "RS256" }), &reader)?, "does not show"),
        ("a.b.c".to_owned(), "be read"),
        (format!("{}.b.c", "a".repeat(20_000)), "be read"),
        ("oak_0".to_owned(), "no such key"),
    ];
    for (token, words) in &made {
        refused(&by(&door, token).get("/v1/orders").await?, words);
    }

    // Commands say who asked, as they do with keys.
    let clerk =
        keys[3].token(&issuer.claims("auth0|clerk", &["orders:read", "orders:write", "stock:write", "ops:act"]))?;
    by(&door, &clerk).waiting().once("r").post("/v1/stock/receipts", receipt).await?.of(200)?;
    let order = json!({ "customer_id": "ada", "currency": "EUR", "fulfilment": "on_command",
        "lines": [{ "sku": "pen", "quantity": 1, "unit_price_minor": 100 }] });
    let placed = by(&door, &clerk).waiting().once("o").post("/v1/orders", order).await?.of(201)?;
    let path = format!("/v1/orders/{}/hold", placed.text("order_id"));
    by(&door, &clerk).waiting().once("h").post(&path, json!({ "reason_code": "fraud_check" })).await?.of(200)?;
    let held = pipeline.query("select body::json->'origin'->>'by' from view.heard where name = 'OrderHeld'").await?;
    assert_eq!(held, ["auth0|clerk"]);

    // Of each caller no more than its share, whatever tokens it brings; others have theirs.
    let bounded = pipeline.start_door_with("bounded", |command| {
        trusting(&issuer)(command);
        command.env("JWT_REQUESTS_PER_SECOND", "1");
    })?;
    let mut told = Vec::new();
    for turn in 0..10 {
        let token = keys[turn % 4].token(&reader)?;
        told.push(by(&bounded, &token).get("/v1/orders").await?.status);
        shown.push(token);
    }
    assert!(told.starts_with(&[200]) && told.contains(&429), "{told:?}");
    by(&bounded, &clerk).get("/v1/orders").await?.of(200)?;
    stop(bounded)?;

    let log = std::fs::read_to_string(door.daemon.log_file())?;
    shown.extend([clerk, scoped]);
    shown.extend(made.into_iter().map(|(token, _)| token).filter(|token| token.len() > 40));
    for token in &shown {
        let parts: Vec<&str> = token.split('.').skip(1).filter(|part| part.len() > 20).collect();
        assert!(parts.iter().all(|part| !log.contains(part)), "a token is in the log");
    }
    stop(door)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_keys_may_change_and_it_may_be_away() -> Outcome {
    let pipeline = Pipeline::start("issuer").await?;
    let [first, second, third, nobodys] = ["first", "second", "third", "nobody's"].map(|id| Key::new(id, "ES256"));
    let (first, second, third, nobodys) = (first?, second?, third?, nobodys?);
    let mut issuer = Issuer::start(std::slice::from_ref(&first)).await?;
    let claims = issuer.claims("reader", &["orders:read"]);
    let door = pipeline.start_door_with("door", trusting(&issuer))?;
    by(&door, &first.token(&claims)?).get("/v1/orders").await?.of(200)?;
    assert_eq!(issuer.looks(), 1);

    // A key that is new is found by the request that brings it; one that nobody shows costs one look, however many ask.
    issuer.show(&[first.clone(), second.clone()])?;
    by(&door, &second.token(&claims)?).get("/v1/orders").await?.of(200)?;
    assert_eq!(issuer.looks(), 2);
    let unknown = nobodys.token(&claims)?;
    let asking = (0..20).map(|_| {
        let api = by(&door, &unknown);
        tokio::spawn(async move { api.get("/v1/orders").await })
    });
    for asked in asking.collect::<Vec<_>>() {
        refused(&asked.await??, "does not show");
    }
    assert!(issuer.looks() <= 4, "{} looks", issuer.looks());

    // While it is away its last keys are good, and that is said; what is not known cannot be told.
    issuer.close().await;
    by(&door, &unknown).get("/v1/orders").await?.of(503)?;
    by(&door, &second.token(&claims)?).get("/v1/orders").await?.of(200)?;
    let (status, told) = door.daemon.get("/readyz")?;
    assert!(status == 200 && told.contains("note: the keys of ") && told.contains("are used"), "{status}: {told}");
    let (_, told) = door.daemon.get("/metrics")?;
    assert!(
        told.contains("api_issuer_looks_total{outcome=\"failed\"}") && told.contains("api_issuer_keys 2"),
        "{told}"
    );
    assert!(door.daemon.tail().contains("the issuer's keys cannot be looked up"));

    // One that starts meanwhile believes nobody, says so, and needs nobody to start it again.
    let log = pipeline.write("late.log", "")?;
    let mut command = pipeline.door_command();
    trusting(&issuer)(&mut command);
    let late = dev_stack::Daemon::spawn_announced(command, "late", &log, "listening", crate::pipeline::PATIENCE)?;
    until("it says what it lacks", || async {
        let (status, told) = late.get("/readyz")?;
        if status == 503 && told.contains("no token is believed") { Ok(()) } else { Err(told.into()) }
    })
    .await?;

    // It is back, with a key of today.
    issuer.show(std::slice::from_ref(&third))?;
    issuer.open().await?;
    let token = third.token(&claims)?;
    until("the key of today is known", || async {
        by(&door, &token).get("/v1/orders").await?.of(200)?;
        if door.daemon.get("/readyz")?.1.contains("note") { Err("still a note".into()) } else { Ok(()) }
    })
    .await?;
    until("the late one is ready", || async {
        let (status, told) = late.get("/readyz")?;
        if status == 200 { Ok(()) } else { Err(told.into()) }
    })
    .await?;
    // What is shown no more is believed no more.
    refused(&by(&door, &first.token(&claims)?).get("/v1/orders").await?, "does not show");
    late.terminate()?;
    stop(door)
}
