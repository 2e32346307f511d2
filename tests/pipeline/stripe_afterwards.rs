//! What a provider says after its calls have ended, by its own webhooks alone: late, doubled, out of order, at one of two instances. Then
//! its books are held against the ledger. And what is held again in time is held once.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use domain::simulator::SimulatorConfig;
use schemas::{CommandId, PlaceOrder, RefundOrder, ServiceName};
use serde_json::{Value, json};
use stripe_server::{Behaviour, Running};
use tests::{Outcome, Pipeline, Run, STRIPE_TOKEN, Servers, Settings, order, run_command, trouble};

use crate::DAEMON;
use crate::life::{await_event, balance, kill_and_restart, paid_at_shipment, ship, stock};
use crate::webhooks::{await_disputed, call, hook_of};

const REPLAY: &str = env!("CARGO_BIN_EXE_replay-program");

fn paid_with(id: &str, token: &str) -> Outcome<PlaceOrder> {
    Ok(PlaceOrder { payment_token: Some(token.to_owned()), ..order(id, &["a"])? })
}

/// What the server says at a path.
async fn ask(server: &Running, path: &str) -> Outcome<String> {
    let (address, path) = (server.address(), path.to_owned());
    let (status, body) = tokio::task::spawn_blocking(move || dev_stack::get(address, &path)).await??;
    if status == 200 { Ok(body) } else { Err(trouble(body)) }
}

/// This of each payment of an order at the provider, the oldest first.
async fn payments(server: &Running, order: &PlaceOrder, field: &str) -> Outcome<Vec<String>> {
    let all: Value = serde_json::from_str(&ask(server, "/test/payments").await?)?;
    let of_order = all.as_array().into_iter().flatten().filter(|one| one["order_id"] == order.order_id.as_str());
    Ok(of_order.map(|one| one[field].as_str().unwrap_or_default().to_owned()).collect())
}

async fn await_statuses(pipeline: &Pipeline, server: &Running, order: &PlaceOrder, expected: &[&str]) -> Outcome {
    let what = format!("{} is {expected:?} at the provider", order.order_id);
    let look = async || {
        let found = payments(server, order, "status").await?;
        if found == expected { Ok(()) } else { Err(trouble(format!("{found:?}"))) }
    };
    pipeline.until(&what, look).await
}

async fn close_dispute(server: &Running, order: &PlaceOrder, is_won: bool) -> Outcome {
    let payment = payments(server, order, "id").await?.pop().unwrap_or_default();
    if server.close_dispute(&payment, is_won) { Ok(()) } else { Err(trouble("no dispute is open")) }
}

/// A shop whose provider sends its webhooks to one of two instances: to the wrong one for half of the orders.
async fn hooked(behaviour: Behaviour) -> Outcome<(Pipeline, Running)> {
    let servers = Servers::shared().await?;
    let settings = Settings { webhooks: true, ..Settings::default() };
    let secret = behaviour.webhook_secret.clone();
    let (pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, settings, behaviour).await?;
    pipeline.sign_webhooks_with(&[&secret])?;
    server.send_webhooks_to(vec![format!("http://{}/webhooks/stripe", hook_of(&pipeline, 0).await?)]);
    stock(&pipeline, &["a"], 20).await?;
    Ok((pipeline, server))
}

/// Orders with all that can become of what was taken: the shop's way to each end, and its books at the provider.
async fn with_every_end(pipeline: &Pipeline, server: &Running) -> Outcome {
    let [plain, refunded, late, back] =
        [("plain", "visa"), ("refunded", "visa"), ("late", "pendingRefund"), ("back", "refundFail")]
            .map(|(id, token)| paid_with(id, &format!("pm_card_{token}")));
    let [open, won, lost] = ["open", "won", "lost"].map(|id| paid_with(id, "pm_card_createDispute"));
    // It counts in units of its own there.
    let iceland = PlaceOrder { currency: "ISK".into(), ..paid_with("iceland", "pm_card_visa")? };
    let (refunded, late, back, open, won, lost) = (refunded?, late?, back?, open?, won?, lost?);
    let orders = [&plain?, &refunded, &late, &back, &open, &won, &lost, &iceland].map(Clone::clone);
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    let refund = |order: &PlaceOrder, amount_minor| -> Outcome<RefundOrder> {
        let all = RefundOrder::all(order.order_id.clone(), CommandId::new("r-1")?);
        Ok(RefundOrder { amount_minor, ..all })
    };
    let refunds = [refund(&refunded, None)?, refund(&late, None)?, refund(&back, None)?, refund(&iceland, Some(30))?];
    pipeline.publish(&refunds).await?;
    for (order, event) in [
        (&refunded, "OrderRefunded"),
        (&late, "OrderRefunded"),
        (&back, "OrderRefundFailed"),
        (&iceland, "OrderRefunded"),
    ] {
        await_event(pipeline, order, event).await?;
    }
    for (order, ends) in [(&open, None), (&won, Some(true)), (&lost, Some(false))] {
        await_disputed(pipeline, order, &["opened"]).await?;
        let Some(is_won) = ends else { continue };
        close_dispute(server, order, is_won).await?;
        await_disputed(pipeline, order, &["opened", if is_won { "won" } else { "lost" }]).await?;
    }
    Ok(())
}

async fn reconcile(pipeline: &Pipeline, file: &Path) -> Outcome<Run> {
    let mut command = Command::new(REPLAY);
    command.arg("reconcile").arg("--from").arg(file).args(["--database-url", pipeline.database_url()]);
    run_command(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_by_webhooks_alone_is_in_the_ledger_and_the_provider_s_books_say_the_same() -> Outcome {
    let behaviour = Behaviour {
        refund_settles_after_ms: 1_700,
        webhook_twice_per_million: 500_000,
        webhook_late_per_million: 400_000,
        webhook_late_ms: 1_500,
        simulator: SimulatorConfig { latency_max_ms: 20, ..SimulatorConfig::default() },
        ..Behaviour::default()
    };
    let (pipeline, server) = hooked(behaviour).await?;
    with_every_end(&pipeline, &server).await?;
    // Seven in dollars and one in crowns, less what was given back, what is withheld or lost, and 15 dollars for each dispute.
    assert_eq!(balance(&pipeline).await?, (700 - 200 - 200 - 3 * 1_500) + 70);
    pipeline.check_clean().await?;

    let text = ask(&server, "/test/balance_transactions.jsonl").await?;
    let file = pipeline.folder().join("balance.jsonl");
    std::fs::write(&file, &text)?;
    let same = reconcile(&pipeline, &file).await?.expect(0)?;
    assert!(same.stdout.contains("8 orders") && same.stdout.contains("say the same"), "{same:?}");
    let report = pipeline.folder().join("balance.csv");
    std::fs::write(&report, ask(&server, "/test/balance_transactions.csv").await?)?;
    let same = reconcile(&pipeline, &report).await?.expect(0)?;
    assert!(same.stdout.contains("8 orders") && same.stdout.contains("ISK"), "{same:?}");

    // One line altered, missing, doubled: the order is named, and no other.
    let lines: Vec<&str> = text.lines().collect();
    let is_it = |line: &&str| line.contains("\"order_id\":\"iceland\"") && line.contains("\"type\":\"charge\"");
    let at = lines.iter().position(is_it).ok_or_else(|| trouble("no such line"))?;
    let altered = lines[at].replace("\"amount\":10000", "\"amount\":20000");
    for (instead, said) in [
        (vec![altered.as_str()], ["ISK 200", "ISK 100"]),
        (vec![], ["ISK 0", "ISK 100"]),
        (vec![lines[at], lines[at]], ["ISK 200", "ISK 100"]),
    ] {
        let text = [&lines[..at], &instead, &lines[at + 1..]].concat().join("\n");
        std::fs::write(&file, text)?;
        let differs = reconcile(&pipeline, &file).await?.expect(1)?;
        let told: Vec<&str> =
            differs.stdout.lines().filter(|line| line.contains("ISK") && line.contains("taken")).collect();
        assert!(differs.stdout.contains("1 difference:") && told.len() == 1, "{differs:?}");
        assert!(told[0].starts_with("iceland") && said.iter().all(|amount| told[0].contains(amount)), "{told:?}");
    }
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_believed_is_found_by_the_provider_s_books() -> Outcome {
    let servers = Servers::shared().await?;
    let planted_bug = Some((ServiceName::Payment, "webhook-believed"));
    let settings = Settings { instances: 1, partitions: 1, webhooks: true, planted_bug, ..Settings::default() };
    let (pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, settings, Behaviour::default()).await?;
    pipeline.sign_webhooks_with(&["whsec"])?;
    stock(&pipeline, &["a"], 10).await?;
    let bought = order("bought", &["a"])?;
    pipeline.publish(std::slice::from_ref(&bought)).await?;
    pipeline.await_terminal(std::slice::from_ref(&bought)).await?;
    // The provider knows nothing of it.
    let lie = json!({"data": {"object": {"object": "dispute", "id": "dp_none", "status": "lost", "amount": 100,
        "currency": "usd", "metadata": {"order_id": bought.order_id}}}});
    assert_eq!(call(&pipeline, 0, "whsec", &lie).await?, 200);
    await_disputed(&pipeline, &bought, &["lost"]).await?;
    let file = pipeline.folder().join("balance.jsonl");
    std::fs::write(&file, ask(&server, "/test/balance_transactions.jsonl").await?)?;
    let differs = reconcile(&pipeline, &file).await?.expect(1)?;
    let told = differs.stdout.lines().find(|line| line.starts_with("bought")).unwrap_or_default();
    assert!(told.contains("disputed") && told.contains("USD -1.00"), "{differs:?}");
    pipeline.accept();
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_again_is_held_once_though_the_worker_dies_in_between() -> Outcome {
    let servers = Servers::shared().await?;
    // Each call takes its time, so that there is one to die in.
    let simulator = SimulatorConfig { latency_min_ms: 1_500, latency_max_ms: 1_500, ..SimulatorConfig::default() };
    // Shorter than the time before the end at which it is held again: as if that had come; the second hold lasts.
    let behaviour = Behaviour { lapses_after_ms: 3_600_000, simulator, ..Behaviour::default() };
    let settings = Settings { instances: 1, ..Settings::default() };
    let (mut pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, settings, behaviour).await?;
    stock(&pipeline, &["a"], 10).await?;
    let waiting = paid_at_shipment(order("waiting", &["a"])?);
    pipeline.publish(std::slice::from_ref(&waiting)).await?;
    let releases = "select count(*) from payments.payment_calls where operation = 'void' and attempt = 0";
    pipeline
        .until("the old hold is being let go of", async || match pipeline.tables().number(releases).await? {
            0 => Err(trouble("it is not")),
            _ => Ok(()),
        })
        .await?;
    kill_and_restart(&mut pipeline, ServiceName::Payment).await?;
    await_statuses(&pipeline, &server, &waiting, &["canceled", "requires_capture"]).await?;
    pipeline.publish(&[ship(&waiting)?]).await?;
    let rows = pipeline.await_terminal(std::slice::from_ref(&waiting)).await?;
    assert_eq!(rows[waiting.order_id.as_str()].stage, "completed");
    await_statuses(&pipeline, &server, &waiting, &["canceled", "succeeded"]).await?;
    let voids = pipeline.statement()?.into_iter().filter(|line| line.operation == "void");
    let keys: Vec<String> = voids.map(|line| line.key.as_str().to_owned()).collect();
    assert_eq!(keys, ["waiting/void/0"], "once, and under its own key");
    assert_eq!(
        payments(&server, &waiting, "token").await?.into_iter().collect::<BTreeSet<_>>(),
        [STRIPE_TOKEN.to_owned()].into()
    );
    pipeline.check_clean().await?;
    server.stop().await;
    Ok(())
}
