//! Rebuilding from topics that are not as they should be, and by a program that is killed.
//!
//! No worker runs here: the topics hold what the test writes under an order outbox' positions.

use std::collections::BTreeMap;
use std::ops::Range;

use outbox::Position;
use schemas::{Codec, CustomerId, OrderId, OrderLine, OrderPlaced, Sku, Time, TopicName, partitioner};
use tests::{LONG, Outcome, Pipeline, Sent, Servers, Settings, Trouble, trouble, until};

use crate::DAEMON;
use crate::archive_again::make_anew;
use crate::program::{command, run};

const TOPIC: &str = "order.events.v1";

fn placed(number: usize) -> Outcome<OrderPlaced> {
    let at = Time::from_micros(1_760_000_000_000_000 + i64::try_from(number)?);
    Ok(OrderPlaced {
        order_id: OrderId::new(format!("order-{number}"))?,
        version: 1,
        at,
        customer_id: CustomerId::new("customer-1")?,
        placed_at: at,
        currency: "EUR".to_owned(),
        lines: vec![OrderLine { sku: Sku::new("sku-1")?, quantity: 1, unit_price_minor: 250 }],
        total_minor: 250,
        confirm_by: at,
        payment_provider: None,
        payment_token: None,
        capture: None,
        fulfilment: None,
        adjustments: Vec::new(),
        attributes: BTreeMap::new(),
        replaces_order_id: None,
        hold: None,
    })
}

/// As order's relay would send it.
fn sent(event: OrderPlaced, partition: i32, sequence: i64) -> Outcome<Sent> {
    let mut sent = Sent::of(schemas::OrderEvent::from(event))?;
    sent.partition = Some(partition);
    sent.headers.push(position(sequence));
    Ok(sent)
}

fn position(sequence: i64) -> (String, Option<Vec<u8>>) {
    let position = Position { source: "/order".to_owned(), epoch: 1, first: 1, sequence };
    ("outbox-position".to_owned(), Some(position.to_string().into_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_folded_is_told_with_its_place_and_the_rest_is_folded() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 2, ..Settings::default() }).await?;
    let unknown_schema = [vec![0], 4_000_000_000_u32.to_be_bytes().to_vec(), vec![1, 2, 3]].concat();
    let raw = |partition, value: Vec<u8>, headers| Sent {
        topic: TOPIC.to_owned(),
        partition: Some(partition),
        key: Some(b"order-7".to_vec()),
        value: Some(value),
        headers,
    };
    let stranger = Codec::embedded().encode(&schemas::OrderEvent::from(placed(7)?).into())?;
    for record in [
        sent(placed(1)?, 0, 1)?,
        raw(0, unknown_schema, vec![position(2)]),
        sent(placed(2)?, 0, 3)?,
        // The relay, killed and started again.
        sent(placed(2)?, 0, 3)?,
        raw(0, stranger, Vec::new()),
        // A topic that was made anew: its writer goes on where it was.
        sent(placed(3)?, 1, 6)?,
    ] {
        pipeline.broker().send(&record).await?;
    }
    let arguments = ["rebuild", "--to", "memory", "--service", "order", "--json"];
    let report = run(&pipeline, &arguments).await?.expect(1)?.json()?;
    let order = &report["services"][0];
    assert_eq!(order["tables"][1]["rows"], 3, "{report}");
    assert_eq!((&order["counts"]["duplicates"], &order["counts"]["strangers"]), (&1.into(), &1.into()));
    assert_eq!(order["problems"]["found"], 2);
    let problem = |index: usize| order["problems"]["listed"][index].clone();
    let mut told = [problem(0), problem(1)];
    told.sort_by_key(|problem| problem["partition"].as_i64());
    assert_eq!((&told[0]["offset"], &told[1]["offset"]), (&1.into(), &0.into()));
    assert!(told[0]["cause"].to_string().contains("4000000000"), "{report}");
    assert!(told[1]["cause"].to_string().contains("sequence 1 to 5"), "{report}");

    let strict = run(&pipeline, &[&arguments[..], &["--strict"]].concat()).await?.expect(2)?;
    assert!(strict.stderr.contains("order.events.v1["), "{}", strict.stderr);
    let url = pipeline.database_url();
    let refused =
        run(&pipeline, &["rebuild", "--service", "order", "--swap", "--database-url", url]).await?.expect(2)?;
    assert!(refused.stderr.contains("2 problems"), "{}", refused.stderr);
    pipeline.accept();

    // Nor is anything swapped under messages that are committed and not published.
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    pipeline.broker().send(&sent(placed(1)?, 0, 1)?).await?;
    let topic = format!("{}{TOPIC}", pipeline.prefix());
    pipeline.tables().query("select orders.outbox_register($1, 1)", &[&topic]).await?;
    let commit = "insert into orders.outbox_messages_0 (sequence, time, lane, id, type, key, payload) \
                  select s, now(), lane, gen_random_uuid(), 'x', 'k', 'p' from orders.outbox_lanes, generate_series(1, 2) s";
    pipeline.tables().execute(commit, &[]).await?;
    let url = pipeline.database_url();
    let refused =
        run(&pipeline, &["rebuild", "--service", "order", "--swap", "--database-url", url]).await?.expect(2)?;
    assert!(refused.stderr.contains("up to sequence 2, but only 1 is published"), "{}", refused.stderr);
    pipeline.tables().execute("delete from orders.outbox_messages_0 where sequence = 2", &[]).await?;
    run(&pipeline, &["rebuild", "--service", "order", "--swap", "--database-url", url]).await?.expect(0)?;
    assert_eq!(pipeline.tables().number("select count(*) from orders.orders").await?, 1);
    pipeline.accept();
    Ok(())
}

const ORDERS: usize = 1_500;
const UNITS: &str = "select count(*) from orders_rebuilt.rebuild_units";

/// Orders over three partitions; the last sequence of each.
async fn publish_orders(pipeline: &Pipeline, numbers: Range<usize>) -> Outcome<[i64; 3]> {
    let mut sequences = [0_i64; 3];
    let mut records = Vec::new();
    for number in numbers {
        let event = placed(number)?;
        let partition = partitioner::partition_of(event.order_id.as_str().as_bytes(), 3);
        let sequence = &mut sequences[usize::try_from(partition)?];
        *sequence += 1;
        records.push(sent(event, partition, *sequence)?);
    }
    pipeline.broker().send_all(&records).await?;
    Ok(sequences)
}

/// The words of a rebuild in many small parts.
fn in_small_parts(url: &str) -> Vec<&str> {
    let words = ["rebuild", "--service", "order", "--unit-records", "20", "--parallel", "1", "--json"];
    [&words[..], &["--database-url", url]].concat()
}

/// Runs it until some parts are written, and kills it.
async fn kill_in_the_middle(pipeline: &Pipeline, arguments: &[&str]) -> Outcome {
    let mut killed = command(pipeline, arguments).spawn()?;
    until("some units are written", LONG, async || {
        let count = pipeline.tables().number(UNITS).await?;
        if count >= 3 { Ok(()) } else { Err(trouble(format!("{count} are"))) }
    })
    .await?;
    killed.kill()?;
    killed.wait()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_does_not_go_on_with_another_topic() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 3, ..Settings::default() }).await?;
    publish_orders(&pipeline, 0..ORDERS).await?;
    let url = pipeline.database_url().to_owned();
    let arguments = in_small_parts(&url);
    kill_in_the_middle(&pipeline, &arguments).await?;
    make_anew(&pipeline, TopicName::OrderEvents.as_str()).await?;
    // It has as many records as before, and more: only what they are tells that it is another one.
    // Strangers' records first, which no fold counts: a batch of which a part is refused would be out of order.
    let stranger = |partition| Ok::<_, Trouble>(Sent { headers: Vec::new(), ..sent(placed(0)?, partition, 1)? });
    let strangers = (0..3).map(stranger).collect::<Result<Vec<Sent>, Trouble>>()?;
    until("the new topic takes records", LONG, async || pipeline.broker().send_all(&strangers).await.map(drop)).await?;
    publish_orders(&pipeline, ORDERS..3 * ORDERS).await?;
    let refused = run(&pipeline, &arguments).await?.expect(2)?;
    assert!(refused.stderr.contains("is not the topic that this rebuild began with"), "{}", refused.stderr);
    let anew = run(&pipeline, &[&arguments[..], &["--restart"]].concat()).await?.expect(0)?.json()?;
    assert_eq!(anew["services"][0]["counts"]["folded"], 2 * ORDERS);
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_goes_on_where_it_was() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 3, ..Settings::default() }).await?;
    let sequences = publish_orders(&pipeline, 0..ORDERS).await?;
    let url = pipeline.database_url().to_owned();
    let arguments = in_small_parts(&url);
    kill_in_the_middle(&pipeline, &arguments).await?;
    let (units, rows) = (
        pipeline.tables().number(UNITS).await?,
        pipeline.tables().number("select count(*) from orders_rebuilt.orders").await?,
    );
    let running = "select count(*) from orders_rebuilt.rebuild_run where finished is null";
    assert_eq!(pipeline.tables().number(running).await?, 1, "it had ended before it was killed");
    assert!(rows > 0 && rows < i64::try_from(ORDERS)?, "{rows} rows in {units} units");

    // The topic goes on meanwhile. What was begun is ended as it was begun, and is too old to be swapped in.
    let late = placed(ORDERS)?;
    let partition = partitioner::partition_of(late.order_id.as_str().as_bytes(), 3);
    let sequence = sequences[usize::try_from(partition)?] + 1;
    pipeline.broker().send(&sent(late, partition, sequence)?).await?;
    let refused = run(&pipeline, &[&arguments[..], &["--swap"]].concat()).await?.expect(2)?;
    assert!(refused.stderr.contains("were written by an earlier run"), "{}", refused.stderr);
    assert!(refused.stderr.contains("rebuild again"), "{}", refused.stderr);
    let rows = pipeline.tables().number("select count(*) from orders_rebuilt.orders").await?;
    assert_eq!(rows, i64::try_from(ORDERS)?);
    let ends = "select ends::text from orders_rebuilt.rebuild_run";
    let vector: String = pipeline.tables().query(ends, &[]).await?[0].get(0);
    let digest: String = pipeline.tables().query("select digest from orders_rebuilt.rebuild_run", &[]).await?[0].get(0);
    let counting = ["rebuild", "--service", "order", "--to", "memory", "--json"];
    let counted = run(&pipeline, &[&counting[..], &["--until", &vector]].concat()).await?.expect(0)?.json()?;
    assert_eq!(counted["services"][0]["digest"], digest, "the killed run's state is that of an undisturbed one");
    // A finished run is not gone on with: the next one begins anew.
    let anew = run(&pipeline, &arguments).await?.expect(0)?.json()?;
    assert_eq!(anew["services"][0]["is_resumed"], false);
    assert_eq!(anew["services"][0]["counts"]["folded"], ORDERS + 1);
    pipeline.accept();
    Ok(())
}
