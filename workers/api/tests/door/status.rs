//! `/v1/status` tells what each daemon says of itself, and which ones say nothing.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use schemas::ServiceName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::pipeline::{Outcome, Pipeline, stop, until};

/// A server that is no daemon: it counts who asks.
async fn stranger() -> Outcome<(String, Arc<AtomicU64>)> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, asked) = (listener.local_addr()?.to_string(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 1024];
            if stream.read(&mut request).await.is_ok() {
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                // Who asks may be gone.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    Ok((address, asked))
}

fn daemon<'s>(status: &'s Value, name: &str) -> Outcome<&'s Value> {
    let found = status["daemons"].as_array().and_then(|all| all.iter().find(|daemon| daemon["name"] == name));
    found.ok_or_else(|| format!("no {name}: {status}").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_daemon_is_told_by_its_own_word_and_one_that_is_silent_since_when() -> Outcome {
    let pipeline = Pipeline::start("status").await?;
    let (odd, asked) = stranger().await?;
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut daemons = format!("nobody={nobody},odd=http://{odd}");
    for service in ServiceName::ALL {
        daemons.push_str(&format!(", {service}={}", pipeline.daemon(service)?.address()));
    }
    let (code, told) = pipeline.run(&["--daemons", "order=http://me:secret@a"])?;
    assert!(code != Some(0) && told.contains("--daemons") && !told.contains("secret"), "{told}");
    let begun = Instant::now();
    let door = pipeline.start_door_with("door", |command| {
        command.env("DAEMONS", &daemons);
    })?;
    let api = &door.api;
    pipeline.receive("pen", 10).await?;
    let status = until("all are told", || async {
        let status = api.get("/v1/status").await?.of(200)?.body;
        for service in ServiceName::ALL {
            let says = &daemon(&status, service.as_str())?["says"];
            let is_whole = says["service"] == service.as_str() && says["ready"] == true && says["lag"] == 0;
            if !is_whole || says["lanes"] != json!([0, 1, 2]) || says["relay"]["role"] != "leading" {
                return Err(format!("{says}").into());
            }
        }
        daemon(&status, "nobody")?["since"].as_str().ok_or("not asked yet")?;
        Ok(status)
    })
    .await?;
    let payment = daemon(&status, "payment")?;
    assert_eq!(
        (&payment["answers"], &payment["why"], &payment["says"]["held"]),
        (&json!(true), &Value::Null, &json!([]))
    );
    assert_eq!(payment["says"]["parked"]["messages"], 0);
    let silent = daemon(&status, "nobody")?;
    let why = silent["why"].as_str().unwrap_or_default();
    assert!(silent["answers"] == false && why.contains("refused") && silent["says"] == Value::Null, "{silent}");
    let why = daemon(&status, "odd")?["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("no status"), "{why}");

    // Since when it is silent stays, however often it is asked; and one that dies is silent from then on.
    pipeline.daemon(ServiceName::Payment)?.kill9()?;
    until("payment is silent", || async {
        let later = api.get("/v1/status").await?.of(200)?.body;
        let (payment, nobody) = (daemon(&later, "payment")?, daemon(&later, "nobody")?);
        assert_eq!(nobody["since"], silent["since"]);
        let is_asked_again = nobody["asked_at"].as_str() > silent["asked_at"].as_str();
        let is_silent = payment["answers"] == false && payment["since"].as_str() > silent["since"].as_str();
        if is_asked_again && is_silent { Ok(()) } else { Err(payment.to_string().into()) }
    })
    .await?;

    // Whoever asks the door does not make it ask.
    for _ in 0..200 {
        api.get("/v1/status").await?.of(200)?;
    }
    let (times, rounds) = (asked.load(Ordering::Relaxed), begun.elapsed().as_secs() / 2 + 2);
    assert!((1..=rounds).contains(&times), "{times} times in {rounds} rounds");
    stop(door)
}
