//! A message that decodes and cannot be taken waits with everything of its key behind it; the rest goes on, and it is taken once it
//! can be, once, in its place.

use consumer::status::FeedStatus;
use replay_tool::Invariant;
use schemas::{AdjustStock, CommandId, Message, ReceiveStock, ServiceName, Sku, StockEvent, TopicName};
use tests::{Outcome, Pipeline, Servers, Settings, order, sample, stock_for, trouble};
use workers::status::Status;

use crate::DAEMON;

const INVENTORY: ServiceName = ServiceName::Inventory;

/// Nothing is tried again but by an operator.
pub(crate) fn settings() -> Settings {
    Settings { partitions: 1, ..Settings::default() }
}

pub(crate) fn receive(sku: &str, id: &str, quantity: i64) -> Outcome<Message> {
    Ok(ReceiveStock::of(Sku::new(sku)?, CommandId::new(id)?, quantity).into())
}

fn adjust(sku: &str, id: &str, delta: i64) -> Outcome<Message> {
    Ok(AdjustStock::of(Sku::new(sku)?, CommandId::new(id)?, delta).into())
}

/// The receipts' table takes none of these commands, until it is allowed to.
pub(crate) async fn forbid(pipeline: &Pipeline, pattern: &str) -> Outcome {
    let forbid = "alter table inventory.stock_receipts add constraint a_bug check (command_id not like";
    pipeline.tables().script(&format!("{forbid} '{pattern}') not valid")).await
}

pub(crate) async fn allow(pipeline: &Pipeline) -> Outcome {
    pipeline.tables().script("alter table inventory.stock_receipts drop constraint a_bug").await
}

/// What the instance says of itself that owns the only lane.
pub(crate) async fn status_of(pipeline: &Pipeline, service: ServiceName) -> Outcome<Status> {
    for daemon in pipeline.daemons().filter(|daemon| daemon.name().starts_with(service.as_str())) {
        let (code, body) = daemon.get("/status").await?;
        let status: Status = serde_json::from_str(&body).map_err(|error| trouble(format!("{code} {error}: {body}")))?;
        if !status.lanes.is_empty() {
            return Ok(status);
        }
    }
    Err(trouble(format!("no instance of {service} owns a lane")))
}

/// Waits until so many messages of so many keys are parked; how the owner is then.
pub(crate) async fn await_parked(pipeline: &Pipeline, service: ServiceName, parked: (u64, u64)) -> Outcome<Status> {
    pipeline
        .until(&format!("{parked:?} messages and keys are parked"), async || {
            let status = status_of(pipeline, service).await?;
            let found = (status.parked.messages, status.parked.keys);
            if found == parked { Ok(status) } else { Err(trouble(format!("{:?}", status.parked))) }
        })
        .await
}

pub(crate) async fn await_received(pipeline: &Pipeline, sku: &str, pieces: i64) -> Outcome {
    pipeline
        .until(&format!("{pieces} pieces of {sku} are received"), async || {
            let rows = pipeline.tables().query("select received from inventory.stock where sku = $1", &[&sku]).await?;
            let found: Option<i64> = rows.first().map(|row| row.get(0));
            if found == Some(pieces) { Ok(()) } else { Err(trouble(format!("{found:?}"))) }
        })
        .await
}

/// Runs `parked …` and asserts how it ends; what it says.
pub(crate) async fn operate(pipeline: &Pipeline, service: ServiceName, words: &[&str], code: i32) -> Outcome<String> {
    let finished = pipeline.run(service, &[&["parked"], words].concat()).await?;
    assert_eq!(finished.code, Some(code), "{words:?}: {}", finished.output);
    Ok(finished.output)
}

/// What was said of a SKU, in order.
async fn said_of(pipeline: &Pipeline, sku: &str) -> Outcome<Vec<String>> {
    let mut said = Vec::new();
    for record in pipeline.messages(TopicName::StockEvents).await? {
        let Message::StockEvent(event) = record.message else { continue };
        let (of, words) = match event {
            StockEvent::StockReceived(event) => (event.sku, format!("{} received", event.command_id)),
            StockEvent::StockAdjusted(event) => (event.sku, format!("{} adjusted", event.command_id)),
            StockEvent::ProductDescribed(event) => (event.sku, format!("{} described", event.command_id)),
            StockEvent::StockCommandRejected(event) => (event.sku, format!("{} rejected", event.command_id)),
            StockEvent::StockCommandRefused(event) => (event.sku, format!("{} refused", event.command_id)),
        };
        if of.as_str() == sku {
            said.push(words);
        }
    }
    Ok(said)
}

/// The first command of a SKU is refused by a constraint; others follow, one of them to another instance. What is said of the SKU in
/// the end, in order.
async fn story(planted_bug: Option<(ServiceName, &'static str)>) -> Outcome<(Pipeline, Vec<String>)> {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { planted_bug, ..settings() }).await?;
    pipeline.start_services(&[INVENTORY]).await?;
    forbid(&pipeline, "first").await?;
    pipeline.publish(&[receive("a", "first", 10)?, adjust("a", "second", -4)?, receive("b", "other", 5)?]).await?;
    await_received(&pipeline, "b", 5).await?;
    // Behind the restart the set of parked keys is what the tables say.
    pipeline.await_read(TopicName::StockCommands).await?;
    pipeline.kill9_all(INVENTORY)?;
    pipeline.start_services(&[INVENTORY]).await?;
    pipeline.publish(&[receive("a", "third", 1)?, receive("b", "another", 5)?]).await?;
    await_received(&pipeline, "b", 10).await?;
    pipeline.await_read(TopicName::StockCommands).await?;
    allow(&pipeline).await?;
    operate(&pipeline, INVENTORY, &["retry", "a"], 0).await?;
    pipeline
        .until("nothing is parked", async || {
            match pipeline.tables().number("select count(*) from inventory.inbox_parked").await? {
                0 => Ok(()),
                left => Err(trouble(format!("{left} messages"))),
            }
        })
        .await?;
    pipeline.await_quiet_outboxes().await?;
    let said = said_of(&pipeline, "a").await?;
    Ok((pipeline, said))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_waits_with_what_is_behind_it_and_is_taken_in_order_once() -> Outcome {
    let (pipeline, said) = story(None).await?;
    assert_eq!(said, ["first received", "second adjusted", "third received"]);
    assert_eq!(pipeline.tables().number("select received from inventory.stock where sku = 'a'").await?, 7);
    assert!(pipeline.broker().read(&[TopicName::StockCommands.dead_letter()]).await?.is_empty());
    await_parked(&pipeline, INVENTORY, (0, 0)).await?;
    // The key is free: what comes now is taken at once.
    pipeline.publish(&[receive("a", "fourth", 1)?]).await?;
    await_received(&pipeline, "a", 8).await?;
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_overtakes_a_parked_one_is_seen() -> Outcome {
    let (pipeline, said) = story(Some((INVENTORY, "parked-overtaken"))).await?;
    assert_eq!(said.first().map(String::as_str), Some("second rejected"), "{said:?}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_key_is_told_and_tried_again_by_itself_while_all_others_go_on() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { parked_pause_s: 1, instances: 1, ..settings() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let mut orders = sample(7_000, 30)?;
    orders.push(order("refused", &["z"])?);
    pipeline.receive(&stock_for(&orders)).await?;
    // What one of our own services has sent.
    let forbid = "alter table inventory.reservations add constraint a_bug check (order_id <> 'refused') not valid";
    pipeline.tables().script(forbid).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders[..30]).await?;
    let status = await_parked(&pipeline, INVENTORY, (1, 1)).await?;
    let [key] = status.parked.first.as_slice() else { panic!("{:?}", status.parked) };
    assert_eq!((key.key.as_str(), key.lane, key.messages), ("refused", 0, 1));
    assert!(key.cause.contains("a_bug") && status.ready, "{status:?}");
    assert!(status.notes.iter().any(|note| note.contains("1 messages of 1 keys are parked")), "{:?}", status.notes);
    assert_eq!((status.service.as_str(), status.instance.as_deref()), ("inventory", Some("inventory-0")));
    assert_eq!(status.relay.as_ref().map(|relay| relay.role.as_str()), Some("leading"));
    pipeline
        .until("all feeds are at their ends", async || {
            let feeds = status_of(&pipeline, INVENTORY).await?.feeds;
            let is_done = |feed: &FeedStatus| feed.lag == Some(0) && feed.held.is_none();
            let commands = feeds.iter().find(|feed| feed.topic == "inventory.commands.v1");
            let is_told = commands.is_some_and(|feed| feed.position.is_some() && feed.next_offset > 30);
            if is_told && feeds.iter().all(is_done) { Ok(()) } else { Err(trouble(format!("{feeds:?}"))) }
        })
        .await?;
    // What is parked is not taken yet, and nothing else is amiss.
    let report = pipeline.verdict_at_once().await?;
    let strange: Vec<_> = report.violations.iter().filter(|found| found.invariant != Invariant::Termination).collect();
    assert!(strange.is_empty(), "{strange:#?}");
    let daemon = pipeline.daemon(INVENTORY, 0)?;
    for metric in ["worker_parked_keys", "worker_parked_messages"] {
        assert_eq!(daemon.metric(metric, &["service=\"inventory\""]).await?.to_string(), "1", "{metric}");
    }
    daemon.await_log("a parked key was tried again in vain").await?;
    let listed = operate(&pipeline, INVENTORY, &["list"], 0).await?;
    assert!(listed.contains("refused") && listed.contains("a_bug"), "{listed}");
    pipeline.tables().script("alter table inventory.reservations drop constraint a_bug").await?;
    let rows = pipeline.await_terminal(&orders).await?;
    assert_eq!(rows["refused"].stage, "completed");
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_does_not_pass_by_the_answer_that_is_parked() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { confirm_within_ms: 4_000, instances: 1, ..settings() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = vec![order("answered", &["a"])?, order("unanswered", &["a"])?];
    pipeline.receive(&stock_for(&orders)).await?;
    // One order's answer cannot be taken; of the other the question cannot.
    let forbid = "alter table orders.orders add constraint a_bug check (not (order_id = 'answered' and stage = 'confirmed')) not valid; \
                  alter table inventory.reservations add constraint a_bug check (order_id <> 'unanswered') not valid";
    pipeline.tables().script(forbid).await?;
    pipeline.publish(&orders).await?;
    await_parked(&pipeline, ServiceName::Order, (1, 1)).await?;
    pipeline.await_stage("cancelling", 1).await?;
    pipeline
        .until("both deadlines have passed", async || {
            let open = "select count(*) from orders.orders where confirm_by >= clock_timestamp() - interval '2 s'";
            match pipeline.tables().number(open).await? {
                0 => Ok(()),
                left => Err(trouble(format!("{left} have not"))),
            }
        })
        .await?;
    assert_eq!(pipeline.tables().orders().await?["answered"].stage, "stock_reserved");
    let allow =
        "alter table orders.orders drop constraint a_bug; alter table inventory.reservations drop constraint a_bug";
    pipeline.tables().script(allow).await?;
    operate(&pipeline, ServiceName::Order, &["retry", "--all"], 0).await?;
    operate(&pipeline, INVENTORY, &["retry", "--all"], 0).await?;
    let rows = pipeline.await_terminal(&orders).await?;
    assert_eq!(rows["answered"].stage, "completed");
    assert_eq!(rows["unanswered"].cancel_reason.as_deref(), Some("DeadlinePassed"));
    pipeline.check_clean().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_given_up_lies_in_the_dead_letters_with_the_note() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings()).await?;
    pipeline.start_services(&[INVENTORY]).await?;
    forbid(&pipeline, "first").await?;
    pipeline.publish(&[receive("a", "first", 10)?, receive("a", "second", 1)?]).await?;
    await_parked(&pipeline, INVENTORY, (2, 1)).await?;
    let drop = ["drop", "a", "--note", "sent by a test", "--by", "ada"];
    let said = operate(&pipeline, INVENTORY, &["drop", "b", "--note", "no such key"], 1).await?;
    assert!(said.contains("no such key is parked"), "{said}");
    operate(&pipeline, INVENTORY, &[&drop[..], &["--dry-run"]].concat(), 0).await?;
    await_parked(&pipeline, INVENTORY, (2, 1)).await?;
    let said = operate(&pipeline, INVENTORY, &drop, 0).await?;
    assert!(said.contains("2 messages are set aside"), "{said}");
    await_parked(&pipeline, INVENTORY, (0, 0)).await?;
    pipeline.publish(&[receive("a", "third", 3)?]).await?;
    await_received(&pipeline, "a", 3).await?;
    pipeline.await_quiet_outboxes().await?;
    let letters = pipeline.broker().read(&[TopicName::StockCommands.dead_letter()]).await?;
    let [first, second] = letters.as_slice() else { panic!("{letters:?}") };
    for (letter, offset) in [(first, 0_i64), (second, 1)] {
        assert_eq!(letter.text("kafka_dlt-exception-fqcn"), "dropped");
        assert_eq!(letter.header("kafka_dlt-original-offset"), Some(&offset.to_be_bytes()[..]));
        assert_eq!(letter.text("kafka_dlt-dropped-by"), "ada");
        assert_eq!(letter.text("kafka_dlt-dropped-note"), "sent by a test");
        assert!(letter.text("kafka_dlt-exception-message").contains("a_bug"));
    }
    pipeline.check_clean().await
}
