//! `outbox-relay status`: what waits, who leads, how far each lane is.

use outbox::operate::{self, OutboxStatus};

use crate::rig::Rig;
use crate::topic;

async fn look(rig: &Rig) -> OutboxStatus {
    operate::status(&rig.way(), "shop").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_waits_and_who_leads() {
    let rig = Rig::new("status").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    rig.append(&mut client, (0..30).map(|n| rig.event_at(1, &format!("{n}"))).collect()).await;

    let waiting = look(&rig).await;
    assert_eq!((waiting.source.as_str(), waiting.backlog_messages, waiting.leader.is_none()), ("/test", 30, true));
    // One byte of key and one or two of payload each.
    assert_eq!(waiting.backlog_bytes, 30 + 10 + 2 * 20);
    assert!(waiting.oldest_ms.is_some_and(|oldest| oldest >= 0));
    assert_eq!(waiting.findings().len(), 1, "{:?}", waiting.findings());
    let lane = waiting.lanes.iter().find(|lane| lane.partition == 1).unwrap();
    assert_eq!((lane.head, lane.published, lane.lag, lane.epoch), (30, None, 30, 1));
    let (code, text, _) = rig.run_verb(&["status"]).await;
    assert!(code == 1 && text.contains("nobody leads and messages wait"), "{code}: {text}");

    let first = rig.relay(&rig.outbox);
    first.until("publishing all", |report| report.published == 30).await;
    let second = rig.relay(&rig.outbox);
    second.until("standing by", |report| report.role == outbox::Role::Standby).await;
    rig.until("saving positions", async || look(&rig).await.backlog_messages == 0).await;
    let fine = look(&rig).await;
    assert_eq!(fine.leader.as_ref().unwrap().application.as_deref(), Some("outbox-relay shop"));
    assert!(fine.leader.as_ref().unwrap().pid > 0 && fine.leader.as_ref().unwrap().connected.is_some());
    assert_eq!((fine.standbys.len(), fine.findings().len()), (1, 0));
    let lane = fine.lanes.iter().find(|lane| lane.partition == 1).unwrap();
    assert_eq!((lane.published, lane.kafka_offset, lane.lag), (Some(30), Some(29), 0));
    assert!(!fine.tables.is_empty() && fine.tables.iter().filter(|table| table.is_current).count() == 1);
    let (code, text, _) = rig.run_verb(&["status", "--json"]).await;
    assert!(code == 0 && text.contains("\"backlog_messages\":0"), "{code}: {text}");
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_cannot_be_carried_out_says_why() {
    let rig = Rig::new("verbs").await;
    let (code, _, error) = rig.run_verb(&["status", "--schema", "elsewhere"]).await;
    assert!(code == 2 && error.contains("there are no outbox tables"), "{code}: {error}");
    // Nobody has created the topic.
    let (code, _, error) = rig.run_verb(&["audit"]).await;
    assert!(code == 2 && error.contains("does not exist"), "{code}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_waits_is_named_and_clocks_that_differ_are() {
    let rig = Rig::new("waiting").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let ahead = rig.event_at(1, "ahead").time(time);
    let id = ahead.id.to_string();
    rig.append(&mut client, vec![ahead]).await;

    let status = look(&rig).await;
    assert_eq!(status.oldest_ms, Some(0), "no age is negative");
    assert!(status.ahead_ms.is_some_and(|ahead| (7_100_000..=7_200_000).contains(&ahead)), "{:?}", status.ahead_ms);
    assert!(status.findings().iter().any(|finding| finding.contains("clocks of writers and database differ")));
    let next = status.lanes.iter().find_map(|lane| lane.next.as_ref()).unwrap();
    assert_eq!((next.sequence, next.key.as_deref(), next.id.as_deref()), (1, Some("k"), Some(id.as_str())));
    let (_, text, _) = rig.run_verb(&["status"]).await;
    assert!(text.contains(&format!("[1]: test.Event.v1, key k, id {id}, sequence 1")), "{text}");
}
