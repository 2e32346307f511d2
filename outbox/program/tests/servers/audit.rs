//! `outbox-relay audit`: what it finds when somebody has been at the topic.

use std::time::Duration;

use bytes::Bytes;
use outbox::operate::{self, AuditConfig, AuditReport, FindingKind};
use outbox::position::POSITION_HEADER;
use outbox::{OutboxMessage, Position};
use tokio::sync::oneshot::{self, error::TryRecvError};
use uuid::Uuid;

use crate::rig::Rig;
use crate::topic::{self, Seen, read};

pub(crate) async fn audit(rig: &Rig) -> AuditReport {
    operate::audit(&rig.way(), &AuditConfig::new("shop", topic::kafka()), |_| {}).await.unwrap()
}

/// What is wrong, on which partition, with which ranges of sequences.
type Found = (FindingKind, i32, Vec<(i64, i64)>);

/// Everything that was found.
pub(crate) fn found(report: &AuditReport) -> Vec<Found> {
    let runs = |finding: &operate::Finding| finding.sequences.iter().map(|run| (run.first, run.last)).collect();
    report.findings().map(|finding| (finding.kind, finding.partition, runs(finding))).collect()
}

/// An outbox that has published ten messages on each of two partitions, and its records.
pub(crate) async fn published(name: &str) -> (Rig, Vec<Seen>) {
    let rig = Rig::new(name).await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    for partition in [0, 1] {
        rig.append(&mut client, (1..=10).map(|n| rig.event_at(partition, &format!("m{n}"))).collect()).await;
    }
    rig.publish(20).await;
    let records = read(&rig.topic).await;
    assert_eq!(records.len(), 20);
    (rig, records)
}

/// The records of partition 0 with these sequences, in this order, after all of the others.
pub(crate) fn only(records: &[Seen], sequences: impl IntoIterator<Item = i64>) -> Vec<Seen> {
    let others = records.iter().filter(|record| record.partition != 0).cloned();
    let of = |sequence| records.iter().find(|one| one.partition == 0 && one.position.sequence == sequence).cloned();
    others.chain(sequences.into_iter().filter_map(of)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_topic_has_no_finding() {
    let (rig, _) = published("whole").await;
    let mut client = rig.client().await;
    rig.append(&mut client, vec![rig.event_at(0, "waits")]).await;
    let report = audit(&rig).await;
    assert_eq!((report.records, report.doubled, report.pending), (20, 0, 1));
    assert_eq!(found(&report), []);
    let (code, text, _) = rig.run_verb(&["audit"]).await;
    assert!(code == 0 && text.contains("Nothing is lost"), "{code}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topic_lost_is_named() {
    let (rig, records) = published("lost").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 3, 6, 7, 10])).await;
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Lost, 0, vec![(4, 5), (8, 9)])]);
    topic::replace(&rig.topic, &only(&records, [])).await;
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Lost, 0, vec![(1, 10)])]);
    let (code, text, _) = rig.run_verb(&["audit"]).await;
    assert!(code == 1 && text.contains("1-10") && text.contains("--repair"), "{code}: {text}");
    let (code, text, _) = rig.run_verb(&["audit", "--lane", "1"]).await;
    assert!(code == 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repetitions_are_counted_and_only_an_order_that_stops_consumers_is_a_finding() {
    let (rig, records) = published("order").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 2, 1, 3, 4, 5, 6, 7, 8, 9, 10])).await;
    let report = audit(&rig).await;
    assert_eq!((report.doubled, found(&report)), (2, vec![]));
    topic::replace(&rig.topic, &only(&records, [1, 2, 4, 5, 3, 6, 7, 8, 9, 10])).await;
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Reordered, 0, vec![(4, 4)])]);
    topic::replace(&rig.topic, &only(&records, [1, 2, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10])).await;
    assert_eq!(found(&audit(&rig).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_committed_and_what_was_changed_are_told_apart() {
    let (rig, records) = published("phantom").await;
    let mut phantom = only(&records, [10]).pop().unwrap();
    let position = Position { sequence: 11, ..phantom.position.clone() };
    let last = phantom.headers.last_mut().unwrap();
    assert_eq!(last.0, POSITION_HEADER);
    last.1 = Some(position.to_string());
    let mut forged = only(&records, [9]);
    forged.last_mut().unwrap().payload = "forged".to_owned();
    topic::write(&rig.topic, &[phantom, forged.pop().unwrap()]).await;
    let expected = [(FindingKind::Phantom, 0, vec![(11, 11)]), (FindingKind::Changed, 0, vec![(9, 9)])];
    assert_eq!(found(&audit(&rig).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_others_than_they_were_when_they_were_published_are_found() {
    let (rig, _) = published("changed").await;
    let client = rig.client().await;
    let table = rig.message_table(&client).await;
    for change in ["payload = 'x' where sequence = 3", "key = null where sequence = 5", "type = 'y' where sequence = 7"]
    {
        assert_eq!(client.execute(&format!("update {table} set {change}"), &[]).await.unwrap(), 2);
    }
    let runs = vec![(3, 3), (5, 5), (7, 7)];
    let expected = [(FindingKind::Changed, 0, runs.clone()), (FindingKind::Changed, 1, runs)];
    assert_eq!(found(&audit(&rig).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_kind_are_the_same_in_table_and_topic() {
    let rig = Rig::new("kinds").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let kinds = [
        rig.event_at(0, "").caused_by(Uuid::now_v7()).trace_parent(trace),
        rig.event_at(0, "").caused_by("because").trace_parent("no trace"),
        OutboxMessage::raw(rig.topic.as_str()).partition(0),
    ];
    let headers =
        [vec![], vec![("a".to_owned(), None), ("a".to_owned(), Some(vec![])), (String::new(), Some(vec![255]))]];
    let mut messages = Vec::new();
    for kind in &kinds {
        for headers in &headers {
            for (key, payload) in [(None, Some(&b"p"[..])), (Some(&b"\xff"[..]), None), (Some(b"k"), Some(b""))] {
                let mut message = kind.clone().id(Uuid::now_v7());
                message.headers.clone_from(headers);
                message.key = key.map(Bytes::from_static);
                message.payload = payload.map(Bytes::from_static);
                messages.push(message);
            }
        }
    }
    // The first half goes from memory to the relay, the second is read from the table.
    let half = messages.split_off(messages.len() / 2);
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    rig.append(&mut client, messages).await;
    relay.until("publishing the first half", |report| report.published == 9).await;
    relay.stop().await;
    rig.append(&mut client, half).await;
    rig.publish(9).await;
    let report = audit(&rig).await;
    assert_eq!((report.records, found(&report)), (18, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_from_the_beginning_are_expired_and_all_of_them_lost() {
    let (rig, _) = published("expired").await;
    topic::delete_before(&rig.topic, 0, 4).await;
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Expired, 0, vec![(1, 4)])]);
    topic::delete_before(&rig.topic, 0, 10).await;
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Lost, 0, vec![(1, 10)])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_table_lacks_are_a_finding_of_their_own() {
    let (rig, _) = published("hole").await;
    let client = rig.client().await;
    let sql = format!("delete from {} where sequence between 4 and 5", rig.message_table(&client).await);
    assert_eq!(client.execute(&sql, &[]).await.unwrap(), 4);
    let kinds: Vec<(FindingKind, i32)> = found(&audit(&rig).await).iter().map(|one| (one.0, one.1)).collect();
    use FindingKind::{Hole, Phantom};
    assert_eq!(kinds, [(Phantom, 0), (Hole, 0), (Phantom, 1), (Hole, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_writers_a_relay_and_truncations_there_is_no_false_finding() {
    let rig = Rig::new("beside").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay_with(&rig.outbox, |config| {
        config.retention = Duration::from_millis(100);
        config.rotation_interval = Duration::from_millis(20);
    });
    relay.until_leading().await;
    let (stop, mut stopped) = oneshot::channel::<()>();
    let writing = async {
        let mut client = rig.client().await;
        let mut written = 0;
        while stopped.try_recv() == Err(TryRecvError::Empty) {
            let messages = (0..20).map(|n| rig.event(&format!("{n}"), &format!("{written}"))).collect();
            written += rig.append(&mut client, messages).await.places.len();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        written
    };
    let auditing = async {
        let mut compared = 0;
        for _ in 0..12 {
            let report = audit(&rig).await;
            compared += report.records;
            assert_eq!(found(&report), []);
        }
        drop(stop);
        compared
    };
    let (written, compared) = tokio::join!(writing, auditing);
    assert!(written > 100 && compared > 0 && relay.status.report().truncations > 2, "{:?}", relay.status.report());
    relay.stop().await;
    assert_eq!(found(&audit(&rig).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_young_enough_is_looked_at() {
    let (rig, records) = published("since").await;
    let mut client = rig.client().await;
    let since = jiff::Timestamp::now();
    let mut old = rig.event_at(0, "old");
    // The writer's clock was far behind.
    old.time = since - jiff::SignedDuration::from_hours(30);
    rig.append(&mut client, vec![rig.event_at(0, "young"), old, rig.event_at(0, "young")]).await;
    rig.publish(3).await;
    let young: Vec<Seen> = read(&rig.topic).await.into_iter().filter(|one| one.position.sequence > 10).collect();
    topic::replace(&rig.topic, &[&only(&records, [])[..], &young[..2]].concat()).await;
    let mut config = AuditConfig::new("shop", topic::kafka());
    config.since = Some(since);
    let report = operate::audit(&rig.way(), &config, |_| {}).await.unwrap();
    assert_eq!(found(&report), [(FindingKind::Lost, 0, vec![(13, 13)])]);
    assert_eq!(report.lanes.iter().find(|lane| lane.partition == 0).unwrap().after, 10);
    assert_eq!(found(&audit(&rig).await), [(FindingKind::Lost, 0, vec![(1, 10), (13, 13)])]);
}
