//! Webhooks: each event to each address, signed, some of them twice, late or never, as the behaviour says.
//!
//! Signed as <https://docs.stripe.com/webhooks#verify-manually> describes: HMAC-SHA256 over the time, a dot and the body.

use std::sync::Arc;
use std::time::Duration;

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::events::Event;
use crate::server::Server;

/// How often new events are looked for.
const PERIOD: Duration = Duration::from_millis(20);

/// So many are under way at once.
const AT_ONCE: usize = 32;

/// How often one is sent again that was not taken.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder().redirect(Policy::none()).timeout(ANSWER_LIMIT).build()
}

/// Send what happens until it is asked to end; what is under way then is given up.
pub(crate) async fn deliver(server: Server, http: Client, mut stopping: watch::Receiver<bool>) {
    let mut under_way = JoinSet::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        tokio::select! {
            _ = stopping.wait_for(|is_asked| *is_asked) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let now_ms = server.now_ms();
        let events = server.with(|inner| {
            inner.bank.settle(now_ms);
            std::mem::take(&mut inner.bank.events)
        });
        for event in events {
            for (url, late) in plan(&server, &event) {
                let (server, http, places, event) = (server.clone(), http.clone(), places.clone(), event.clone());
                under_way.spawn(async move {
                    tokio::time::sleep(late).await;
                    let place = places.acquire().await;
                    let is_taken = send(&server, &http, &url, &event).await;
                    drop(place);
                    server.with(|inner| inner.ledger.count(if is_taken { "webhook" } else { "webhook_not_taken" }));
                });
            }
        }
        while under_way.try_join_next().is_some() {}
    }
}

/// Where an event goes, and how late each time.
fn plan(server: &Server, event: &Event) -> Vec<(String, Duration)> {
    let behaviour = server.behaviour();
    let falls = |share, what| behaviour.falls(share, &[what, event.kind, &event.order_id]);
    if falls(behaviour.webhook_lost_per_million, "lost") {
        return Vec::new();
    }
    let late = Duration::from_millis(behaviour.webhook_late_ms);
    let first = if falls(behaviour.webhook_late_per_million, "late") { late } else { Duration::ZERO };
    let times = if falls(behaviour.webhook_twice_per_million, "twice") { vec![first, late] } else { vec![first] };
    let to_all = |url: &String| times.iter().map(|late| (url.clone(), *late)).collect::<Vec<_>>();
    let urls = server.with(|inner| inner.webhooks.clone());
    urls.iter().flat_map(to_all).collect()
}

async fn send(server: &Server, http: &Client, url: &str, event: &Event) -> bool {
    let body = event.body();
    let mut pause = FIRST_PAUSE;
    for _ in 0..TRIES {
        let signature = signature(&server.behaviour().webhook_secret, server.now_ms() / 1_000, &body);
        let request = http.post(url).header("Stripe-Signature", signature).header("Content-Type", "application/json");
        match request.body(body.clone()).send().await {
            Ok(response) if response.status().is_success() => return true,
            Ok(response) => tracing::debug!(status = response.status().as_u16(), account = event.account, "not taken"),
            Err(error) => tracing::debug!(%error, "not sent"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    false
}

/// The header of a body that is sent at this time, in Unix seconds.
fn signature(secret: &str, at_s: i64, body: &str) -> String {
    let signed = || {
        let key = PKey::hmac(secret.as_bytes())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.update(format!("{at_s}.{body}").as_bytes())?;
        signer.sign_to_vec()
    };
    let bytes = signed().unwrap_or_default();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_others_compute() {
        // echo -n '1.{}' | openssl dgst -sha256 -hmac whsec
        let wanted = "t=1,v1=6ab13b5991724d5a0c7f02d7989ba3425b580e39d5b9a0a6258a7f5d0419173a";
        assert_eq!(signature("whsec", 1, "{}"), wanted);
    }
}
