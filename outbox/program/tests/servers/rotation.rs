//! Rotation: what is published and past retention goes, nothing else does, and nobody notices but the disk.

use std::time::{Duration, Instant};

use outbox::{Client, RelayConfig};

use crate::rig::{PARTITIONS, Rig, Running};
use crate::takeover::{back_up, bodies, restore, texts};
use crate::topic::{self, follow, read, read_until};

const SPACE: &str = "('shop.outbox_lanes'::regclass::oid::int8 - 2147483648)::int4";

fn quick(config: &mut RelayConfig) {
    config.retention = Duration::from_millis(50);
    config.rotation_interval = Duration::from_millis(10);
    config.position_interval = Duration::from_millis(20);
}

/// Messages in both tables.
async fn stored(client: &Client) -> i64 {
    client.query_one("select count(*) from shop.outbox_messages", &[]).await.unwrap().get(0)
}

async fn until_empty(relay: &Running, client: &Client) {
    let until = Instant::now() + Duration::from_secs(20);
    while stored(client).await > 0 {
        assert!(Instant::now() < until, "never empty: {:?}", relay.status.report());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Floors and marks of what may be gone, by lane.
async fn floors(client: &Client) -> Vec<(i64, i64)> {
    let rows = client.query("select floor, pruned from shop.outbox_lanes order by lane", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Calls the function that a leader calls, as a leader if `leads`.
async fn truncate(client: &Client, table: i32, retention_seconds: f64) -> Option<String> {
    let sql = "select shop.outbox_truncate($1, pg_backend_pid(), $2)";
    client.query_one(sql, &[&table, &retention_seconds]).await.unwrap().get(0)
}

#[tokio::test]
async fn only_what_is_published_and_past_retention_is_truncated() {
    let rig = Rig::new("due").await;
    let mut client = rig.client().await;
    let leader = rig.client().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 3, "a")).await;
    rig.append(&mut client, bodies(&rig, 1, 1, 2, "a")).await;
    leader.batch_execute("update shop.outbox_rotation set current = 1").await.unwrap();
    rig.append(&mut client, bodies(&rig, 1, 3, 5, "b")).await;
    let says = async |table, retention| truncate(&leader, table, retention).await.unwrap_or_default();

    assert!(says(0, 0.0).await.contains("does not lead"));
    leader.batch_execute(&format!("select pg_advisory_lock({SPACE}, 0)")).await.unwrap();
    assert!(says(1, 0.0).await.contains("too recently"), "the table that is written to");
    assert!(says(0, 3600.0).await.contains("too recently"), "within retention");
    assert!(says(0, 0.0).await.contains("2 topic partitions"));
    let publish = "insert into shop.outbox_positions select lane, 1, $2, 0 from shop.outbox_lanes where partition = $1 \
                   on conflict (lane) do update set sequence = excluded.sequence";
    for (partition, sequence) in [(0_i32, 3_i64), (1, 1)] {
        client.execute(publish, &[&partition, &sequence]).await.unwrap();
    }
    assert!(says(0, 0.0).await.contains("1 topic partitions"));
    assert_eq!((stored(&client).await, floors(&client).await), (8, vec![(0, 0); 4]));

    client.execute(publish, &[&1_i32, &2_i64]).await.unwrap();
    assert_eq!(says(0, 0.0).await, "");
    assert_eq!(stored(&client).await, 3);
    assert_eq!(floors(&client).await, [(3, 3), (2, 2), (0, 0), (0, 0)]);
    // Heads go on from the floor, from the rows, from nothing.
    let mut places = Vec::new();
    for partition in 0..3 {
        let place = rig.append(&mut client, bodies(&rig, partition, 0, 0, "c")).await.places[0];
        places.push(place.sequence);
    }
    assert_eq!(places, [4, 6, 1]);
    let several = (0..3).map(|partition| rig.event_at(partition, "d")).collect();
    let places = rig.append(&mut client, several).await.places;
    assert_eq!(places.iter().map(|place| place.sequence).collect::<Vec<_>>(), [5, 7, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_and_take_overs_go_on_when_everything_was_truncated() {
    let rig = Rig::new("gone").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    for round in 0..3 {
        let relay = rig.relay_with(&rig.outbox, quick);
        relay.until_leading().await;
        for partition in 0..2 {
            rig.append(&mut client, bodies(&rig, partition, round * 5 + 1, round * 5 + 5, "m")).await;
        }
        until_empty(&relay, &client).await;
        relay.until("truncating", |report| report.truncations > 0).await;
        assert_eq!(relay.status.report().epoch_changes, 0);
        if round == 1 {
            relay.crash().await;
        } else {
            relay.stop().await;
        }
    }
    let seen = read_until(&rig.topic, 30).await;
    assert_eq!(seen.len(), 30, "nothing is repeated");
    let taken = follow(&seen).taken;
    assert_eq!((&taken[&0], &taken[&1]), (&texts(1, 15, "m"), &texts(1, 15, "m")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_topic_lost_is_not_truncated_before_it_is_there_again() {
    let rig = Rig::new("lost").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.outbox);
    for partition in 0..2 {
        rig.append(&mut client, bodies(&rig, partition, 1, 4_000, "m")).await;
    }
    read_until(&rig.topic, 8_000).await;
    relay.stop().await;
    topic::delete(&rig.topic).await;
    topic::create(&rig.topic).await;
    // Past retention and, as far as the saved positions know, published.
    client
        .batch_execute("update shop.outbox_rotation set current = 1, since = now() - interval '1 day'")
        .await
        .unwrap();
    let relay = rig.relay_with(&rig.outbox, |config| {
        quick(config);
        config.rotation_interval = Duration::from_millis(1);
        // Slow to publish, so that truncation has its chance.
        config.max_in_flight_messages = 50;
    });
    let taken = follow(&read_until(&rig.topic, 8_000).await).taken;
    assert_eq!((&taken[&0], &taken[&1]), (&texts(1, 4_000, "m"), &texts(1, 4_000, "m")));
    until_empty(&relay, &client).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_does_not_stop_truncation() {
    let rig = Rig::new("snapshot").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let holder = rig.client().await;
    let begin = "begin isolation level repeatable read; select count(*) from note";
    holder.batch_execute("create table note (id int); set idle_in_transaction_session_timeout = 0").await.unwrap();
    holder.batch_execute(begin).await.unwrap();
    let relay = rig.relay_with(&rig.outbox, quick);
    relay.until_leading().await;
    for round in 0..3 {
        rig.append(&mut client, bodies(&rig, 0, round, round, "m")).await;
        until_empty(&relay, &client).await;
    }
    relay.until("truncating", |report| report.truncations >= 3).await;
    holder.batch_execute("commit").await.unwrap();
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_tables_at_a_time_still_to_come_does_not_stop_rotation() {
    let rig = Rig::new("ahead").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let ahead = "update shop.outbox_rotation set since = clock_timestamp() + interval '1 day'";
    client.batch_execute(ahead).await.unwrap();
    let relay = rig.relay_with(&rig.outbox, quick);
    relay.until_leading().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 3, "m")).await;
    until_empty(&relay, &client).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_never_blocks_writers_and_truncation_comes_after_it() {
    let rig = Rig::new("reader").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let (reader, watcher) = (rig.client().await, rig.client().await);
    let relay = rig.relay_with(&rig.outbox, quick);
    relay.until_leading().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 5, "m")).await;
    // What pg_dump does: locks first, then reads for as long as it takes.
    reader.batch_execute("set idle_in_transaction_session_timeout = 0").await.unwrap();
    reader.batch_execute("begin; lock table shop.outbox_messages in access share mode").await.unwrap();
    let before = relay.status.report().truncations;
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let (mut written, mut queued, mut looks) = (0, 0, 0);
    while began.elapsed() < Duration::from_secs(3) {
        let each = Instant::now();
        rig.append(&mut client, vec![rig.event_at(written % PARTITIONS, "m")]).await;
        slowest = slowest.max(each.elapsed());
        written += 1;
        let waits = "select count(*) from pg_locks where not granted and mode = 'AccessExclusiveLock' and locktype = \
                     'relation' and database = (select oid from pg_database where datname = current_database())";
        queued += watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0);
        looks += 1;
    }
    println!("{written} appends while a reader held the tables; the slowest took {slowest:?}");
    let report = relay.status.report();
    assert_eq!(report.truncations, before, "not while it is read");
    assert!(report.rotation_obstacle.as_ref().is_some_and(|text| text.contains("holds a lock")), "{report:?}");
    assert_eq!(queued, 0, "in {looks} looks; writers queue behind a lock that waits");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    reader.batch_execute("commit").await.unwrap();
    until_empty(&relay, &client).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_with_truncated_messages_begins_a_new_epoch() {
    let rig = Rig::new("restored_gone").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay_with(&rig.outbox, quick);
    relay.until_leading().await;
    for partition in 0..2 {
        rig.append(&mut client, bodies(&rig, partition, 1, 5, "gone")).await;
    }
    until_empty(&relay, &client).await;
    relay.stop().await;
    // From here on nothing is truncated.
    let relay = rig.relay(&rig.outbox);
    rig.append(&mut client, bodies(&rig, 0, 6, 7, "kept")).await;
    read_until(&rig.topic, 12).await;
    relay.until("saving", |report| report.published == 2).await;
    relay.stop().await;
    back_up(&client).await;
    let relay = rig.relay(&rig.outbox);
    rig.append(&mut client, bodies(&rig, 0, 8, 9, "lost")).await;
    read_until(&rig.topic, 14).await;
    relay.stop().await;

    restore(&client).await;
    rig.append(&mut client, bodies(&rig, 0, 8, 8, "new")).await;
    let relay = rig.relay_with(&rig.outbox, quick);
    relay.until_leading().await;
    assert_eq!(relay.status.report().epoch_changes, 1);
    rig.append(&mut client, bodies(&rig, 1, 6, 6, "new")).await;
    until_empty(&relay, &client).await;
    relay.stop().await;
    let row = client.query_one("select last_equal, first from shop.outbox_epochs", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (7, 10));
    let seen = read(&rig.topic).await;
    let taken = follow(&seen).taken;
    assert_eq!(taken[&0], [texts(1, 5, "gone"), texts(6, 7, "kept"), texts(8, 9, "lost"), texts(8, 8, "new")].concat());
    assert_eq!(taken[&1], [texts(1, 5, "gone"), texts(6, 6, "new")].concat());
    assert_eq!(seen.len(), 16, "nothing is repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_race_with_rotation_lose_and_repeat_nothing() {
    let rig = Rig::new("race").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay_with(&rig.outbox, |config| {
        quick(config);
        config.retention = Duration::from_millis(5);
        config.rotation_interval = Duration::from_millis(1);
    });
    relay.until_leading().await;
    let until = Instant::now() + Duration::from_secs(6);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4_i32 {
        let mut client = rig.client().await;
        let (outbox, one) = (rig.outbox.clone(), rig.event_at(0, ""));
        writers.spawn(async move {
            let mut written = Vec::new();
            for round in 0_i32.. {
                if Instant::now() >= until {
                    break;
                }
                let messages: Vec<_> = (0..1 + round % 3)
                    .map(|n| {
                        let partition = (writer + round * n) % PARTITIONS;
                        one.clone().partition(partition).payload(format!("{writer}/{round}/{n}"))
                    })
                    .collect();
                written.extend(messages.iter().map(|message| message.payload.clone().unwrap()));
                outbox.begin(&mut client).await.unwrap().commit(messages).await.unwrap();
                if round % 50 == 49 {
                    // Lets the tables become empty now and then.
                    tokio::time::sleep(Duration::from_millis(120)).await;
                }
            }
            written
        });
    }
    let mut written: Vec<String> = Vec::new();
    while let Some(of_one) = writers.join_next().await {
        written.extend(of_one.unwrap().iter().map(|body| String::from_utf8(body.to_vec()).unwrap()));
    }
    let seen = read_until(&rig.topic, written.len()).await;
    let followed = follow(&seen);
    assert_eq!((followed.duplicates, followed.gaps, followed.stale), (0, 0, 0));
    let mut taken: Vec<String> = followed.taken.into_values().flatten().collect();
    taken.sort_unstable();
    written.sort_unstable();
    assert_eq!(taken, written);
    let report = relay.status.report();
    println!("{} messages, {} truncations", written.len(), report.truncations);
    assert!(report.truncations >= 10 && report.held.is_empty(), "{report:?}");
    relay.stop().await;
}
