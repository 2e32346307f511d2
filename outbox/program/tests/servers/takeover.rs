//! Take-over when things are not as they were: a restored database, a lost topic, a forgotten or a paused leader.

use std::time::{Duration, Instant};

use outbox::{Client, Epoch, Epochs, OutboxMessage};

use crate::rig::{PARTITIONS, Rig};
use crate::topic::{self, follow, read, read_until};

/// Tables that a backup of the outbox holds.
const TABLES: [&str; 6] =
    ["outbox_messages_0", "outbox_messages_1", "outbox_rotation", "outbox_positions", "outbox_epochs", "outbox_lanes"];

/// Copies the outbox's tables aside, as a backup does.
pub(crate) async fn back_up(client: &Client) {
    for table in TABLES {
        let copy = format!("create table backup_{table} as table shop.{table}");
        client.batch_execute(&copy).await.unwrap();
    }
}

/// Puts the tables back as they were, as a restore does.
pub(crate) async fn restore(client: &Client) {
    let tables = TABLES.map(|table| format!("shop.{table}")).join(", ");
    let mut script = format!("begin; truncate {tables};");
    for table in TABLES.iter().rev() {
        let columns = format!("insert into shop.{table} select * from backup_{table};");
        script.push_str(&columns);
    }
    script.push_str("commit");
    client.batch_execute(&script).await.unwrap();
}

pub(crate) fn bodies(rig: &Rig, partition: i32, from: i64, to: i64, word: &str) -> Vec<OutboxMessage> {
    (from..=to).map(|n| rig.event_at(partition, &format!("{word}{n}"))).collect()
}

pub(crate) fn texts(from: i64, to: i64, word: &str) -> Vec<String> {
    (from..=to).map(|n| format!("{word}{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_begins_a_new_epoch() {
    let rig = Rig::new("restored").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 5, "kept")).await;
    rig.append(&mut client, bodies(&rig, 1, 1, 3, "kept")).await;
    read_until(&rig.topic, 8).await;
    back_up(&client).await;
    rig.append(&mut client, bodies(&rig, 0, 6, 9, "lost")).await;
    read_until(&rig.topic, 12).await;
    relay.stop().await;

    restore(&client).await;
    // The writers are back before the relay: what they append takes sequences that the topic knows otherwise.
    let places = rig.append(&mut client, bodies(&rig, 0, 6, 7, "new")).await.places;
    assert_eq!(places.iter().map(|place| place.sequence).collect::<Vec<_>>(), [6, 7]);
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    assert_eq!(relay.status.report().epoch_changes, 1);
    let places = rig.append(&mut client, bodies(&rig, 0, 8, 8, "new")).await.places;
    assert_eq!(places[0].sequence, 12);
    let seen = read_until(&rig.topic, 15).await;
    relay.stop().await;

    let positions: Vec<(i64, i64, i64)> = seen
        .iter()
        .filter(|record| record.partition == 0 && record.position.epoch > 1)
        .map(|record| (record.position.epoch, record.position.first, record.position.sequence))
        .collect();
    assert_eq!(positions, [(2, 10, 10), (2, 10, 11), (2, 10, 12)]);
    // Whoever sees only the topic learns what the epoch voids.
    let epochs = topic::epochs(&seen, 0);
    assert_eq!(epochs, Epochs::new(vec![Epoch { epoch: 2, first: 10, last_equal: 5 }]));
    let counts = seen.iter().filter(|one| one.partition == 0 && !epochs.is_void(one.position.sequence));
    let counting: Vec<String> = counts.map(|one| one.payload.clone()).collect();
    assert_eq!(counting, [texts(1, 5, "kept"), texts(6, 8, "new")].concat());
    let taken = &follow(&seen).taken;
    assert_eq!(taken[&0], [texts(1, 5, "kept"), texts(6, 9, "lost"), texts(6, 8, "new")].concat());
    // The other lane was not touched by the loss and keeps its epoch.
    assert_eq!(taken[&1], texts(1, 3, "kept"));
    let sql = "select last_equal, first, epoch from shop.outbox_epochs";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (5, 10, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lane_is_appended_again_in_its_order() {
    let rig = Rig::new("long").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    back_up(&client).await;
    let relay = rig.relay(&rig.outbox);
    rig.append(&mut client, bodies(&rig, 0, 1, 2, "lost")).await;
    read_until(&rig.topic, 2).await;
    relay.stop().await;
    restore(&client).await;
    rig.append(&mut client, bodies(&rig, 0, 1, 11_000, "new")).await;
    let relay = rig.relay(&rig.outbox);
    let seen = read_until(&rig.topic, 11_002).await;
    relay.stop().await;
    assert_eq!(follow(&seen).taken[&0], [texts(1, 2, "lost"), texts(1, 11_000, "new")].concat());
    let last = &seen.last().unwrap().position;
    assert_eq!((last.epoch, last.first, last.sequence), (2, 11_001, 22_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_restore_to_before_the_first_epoch_is_told_apart() {
    let rig = Rig::new("twice").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 3, "kept")).await;
    let relay = rig.relay(&rig.outbox);
    read_until(&rig.topic, 3).await;
    back_up(&client).await;
    rig.append(&mut client, bodies(&rig, 0, 4, 6, "lost")).await;
    read_until(&rig.topic, 6).await;
    relay.stop().await;
    for round in 1_i64..=2 {
        restore(&client).await;
        rig.append(&mut client, bodies(&rig, 0, round, round, "new")).await;
        let relay = rig.relay(&rig.outbox);
        relay.until_leading().await;
        assert_eq!(relay.status.report().epoch_changes, 1);
        let seen = read_until(&rig.topic, usize::try_from(6 + round).unwrap()).await;
        let last = seen.last().unwrap();
        assert_eq!((last.position.epoch, last.payload.as_str()), (round + 1, &*format!("new{round}")));
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_filled_again_from_the_table() {
    let rig = Rig::new("anew").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.outbox);
    for partition in 0..PARTITIONS {
        rig.append(&mut client, bodies(&rig, partition, 1, 20, "m")).await;
    }
    read_until(&rig.topic, 80).await;
    relay.stop().await;
    topic::delete(&rig.topic).await;
    topic::create(&rig.topic).await;
    rig.append(&mut client, bodies(&rig, 0, 21, 21, "m")).await;

    let relay = rig.relay(&rig.outbox);
    let seen = read_until(&rig.topic, 81).await;
    assert_eq!(seen.len(), 81);
    assert_eq!(follow(&seen).taken[&0], texts(1, 21, "m"));
    assert_eq!(relay.status.report().epoch_changes, 0);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_under_a_running_relay_gets_everything_again() {
    let rig = Rig::new("anew").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.outbox);
    rig.append(&mut client, bodies(&rig, 0, 1, 20, "m")).await;
    rig.append(&mut client, bodies(&rig, 1, 1, 5, "m")).await;
    read_until(&rig.topic, 25).await;
    topic::delete(&rig.topic).await;
    topic::create(&rig.topic).await;
    // The broker takes them without a word, as the first ones of the new log.
    rig.append(&mut client, bodies(&rig, 0, 21, 22, "m")).await;
    let taken = follow(&read_until(&rig.topic, 27).await).taken;
    assert_eq!((&taken[&0], &taken[&1]), (&texts(1, 22, "m"), &texts(1, 5, "m")));
    assert_eq!(relay.status.report().epoch_changes, 0);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_that_lag_or_are_missing_cost_no_duplicate() {
    let rig = Rig::new("lagging").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    for forget in
        ["delete from shop.outbox_positions", "update shop.outbox_positions set sequence = 1, kafka_offset = 0"]
    {
        let relay = rig.relay(&rig.outbox);
        let before = read(&rig.topic).await.len();
        rig.append(&mut client, (0..40).map(|n| rig.event(&format!("{n}"), "m")).collect()).await;
        read_until(&rig.topic, before + 40).await;
        relay.stop().await;
        client.batch_execute(forget).await.unwrap();
    }
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    rig.append(&mut client, vec![rig.event("last", "m")]).await;
    assert_eq!(read_until(&rig.topic, 81).await.len(), 81);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_relay_may_not_pass_over_hold_their_lane_only() {
    let rig = Rig::new("hole").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 5, "m")).await;
    rig.append(&mut client, bodies(&rig, 1, 1, 5, "m")).await;
    let delete =
        "delete from shop.outbox_messages_0 where sequence = 3 and lane = (select min(lane) from shop.outbox_lanes)";
    assert_eq!(client.execute(delete, &[]).await.unwrap(), 1);
    let relay = rig.relay(&rig.outbox);
    relay.until("holding", |report| report.held.len() == 1).await;
    let held = relay.status.report().held;
    assert!(held[0].partition == 0 && held[0].reason.contains("lacks sequence 3"), "{held:?}");
    let seen = read_until(&rig.topic, 7).await;
    assert_eq!(follow(&seen).taken[&0], texts(1, 2, "m"));
    assert_eq!(follow(&seen).taken[&1], texts(1, 5, "m"));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_leader_is_replaced() {
    let rig = Rig::new("silent").await;
    topic::create(&rig.topic).await;
    // Somebody leads and then does nothing any more, as a paused process does: its session stays open.
    let silent = rig.client().await;
    let space = "('shop.outbox_lanes'::regclass::oid::int8 - 2147483648)::int4";
    silent.batch_execute(&format!("select pg_advisory_lock({space}, 0)")).await.unwrap();
    let began = Instant::now();
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    assert!(began.elapsed() > Duration::from_secs(3), "a leader must have the time for its sign of life");
    silent.batch_execute("select 1").await.unwrap_err();
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_of_many_lanes_is_fast() {
    let rig = Rig::with("many", |mut config| {
        let first = config.topics[0].clone();
        config.topics = (0..15)
            .map(|n| outbox::TopicSpec { name: format!("{}.{n}", first.name), partitions: PARTITIONS })
            .collect();
        config
    })
    .await;
    let mut client = rig.client().await;
    let mut messages = Vec::new();
    for topic in &rig.outbox.config().topics {
        topic::create(&topic.name).await;
        for partition in 0..PARTITIONS {
            for n in 0..10 {
                let mut message = rig.event_at(partition, &format!("{n}"));
                message.topic = topic.name.as_str().into();
                messages.push(message);
            }
        }
    }
    let total = messages.len();
    rig.append(&mut client, messages).await;
    let first = rig.relay(&rig.outbox);
    first.until("publishing all", |report| report.published >= u64::try_from(total).unwrap()).await;
    first.stop().await;

    let began = Instant::now();
    let second = rig.relay(&rig.outbox);
    second.until_leading().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "took {took:?}");
    second.stop().await;
    assert_eq!(read(&rig.outbox.config().topics[14].name).await.len(), 40);
}
