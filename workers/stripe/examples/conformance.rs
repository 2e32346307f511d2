//! The client against somebody else's server (`conformance.sh` starts two): is each request taken, and does each answer say what it should?
//!
//! `stateless` servers answer with fixtures, so only that they take a request counts.

use std::process::ExitCode;

use clap::Parser;
use domain::provider::{IdempotencyKey, Operation, PaymentMethod, Provider, ProviderAnswer, ProviderRequest};
use schemas::{CommandId, CustomerId, OrderId};
use stripe::{StripeOptions, StripeProvider};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    stripe: StripeOptions,
    /// What to pay with.
    #[arg(long, default_value = "pm_card_visa")]
    token: String,
    /// It keeps no state: a request that is taken is enough.
    #[arg(long)]
    stateless: bool,
    /// It has no search.
    #[arg(long)]
    without_search: bool,
}

struct Course {
    provider: StripeProvider,
    arguments: Arguments,
    failures: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let opened = arguments.stripe.settings().map_err(|error| error.to_string());
    let provider = match opened.and_then(|settings| StripeProvider::open(settings).map_err(|error| error.to_string())) {
        Ok(provider) => provider,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut course = Course { provider, arguments, failures: 0 };
    course.run().await;
    if course.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Course {
    async fn run(&mut self) {
        let Some(first) = self.request("conformance-1") else { return };
        let held = self.execute("hold", &first, "Succeeded").await.unwrap_or_else(|| "pi_none".into());
        if !self.arguments.without_search {
            self.look_up("look for what is held", &first, "Succeeded").await;
        }
        let capture = ProviderRequest { amount_minor: 800, ..about(&first, Operation::Capture, &held) };
        self.look_up("look before taking", &capture, "NotFound").await;
        self.execute("take a part", &capture, "Succeeded").await;
        self.look_up("look at what was taken", &capture, "Succeeded").await;
        let refund = ProviderRequest { amount_minor: 300, ..about(&first, Operation::Refund, &held) };
        self.execute("give some back", &refund, "Succeeded").await;
        self.look_up("look at what was given back", &refund, "Succeeded").await;
        let Some(second) = self.request("conformance-2") else { return };
        let held = self.execute("hold again", &second, "Succeeded").await.unwrap_or_else(|| "pi_none".into());
        let void = about(&second, Operation::Void, &held);
        self.execute("let go", &void, "Succeeded").await;
        self.look_up("look at what was let go of", &void, "Succeeded").await;
    }

    fn request(&self, order: &str) -> Option<ProviderRequest> {
        let order_id = OrderId::new(order).ok()?;
        Some(ProviderRequest {
            key: IdempotencyKey::new(&order_id, Operation::Authorize, 1),
            order_id,
            operation: Operation::Authorize,
            customer_id: CustomerId::new("c-1").ok()?,
            currency: "EUR".into(),
            amount_minor: 1_050,
            authorization: None,
            method: Some(PaymentMethod { provider: String::new(), token: self.arguments.token.clone() }),
            sent_before: 0,
        })
    }

    async fn execute(&mut self, what: &str, request: &ProviderRequest, wanted: &str) -> Option<String> {
        let answer = self.provider.execute(request).await;
        self.judge(what, answer, wanted)
    }

    async fn look_up(&mut self, what: &str, request: &ProviderRequest, wanted: &str) -> Option<String> {
        let answer = self.provider.look_up(request).await;
        self.judge(what, answer, wanted)
    }

    fn judge(&mut self, what: &str, answer: ProviderAnswer, wanted: &str) -> Option<String> {
        let (name, detail, reference) = match answer {
            ProviderAnswer::Succeeded { reference, .. } => ("Succeeded", String::new(), Some(reference)),
            ProviderAnswer::ActionRequired { reference, .. } => ("ActionRequired", String::new(), Some(reference)),
            ProviderAnswer::Pending { reference } => ("Pending", String::new(), Some(reference)),
            ProviderAnswer::Refused { detail } => ("Refused", detail, None),
            ProviderAnswer::Unknown { detail } => ("Unknown", detail, None),
            ProviderAnswer::RetryLater { detail, .. } => ("RetryLater", detail, None),
            ProviderAnswer::NotFound => ("NotFound", String::new(), None),
        };
        // A fixture's state may be any, and is then unknown or refused to us; a request that is not taken has a status in its words.
        let is_taken =
            !detail.contains("the provider answered") && !detail.contains("sent") && !detail.contains("no answer");
        let is_fine = if self.arguments.stateless { is_taken } else { name == wanted };
        self.failures += u32::from(!is_fine);
        let mark = if is_fine { "ok  " } else { "FAIL" };
        println!("{mark} {what}: {name} {detail}");
        reference
    }
}

fn about(first: &ProviderRequest, operation: Operation, reference: &str) -> ProviderRequest {
    let key = match (operation, CommandId::new("r-1")) {
        (Operation::Refund, Ok(refund_id)) => IdempotencyKey::refund(&first.order_id, &refund_id, 1),
        (operation, _) => IdempotencyKey::new(&first.order_id, operation, 1),
    };
    ProviderRequest { key, operation, authorization: Some(reference.into()), ..first.clone() }
}
