//! How much memory open calls cost: so many are made at once against a server that takes its time, and the process says what it grew by.
//!
//! `speed.sh` starts the server. Linux only.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use domain::provider::{IdempotencyKey, Operation, PaymentMethod, Provider, ProviderAnswer, ProviderRequest};
use schemas::{CustomerId, OrderId};
use stripe::{StripeOptions, StripeProvider};
use tokio::task::JoinSet;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    stripe: StripeOptions,
    /// How many calls.
    #[arg(long, default_value_t = 10_000)]
    calls: u32,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let opened = arguments.stripe.settings().map_err(|error| error.to_string());
    match opened.and_then(|settings| StripeProvider::open(settings).map_err(|error| error.to_string())) {
        Ok(provider) => {
            measure(Arc::new(provider), arguments.calls).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(provider: Arc<StripeProvider>, calls: u32) {
    let before_kib = resident_kib();
    let begun = Instant::now();
    let mut open = JoinSet::new();
    for number in 0..calls {
        let Some(request) = request(number) else { continue };
        let provider = provider.clone();
        open.spawn(async move { provider.execute(&request).await });
    }
    let (mut succeeded, mut others, mut peak_kib) = (0_u32, 0_u32, 0_u64);
    let mut looked = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            answer = open.join_next() => match answer {
                Some(Ok(ProviderAnswer::Succeeded { .. })) => succeeded += 1,
                Some(_) => others += 1,
                None => break,
            },
            _ = looked.tick() => peak_kib = peak_kib.max(resident_kib()),
        }
    }
    let (grew_mib, took) = (peak_kib.saturating_sub(before_kib) / 1_024, begun.elapsed());
    println!("{calls} calls: {succeeded} succeeded, {others} otherwise, in {took:.1?}; memory grew by {grew_mib} MiB");
}

fn request(number: u32) -> Option<ProviderRequest> {
    let order_id = OrderId::new(format!("open-{}-{number}", std::process::id())).ok()?;
    Some(ProviderRequest {
        key: IdempotencyKey::new(&order_id, Operation::Authorize, 1),
        order_id,
        operation: Operation::Authorize,
        customer_id: CustomerId::new("c-1").ok()?,
        currency: "EUR".into(),
        amount_minor: 1_050,
        authorization: None,
        method: Some(PaymentMethod { provider: String::new(), token: "pm_card_visa".into() }),
        sent_before: 0,
    })
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
