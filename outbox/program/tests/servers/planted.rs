//! Planted bugs are found, and without them the same course of events is right.
//!
//! Each course is made to happen, not hoped for: a deferred trigger holds a commit back, a predecessor's record is forged
//! into the topic, a commit of another process is kept from being announced.

use std::time::Duration;

use outbox::OutboxMessage;
use outbox::planted::PlantedBug;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::rig::{Rig, Running};
use crate::topic::{self, follow, read, read_until};

async fn rig(name: &str, bug: Option<PlantedBug>) -> Rig {
    let rig = Rig::with(name, |config| match bug {
        Some(bug) => config.with_planted_bug(bug),
        None => config,
    })
    .await;
    topic::create(&rig.topic).await;
    rig
}

/// Makes the COMMIT of a transaction with a payload `slow` take half a second, after its rows have their sequences.
async fn slow_commits(rig: &Rig) {
    let script = "create function shop.dawdle() returns trigger language plpgsql as $$ begin \
                    if new.payload = 'slow'::bytea then perform pg_sleep(0.5); end if; return null; end $$; \
                  create constraint trigger dawdle after insert on shop.outbox_messages_0 \
                    deferrable initially deferred for each row execute function shop.dawdle()";
    rig.client().await.batch_execute(script).await.unwrap();
}

/// Commits `slow`, and `quick` in the same lane meanwhile; returns whether both succeeded.
async fn race(rig: &Rig) -> bool {
    let (mut one, mut other) = (rig.client().await, rig.client().await);
    let slow = async { rig.outbox.begin(&mut one).await.unwrap().commit(vec![rig.event_at(0, "slow")]).await };
    let quick = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        rig.outbox.begin(&mut other).await.unwrap().commit(vec![rig.event_at(0, "quick")]).await
    };
    let (slow, quick) = tokio::join!(slow, quick);
    slow.is_ok() && quick.is_ok()
}

/// Payloads of the first partition's log.
async fn published(rig: &Rig) -> Vec<String> {
    read(&rig.topic).await.into_iter().filter(|record| record.partition == 0).map(|record| record.payload).collect()
}

async fn settled(relay: &Running, messages: u64) {
    relay.until("publishing", |report| report.published >= messages).await;
    // Two more polls of the table: what has not come by then does not come.
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_without_the_lock_loses_a_message() {
    for (bug, expected) in [(None, vec!["slow", "quick"]), (Some(PlantedBug::CursorWithoutLock), vec!["quick"])] {
        let rig = rig("unlocked", bug).await;
        slow_commits(&rig).await;
        let relay = rig.relay(&rig.reopened().await);
        relay.until_leading().await;
        assert!(race(&rig).await);
        settled(&relay, 1).await;
        assert_eq!(published(&rig).await, expected, "{bug:?}");
        relay.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_read_in_the_lock_statement_collides() {
    for (bug, expected) in [(None, true), (Some(PlantedBug::SequenceInLockStatement), false)] {
        let rig = rig("early", bug).await;
        slow_commits(&rig).await;
        assert_eq!(race(&rig).await, expected, "{bug:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_after_the_maximum_loses_a_message() {
    for (bug, lost) in [(None, false), (Some(PlantedBug::ResumeAfterMaximum), true)] {
        let rig = rig("maximum", bug).await;
        let mut client = rig.client().await;
        let relay = rig.relay(&rig.outbox);
        rig.append(&mut client, (1..=3).map(|n| rig.event_at(0, &format!("{n}"))).collect()).await;
        read_until(&rig.topic, 3).await;
        relay.stop().await;
        let messages: Vec<OutboxMessage> = (4..=6).map(|n| rig.event_at(0, &format!("{n}"))).collect();
        let fifth = messages[1].clone();
        rig.append(&mut client, messages).await;
        // What a predecessor that lost a request in between would have left behind.
        forge(&rig, &fifth, 5).await;
        let relay = rig.relay(&rig.outbox);
        settled(&relay, 1).await;
        relay.stop().await;
        let seen = read(&rig.topic).await;
        let taken = follow(&seen).taken[&0].clone();
        assert_eq!(taken != ["1", "2", "3", "4", "5", "6"], lost, "{bug:?}: {taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_that_skips_a_gap_loses_a_message() {
    for (bug, lost) in [(None, false), (Some(PlantedBug::HintSkipsGap), true)] {
        let rig = rig("skips", bug).await;
        let relay = rig.relay(&rig.outbox);
        relay.until_leading().await;
        // Another process, which does not announce what it commits.
        let other = rig.reopened().await;
        let (mut near, mut far) = (rig.client().await, rig.client().await);
        // A poll of the table may come in between and hide the bug, so there are some rounds.
        for round in 0..5 {
            let message = rig.event_at(0, &format!("far{round}"));
            other.begin(&mut far).await.unwrap().commit(vec![message]).await.unwrap();
            rig.append(&mut near, vec![rig.event_at(0, &format!("near{round}"))]).await;
        }
        settled(&relay, 5).await;
        relay.stop().await;
        let followed = follow(&read(&rig.topic).await);
        assert_eq!(followed.total() < 10, lost, "{bug:?}: {followed:?}");
    }
}

/// Publishes a message past the relay, exactly as a relay would.
async fn forge(rig: &Rig, message: &OutboxMessage, sequence: i64) {
    let position = format!("/test:1:1:{sequence}");
    let id = message.id.to_string();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "ce_id", value: Some(&id) })
        .insert(Header { key: "outbox-position", value: Some(&position) });
    let record = FutureRecord::to(&rig.topic)
        .partition(0)
        .key(message.key.as_deref().unwrap())
        .payload(message.payload.as_deref().unwrap())
        .headers(headers);
    let producer: FutureProducer = topic::kafka().create().unwrap();
    producer.send(record, Duration::from_secs(10)).await.unwrap();
}
