//! A run on a stage that is up: receive the stock, publish the orders, watch until all are settled, have it checked.

use std::time::Instant;

use client::{Publisher, Selection, TopicReader};
use grammar::grouped;
use schemas::{CommandId, ReceiveStock, Sku, TopicName};

use crate::after_sale::{self, AfterSale};
use crate::both_ways::BothWays;
use crate::error::DemoError;
use crate::example;
use crate::following::await_receipts;
use crate::guest::{self, Told};
use crate::input::Input;
use crate::narrator::Narrator;
use crate::scene::Scene;
use crate::stock_plan::StockPlan;
use crate::tally::Once;
use crate::verdict::{self, Verdict};
use crate::wave::{self, FLUSH_LIMIT, Settled};

/// What the demo's messages name as their origin.
pub(crate) const SOURCE: &str = "/demo";

/// What a run brought.
pub(crate) struct Outcome {
    /// What became of the orders.
    pub(crate) settled: Settled,
    /// What became of those that went over HTTP.
    pub(crate) by_http: Once,
    /// What came after the sale.
    pub(crate) after_sale: AfterSale,
    /// What others found.
    pub(crate) findings: Findings,
}

/// What is found when all orders are settled.
pub(crate) struct Findings {
    /// By the checker.
    pub(crate) verdict: Verdict,
    /// By a service beside the workers, where there is one.
    pub(crate) guest: Option<Told>,
}

impl Findings {
    /// Nothing is violated, and the guest has nothing to complain of.
    pub(crate) fn are_good(&self) -> bool {
        self.verdict.violations.is_empty() && self.guest.as_ref().is_none_or(|told| told.is_good)
    }
}

/// The whole run.
pub(crate) async fn run(
    scene: &Scene,
    input: Input,
    rate: Option<u32>,
    begin: Instant,
    narrator: &Narrator,
) -> Result<Outcome, DemoError> {
    let publisher = Publisher::open(&scene.connection(), SOURCE)?;
    plan_stock(scene, &publisher, &input.plan, narrator).await?;
    narrator.tell(&format!("publishing {} orders", grouped(input.wave.orders)));
    let outlet = BothWays::open(scene, &publisher)?;
    let settled = wave::play(scene, &outlet, input.wave, rate, begin, narrator).await?;
    let by_http = settled.tally.once(&outlet.by_http());
    let after_sale = after_sale::play(scene, &settled.tally.completed(), narrator).await?;
    let words =
        if settled.tally.counts().in_flight == 0 { "every order is settled" } else { "not every order is settled" };
    narrator.tell(&format!("{words}; checking topics against tables"));
    let findings = find(scene, narrator).await?;
    Ok(Outcome { settled, by_http, after_sale, findings })
}

/// Has everything checked. By then nothing should be under way any more.
pub(crate) async fn find(scene: &Scene, narrator: &Narrator) -> Result<Findings, DemoError> {
    let verdict = verdict::check(scene).await?;
    let guest = match &scene.guest {
        Some(guest) => Some(guest::ask(scene, guest, narrator).await?),
        None => None,
    };
    Ok(Findings { verdict, guest })
}

/// Receives what the example order wants: a kept demo has just as much stock as its own orders needed.
pub(crate) async fn leave_stock(scene: &Scene, narrator: &Narrator) -> Result<(), DemoError> {
    let publisher = Publisher::open(&scene.connection(), SOURCE)?;
    let sku = Sku::new(example::SKU).map_err(|error| DemoError::Words(error.to_string()))?;
    receive_stock(scene, &publisher, &[(sku, example::PIECES)], "demo-example", narrator).await
}

async fn plan_stock(
    scene: &Scene,
    publisher: &Publisher,
    plan: &StockPlan,
    narrator: &Narrator,
) -> Result<(), DemoError> {
    let whole = grouped(u64::try_from(plan.receipts.len()).unwrap_or(u64::MAX));
    let about = if plan.exact { "" } else { "about " };
    let short = grouped(u64::try_from(plan.short_orders).unwrap_or(u64::MAX));
    narrator.tell(&format!("receiving stock of {whole} SKUs; {about}{short} orders will find too little"));
    receive_stock(scene, publisher, &plan.receipts, "demo-receipt", narrator).await
}

/// Receives pieces by SKU, and waits until the inventory service has taken all.
pub(crate) async fn receive_stock(
    scene: &Scene,
    publisher: &Publisher,
    receipts: &[(Sku, i64)],
    ids: &str,
    narrator: &Narrator,
) -> Result<(), DemoError> {
    let selection = Selection { topic: TopicName::StockEvents, key: None, from_end: true };
    let mut reader = TopicReader::open(&scene.connection(), selection).await?;
    for (index, (sku, quantity)) in receipts.iter().enumerate() {
        let command_id =
            CommandId::new(format!("{ids}-{index}")).map_err(|error| DemoError::Words(error.to_string()))?;
        publisher.send(&ReceiveStock::of(sku.clone(), command_id, *quantity).into()).await?;
    }
    publisher.flush(FLUSH_LIMIT).await?;
    let whole = u64::try_from(receipts.len()).unwrap_or(u64::MAX);
    let refused = await_receipts(&mut reader, whole, |done| {
        narrator.progress(done, whole, &format!("{} of {} receipts", grouped(done), grouped(whole)));
    })
    .await?;
    narrator.clear();
    if refused > 0 {
        return Err(DemoError::Words(format!("the inventory service refused {refused} of {whole} receipts")));
    }
    Ok(())
}
