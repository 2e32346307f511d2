//! The relay: everything committed arrives once, in order, gapless, through both ways and across take-overs.

use std::collections::BTreeMap;
use std::time::Duration;

use outbox::{Outbox, OutboxMessage};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::rig::{PARTITIONS, Rig};
use crate::topic::{self, Seen, follow, read_until};

/// Writers that commit or roll back, one transaction after another; returns what was committed, by partition.
async fn write(rig: &Rig, outbox: &Outbox, name: &str, writers: usize, rounds: usize) -> usize {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let mut client = rig.client().await;
        let outbox = outbox.clone();
        let work: Vec<Vec<OutboxMessage>> = (0..rounds)
            .map(|round| {
                let one =
                    rig.event(&format!("key-{}", (writer * 7 + round) % 11), &format!("{name}{writer}/{round}/a"));
                let other = rig.event(&format!("key-{writer}"), &format!("{name}{writer}/{round}/b"));
                vec![one, other]
            })
            .collect();
        tasks.spawn(async move {
            let pause = client.prepare("select pg_sleep($1::float8 / 1000)").await.unwrap();
            let mut committed = 0;
            for (round, messages) in work.into_iter().enumerate() {
                let transaction = outbox.begin(&mut client).await.unwrap();
                let delay = f64::from(u8::try_from((writer * 31 + round * 17) % 5).unwrap());
                transaction.query(&pause, &[&delay]).await.unwrap();
                match (writer + round) % 6 {
                    0 => transaction.rollback().await.unwrap(),
                    1 => drop(transaction),
                    _ => committed += transaction.commit(messages).await.unwrap().places.len(),
                }
            }
            committed
        });
    }
    let mut total = 0;
    while let Some(committed) = tasks.join_next().await {
        total += committed.unwrap();
    }
    total
}

/// Topic and table hold the same, in the same order, once each.
async fn assert_same(rig: &Rig, seen: &[Seen]) {
    let client = rig.client().await;
    let followed = follow(seen);
    for partition in 0..PARTITIONS {
        let rows: Vec<String> = rig.rows(&client, partition).await.into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(followed.taken.get(&partition).cloned().unwrap_or_default(), rows, "partition {partition}");
    }
}

/// Per key, each writer's messages come in the order in which it committed them.
fn assert_order_per_key(seen: &[Seen]) {
    let mut last: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    for record in seen {
        let parts: Vec<&str> = record.payload.split('/').collect();
        let key = (record.key.clone(), parts[0].to_owned(), parts[2].to_owned());
        let round: i64 = parts[1].parse().unwrap();
        let before = last.insert(key, round);
        assert!(before.is_none_or(|before| before < round), "{record:?} after round {before:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_writers_lose_nothing_and_nothing_is_doubled() {
    let rig = Rig::new("live").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    // Half of the writers share the relay's process, half announce from another one.
    let other = rig.reopened().await;
    let standby = rig.relay(&other);
    let (near, far) = tokio::join!(write(&rig, &rig.outbox, "near", 6, 40), write(&rig, &other, "far", 6, 40));
    let seen = read_until(&rig.topic, near + far).await;
    assert_same(&rig, &seen).await;
    assert_order_per_key(&seen);
    assert_eq!((follow(&seen).duplicates, follow(&seen).gaps, seen.len()), (0, 0, near + far));
    relay.stop().await;
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_and_a_dead_letter_arrive_with_their_headers() {
    let rig = Rig::new("headers").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let cause = Uuid::now_v7();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let time = "2026-02-03T04:05:06.789012345Z".parse().unwrap();
    let event = rig.event_at(0, "body").caused_by(cause).trace_parent(trace).time(time);
    let mut dead = OutboxMessage::raw(rig.topic.as_str()).partition(1).payload("raw");
    dead = dead.header("outbox-position", "/other:1:1:9");
    dead.headers.push(("x".to_owned(), None));
    dead = dead.header("kafka_dlt-exception-message", "bad");
    let again = |message: &OutboxMessage| message.clone().id(Uuid::now_v7());
    // Once from the table and once from memory: both ways must give the same.
    rig.append(&mut client, vec![again(&event), again(&dead)]).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    let ids = [event.id.to_string(), dead.id.to_string()];
    rig.append(&mut client, vec![event, dead]).await;
    let seen = read_until(&rig.topic, 4).await;
    relay.stop().await;

    let headers = |partition: i32, sequence: i64| -> Vec<(String, String)> {
        let record = seen.iter().find(|r| (r.partition, r.position.sequence) == (partition, sequence)).unwrap();
        record.headers.iter().map(|(k, v)| (k.clone(), v.clone().unwrap_or("null".to_owned()))).collect()
    };
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let cause = cause.to_string();
    let expected = own(&[
        ("ce_specversion", "1.0"),
        ("ce_id", &ids[0]),
        ("ce_source", "/test"),
        ("ce_type", "test.Event.v1"),
        ("ce_time", "2026-02-03T04:05:06.789012Z"),
        ("ce_subject", "k"),
        ("ce_causationid", &cause),
        ("content-type", "application/avro"),
        ("traceparent", trace),
        ("outbox-position", "/test:1:1:2"),
    ]);
    assert_eq!(headers(0, 2), expected);
    let without = |mut headers: Vec<(String, String)>| {
        headers.retain(|(name, _)| !["ce_id", "outbox-id", "outbox-position"].contains(&name.as_str()));
        headers
    };
    assert_eq!(without(headers(0, 1)), without(headers(0, 2)));
    let expected = own(&[
        ("outbox-position", "/other:1:1:9"),
        ("x", "null"),
        ("kafka_dlt-exception-message", "bad"),
        ("outbox-id", &ids[1]),
        ("outbox-position", "/test:1:1:2"),
    ]);
    assert_eq!(headers(1, 2), expected);
    assert_eq!(without(headers(1, 1)), without(headers(1, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_handover_leaves_no_duplicate() {
    let rig = Rig::new("handover").await;
    topic::create(&rig.topic).await;
    let other = rig.reopened().await;
    let first = rig.relay(&rig.outbox);
    first.until_leading().await;
    let second = rig.relay(&other);
    let (near, far) = tokio::join!(write(&rig, &rig.outbox, "near", 4, 30), write(&rig, &other, "far", 4, 30));
    first.stop().await;
    second.until_leading().await;
    let later = write(&rig, &rig.outbox, "later", 4, 10).await;
    let seen = read_until(&rig.topic, near + far + later).await;
    assert_same(&rig, &seen).await;
    assert_eq!((follow(&seen).duplicates, follow(&seen).gaps), (0, 0));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_its_connection_is_replaced_and_nothing_is_lost() {
    let rig = Rig::new("replaced").await;
    topic::create(&rig.topic).await;
    let other = rig.reopened().await;
    let first = rig.relay(&rig.outbox);
    first.until_leading().await;
    let relays = [first, rig.relay(&other)];
    let writing = write(&rig, &rig.outbox, "w", 6, 60);
    let killing = async {
        let mut killed = 0;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            killed += usize::from(rig.end_leader_session().await);
        }
        killed
    };
    let (committed, killed) = tokio::join!(writing, killing);
    assert!(killed > 1);
    let seen = read_until(&rig.topic, committed).await;
    assert_same(&rig, &seen).await;
    assert_eq!(follow(&seen).gaps, 0);
    for relay in relays {
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_crashes_in_midstream_goes_on_where_it_was() {
    let rig = Rig::new("midstream").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let mut written = 0;
    for _ in 0..4 {
        let relay = rig.relay(&rig.outbox);
        for round in 0..20 {
            let messages = (0..100).map(|n| rig.event(&format!("{n}"), &format!("{round}/{n}"))).collect();
            written += rig.append(&mut client, messages).await.places.len();
        }
        relay.until("publishing", |report| report.published > 0).await;
        relay.crash().await;
    }
    let relay = rig.relay(&rig.outbox);
    let seen = read_until(&rig.topic, written).await;
    assert_same(&rig, &seen).await;
    assert_eq!(follow(&seen).gaps, 0);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_refuses_is_named() {
    let rig = Rig::new("refused").await;
    topic::create_with(&rig.topic, PARTITIONS, &[("max.message.bytes", "4000")]).await;
    let mut client = rig.client().await;
    // What compresses badly.
    let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let large: String = (1..1000).map(|n| format!("{:016x}", mixed(n))).collect();
    let refused = rig.event_at(2, &large).key("order-17");
    let id = refused.id.to_string();
    rig.append(&mut client, vec![refused, rig.event_at(3, "fine")]).await;
    let relay = rig.relay(&rig.outbox);
    relay.until("holding", |report| report.held.len() == 1).await;
    assert_eq!(follow(&read_until(&rig.topic, 1).await).taken[&3], ["fine"]);
    let held = relay.status.report().held.remove(0);
    let message = held.message.unwrap();
    let named = (message.sequence, message.key.as_deref(), message.id.as_deref(), message.ce_type.as_deref());
    assert_eq!(named, (1, Some("order-17"), Some(id.as_str()), Some("test.Event.v1")));
    assert!(
        held.partition == 2 && held.reason.contains("key order-17") && held.reason.contains(&id),
        "{}",
        held.reason
    );
    // A refusal is an answer: nothing stalls while the lane is held.
    let is_old = |age: Duration| age > Duration::from_secs(5);
    relay.until("waiting for longer than a stall", |report| report.oldest_pending.is_some_and(is_old)).await;
    assert_eq!(relay.status.report().stalled, None);
    relay.stop().await;
}
