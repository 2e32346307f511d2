//! The client against the server: what becomes of each operation, of each fault, and of keys.

#![cfg(test)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use domain::provider::{IdempotencyKey, Operation, PaymentMethod, Provider, ProviderAnswer, ProviderRequest};
use domain::simulator::SimulatorConfig;
use schemas::{CommandId, CustomerId, OrderId};
use serde_json::Value;
use stripe::{StripeOptions, StripeProvider};
use stripe_server::{Behaviour, Running, start};

const KEY: &str = "sk_test_planted";

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    stripe: StripeOptions,
}

/// A client with these options more.
fn client_at(address: SocketAddr, more: &[&str]) -> StripeProvider {
    let url = format!("http://{address}");
    let words = ["program", "--stripe-url", &url].into_iter().chain(more.iter().copied());
    StripeProvider::open(Program::try_parse_from(words).unwrap().stripe.settings().unwrap()).unwrap()
}

async fn both(behaviour: Behaviour) -> (Running, StripeProvider) {
    let server = start(behaviour, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = client_at(server.address(), &["--stripe-key", KEY]);
    (server, client)
}

fn request(order: &str, operation: Operation, token: &str) -> ProviderRequest {
    let order_id = OrderId::new(order).unwrap();
    ProviderRequest {
        key: IdempotencyKey::new(&order_id, operation, 1),
        order_id,
        operation,
        customer_id: CustomerId::new("c-1").unwrap(),
        currency: "EUR".into(),
        amount_minor: 1_050,
        authorization: None,
        method: Some(PaymentMethod { provider: String::new(), token: token.into() }),
        sent_before: 0,
    }
}

/// The next operation of the same order, about this reference.
fn about(first: &ProviderRequest, operation: Operation, reference: &str) -> ProviderRequest {
    let refund_id = CommandId::new("r-1").unwrap();
    let key = match operation {
        Operation::Refund => IdempotencyKey::refund(&first.order_id, &refund_id, 1),
        Operation::Authorize | Operation::Capture | Operation::Void => {
            IdempotencyKey::new(&first.order_id, operation, 1)
        }
    };
    ProviderRequest { key, operation, authorization: Some(reference.into()), ..first.clone() }
}

fn reference(answer: ProviderAnswer) -> String {
    let ProviderAnswer::Succeeded { reference, .. } = answer else { panic!("{answer:?}") };
    reference
}

fn refusal(answer: ProviderAnswer) -> String {
    let ProviderAnswer::Refused { detail } = answer else { panic!("{answer:?}") };
    detail
}

async fn ask(server: SocketAddr, path: &str) -> Value {
    let response = reqwest::Client::new().get(format!("http://{server}{path}")).bearer_auth(KEY).send().await.unwrap();
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// How often the server did this with success.
fn done(ledger: &Value, operation: &str) -> usize {
    let lines = ledger["lines"].as_array().unwrap();
    lines.iter().filter(|line| line["operation"] == operation && line["outcome"] == "succeeded").count()
}

#[tokio::test]
async fn money_is_held_taken_in_part_and_given_back() {
    let (server, client) = both(Behaviour::default()).await;
    let authorize = request("o-1", Operation::Authorize, "pm_card_visa");
    assert_eq!(client.look_up(&authorize).await, ProviderAnswer::NotFound);
    let held = client.execute(&authorize).await;
    assert!(matches!(&held, ProviderAnswer::Succeeded { expires_at: Some(_), .. }), "{held:?}");
    assert_eq!(client.look_up(&authorize).await, held);
    let payment = reference(held);
    let capture = ProviderRequest { amount_minor: 800, ..about(&authorize, Operation::Capture, &payment) };
    assert_eq!(client.look_up(&capture).await, ProviderAnswer::NotFound);
    assert_eq!(reference(client.execute(&capture).await), payment);
    assert_eq!(reference(client.look_up(&capture).await), payment);
    let refund = ProviderRequest { amount_minor: 300, ..about(&authorize, Operation::Refund, &payment) };
    assert_eq!(client.look_up(&refund).await, ProviderAnswer::NotFound);
    let returned = reference(client.execute(&refund).await);
    assert_eq!(reference(client.look_up(&refund).await), returned);
    let balance = ask(server.address(), "/v1/balance_transactions").await;
    let amounts: Vec<i64> =
        balance["data"].as_array().unwrap().iter().map(|one| one["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [-300, 800]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_let_go_of_cannot_be_taken_and_what_is_taken_cannot_be_let_go_of() {
    let (server, client) = both(Behaviour::default()).await;
    let first = request("o-1", Operation::Authorize, "pm_card_visa");
    let payment = reference(client.execute(&first).await);
    assert_eq!(reference(client.execute(&about(&first, Operation::Void, &payment)).await), payment);
    assert!(refusal(client.execute(&about(&first, Operation::Capture, &payment)).await).contains("cancelled"));
    assert!(refusal(client.look_up(&first).await).contains("cancelled"));
    let second = request("o-2", Operation::Authorize, "pm_card_visa");
    let payment = reference(client.execute(&second).await);
    client.execute(&about(&second, Operation::Capture, &payment)).await;
    assert!(refusal(client.execute(&about(&second, Operation::Void, &payment)).await).contains("captured"));
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_is_in_the_provider_s_words_without_the_token() {
    let (server, client) = both(Behaviour::default()).await;
    for (token, words) in [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("nonsense_planted", "resource_missing"),
        ("", "no token"),
    ] {
        let refused = refusal(client.execute(&request(&format!("o{token}"), Operation::Authorize, token)).await);
        assert!(refused.contains(words) && !refused.contains("planted"), "{refused}");
    }
    let strange = PaymentMethod { provider: "mars".into(), token: "pm_card_visa".into() };
    let authorize = ProviderRequest { method: Some(strange), ..request("o-9", Operation::Authorize, "") };
    assert!(refusal(client.execute(&authorize).await).contains("mars"));
    let capture = about(&authorize, Operation::Capture, "pi_1");
    let answer = client.execute(&capture).await;
    assert!(matches!(answer, ProviderAnswer::RetryLater { .. }), "an account can be brought back: {answer:?}");
    let unknown = about(&request("o-1", Operation::Authorize, "pm_card_visa"), Operation::Capture, "pi_none");
    let answer = client.execute(&unknown).await;
    assert!(matches!(answer, ProviderAnswer::RetryLater { .. }), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_customer_who_has_to_act_is_waited_for_and_an_old_answer_is_not_believed() {
    let (server, client) = both(Behaviour::default()).await;
    for (order, outcome) in [("o-1", "succeeded"), ("o-2", "failed")] {
        let authorize = request(order, Operation::Authorize, "pm_card_authenticationRequired");
        let answer = client.execute(&authorize).await;
        let ProviderAnswer::ActionRequired { reference: payment, .. } = answer else { panic!("{answer:?}") };
        ask(server.address(), &format!("/test/act/{payment}?outcome={outcome}")).await;
        let repeated = client.execute(&authorize).await;
        match outcome {
            "succeeded" => assert_eq!(reference(repeated), payment),
            _ => assert!(refusal(repeated).contains("authentication_failure")),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refund_may_be_accepted_and_fail_later() {
    let behaviour = Behaviour { refund_settles_after_ms: 0, ..Behaviour::default() };
    let (server, client) = both(behaviour).await;
    let authorize = request("o-1", Operation::Authorize, "pm_card_pendingRefund");
    let payment = reference(client.execute(&authorize).await);
    client.execute(&about(&authorize, Operation::Capture, &payment)).await;
    let refund = about(&authorize, Operation::Refund, &payment);
    let answer = client.execute(&refund).await;
    assert!(matches!(answer, ProviderAnswer::Pending { .. }), "{answer:?}");
    let done = reference(client.look_up(&refund).await);
    assert_eq!(reference(client.execute(&refund).await), done, "the old answer says pending");
    server.stop().await;
}

/// All faults at once: the same key until the answer is definitive, as the charge does.
#[tokio::test]
async fn each_effect_happens_once_whatever_is_lost() {
    let simulator = SimulatorConfig {
        seed: 7,
        timeout_before_effect_per_million: 150_000,
        timeout_after_effect_per_million: 150_000,
        server_error_per_million: 150_000,
        conflict_per_million: 150_000,
        timeout_ms: 1,
        ..SimulatorConfig::default()
    };
    let behaviour = Behaviour {
        too_many_per_million: 200_000,
        retry_after_s: 0,
        stored_error_per_million: 300_000,
        simulator,
        ..Behaviour::default()
    };
    let server = start(behaviour, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let client = client_at(server.address(), &["--stripe-key", KEY, "--stripe-breaker-after", "1000"]);
    let mut uncertain = 0;
    for number in 0..40 {
        let authorize = request(&format!("o-{number}"), Operation::Authorize, "pm_card_visa");
        let payment = settled(&client, &authorize, &mut uncertain).await;
        settled(&client, &about(&authorize, Operation::Capture, &payment), &mut uncertain).await;
        settled(&client, &about(&authorize, Operation::Refund, &payment), &mut uncertain).await;
    }
    let ledger = ask(server.address(), "/test/ledger").await;
    assert_eq!(["authorize", "capture", "refund"].map(|operation| done(&ledger, operation)), [40; 3], "{ledger}");
    let requests = &ledger["counts"]["requests"];
    assert!(["lost", "409", "429", "503"].iter().all(|what| requests[what].as_u64() > Some(3)), "{requests}");
    assert!(uncertain > 20, "{uncertain}");
    server.stop().await;
}

async fn settled(client: &StripeProvider, request: &ProviderRequest, uncertain: &mut u32) -> String {
    for _ in 0..12 {
        let answer = client.execute(request).await;
        if !matches!(answer, ProviderAnswer::Unknown { .. } | ProviderAnswer::RetryLater { .. }) {
            return reference(answer);
        }
        *uncertain += 1;
    }
    panic!("no certain answer to {:?}", request.key);
}

#[tokio::test]
async fn an_error_that_is_given_again_is_no_answer_and_a_look_finds_what_was_done() {
    let behaviour = Behaviour { stored_error_per_million: 1_000_000, ..Behaviour::default() };
    let (server, client) = both(behaviour).await;
    let authorize = request("o-1", Operation::Authorize, "pm_card_visa");
    let answer = client.execute(&authorize).await;
    assert!(matches!(answer, ProviderAnswer::Unknown { .. }), "{answer:?}");
    reference(client.execute(&authorize).await);
    server.stop().await;
    let lagging = Behaviour { stored_error_per_million: 1_000_000, search_lag_ms: 60_000, ..Behaviour::default() };
    let (server, client) = both(lagging).await;
    for _ in 0..3 {
        let answer = client.execute(&authorize).await;
        assert!(matches!(answer, ProviderAnswer::Unknown { .. }), "the search does not see it yet: {answer:?}");
    }
    assert_eq!(client.look_up(&authorize).await, ProviderAnswer::NotFound, "and the key protects meanwhile");
    assert_eq!(done(&ask(server.address(), "/test/ledger").await, "authorize"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_key_with_other_parameters_is_not_taken_for_an_answer() {
    let (server, client) = both(Behaviour::default()).await;
    let authorize = request("o-1", Operation::Authorize, "pm_card_visa");
    reference(client.execute(&authorize).await);
    let other = client.execute(&ProviderRequest { amount_minor: 1, ..authorize }).await;
    assert!(matches!(other, ProviderAnswer::Unknown { .. }), "{other:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_provider_that_asks_to_wait_is_left_alone() {
    let behaviour = Behaviour { too_many_per_million: 1_000_000, retry_after_s: 30, ..Behaviour::default() };
    let (server, client) = both(behaviour).await;
    for order in ["o-1", "o-2", "o-3"] {
        let answer = client.execute(&request(order, Operation::Authorize, "pm_card_visa")).await;
        let ProviderAnswer::RetryLater { after_ms: Some(after_ms), .. } = answer else { panic!("{answer:?}") };
        assert!((29_000..=31_000).contains(&after_ms), "{after_ms}");
    }
    let requests = &ask(server.address(), "/test/ledger").await["counts"]["requests"];
    assert_eq!(requests["429"], 1, "the others were not sent: {requests}");
    server.stop().await;
}

#[tokio::test]
async fn while_the_provider_is_down_nothing_is_sent_and_one_request_finds_it_again() {
    let (server, first) = both(Behaviour::default()).await;
    let address = server.address();
    drop(first);
    server.stop().await;
    let breaker = ["--stripe-key", KEY, "--stripe-breaker-after", "3", "--stripe-breaker-pause-ms", "200"];
    let client = client_at(address, &breaker);
    let authorize = request("o-1", Operation::Authorize, "pm_card_visa");
    let mut details = Vec::new();
    for _ in 0..5 {
        let answer = client.execute(&authorize).await;
        let ProviderAnswer::RetryLater { detail, .. } = answer else { panic!("{answer:?}") };
        details.push(detail);
    }
    let is_held_back = |detail: &String| detail.contains("no certain answer for a while");
    assert_eq!(details.iter().map(is_held_back).collect::<Vec<_>>(), [false, false, false, true, true], "{details:?}");
    let server = start(Behaviour::default(), address).await.unwrap();
    let found = async {
        loop {
            let answer = client.execute(&authorize).await;
            if !matches!(answer, ProviderAnswer::RetryLater { .. }) {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    reference(tokio::time::timeout(Duration::from_secs(20), found).await.unwrap());
    server.stop().await;
}

struct Written(PathBuf);

impl Written {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stripe-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Written(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // A test that failed may have removed it.
        drop(std::fs::remove_file(&self.0));
    }
}

#[tokio::test]
async fn each_account_has_its_key_and_a_new_key_counts_without_a_restart() {
    let keys = [("sk_test_eu", "eu"), ("sk_test_us", "us")].map(|(key, name)| (key.to_owned(), name.to_owned())).into();
    let server = start(Behaviour { keys, ..Behaviour::default() }, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (eu, us) = (Written::new("eu", "sk_test_eu\n"), Written::new("us", "sk_test_planted_old\n"));
    let accounts = format!("eu={},us={}", eu.0.display(), us.0.display());
    let client = client_at(server.address(), &["--stripe-account", &accounts]);
    let of = |provider: &str, order: &str| {
        let method = PaymentMethod { provider: provider.into(), token: "pm_card_visa".into() };
        ProviderRequest { method: Some(method), ..request(order, Operation::Authorize, "") }
    };
    let held = reference(client.execute(&of("eu", "o-1")).await);
    let answer = client.execute(&of("us", "o-2")).await;
    assert!(matches!(&answer, ProviderAnswer::RetryLater { detail, .. } if !detail.contains("planted")), "{answer:?}");
    std::fs::write(&us.0, "sk_test_us\n").unwrap();
    let found = async {
        loop {
            let answer = client.execute(&of("us", "o-2")).await;
            if !matches!(answer, ProviderAnswer::RetryLater { .. }) {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    reference(tokio::time::timeout(Duration::from_secs(20), found).await.unwrap());
    let elsewhere = client.execute(&about(&of("us", "o-1"), Operation::Capture, &held)).await;
    assert!(matches!(elsewhere, ProviderAnswer::RetryLater { .. }), "another account's payment: {elsewhere:?}");
    assert!(!format!("{client:?}").contains("sk_test"), "{client:?}");
    server.stop().await;
}
