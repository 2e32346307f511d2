//! One course of faults, one after another, with writers that never stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::rig::{PARTITIONS, Rig, stack};
use crate::topic::{self, follow, read_until};

/// Writers that go on through everything; each returns the payloads whose commit was confirmed.
fn start_writers(rig: &Rig, stop: &Arc<AtomicBool>) -> JoinSet<BTreeSet<String>> {
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (outbox, database, stop) = (rig.outbox.clone(), rig.database.clone(), Arc::clone(stop));
        let template = rig.event("k", "");
        writers.spawn(async move {
            let mut confirmed = BTreeSet::new();
            let mut round = 0;
            while !stop.load(Ordering::Acquire) {
                let Ok(mut client) = outbox::connect(&database, NoTls).await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                while !stop.load(Ordering::Acquire) {
                    round += 1;
                    let body = format!("{writer}/{round}");
                    let key = format!("key-{}", round % 13);
                    let message = template.clone().id(uuid::Uuid::now_v7()).key(key).payload(body.clone());
                    let Ok(transaction) = outbox.begin(&mut client).await else { break };
                    if transaction.commit(vec![message]).await.is_err() {
                        break;
                    }
                    confirmed.insert(body);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            confirmed
        });
    }
    writers
}

/// Waits until the relay has published something more.
async fn until_more(relay: &crate::rig::Running, after: &str) {
    let before = relay.status.report().published;
    relay.until(&format!("publishing after {after}"), |report| report.published > before + 20).await;
}

async fn leader_pid(rig: &Rig) -> Option<i32> {
    outbox::operate::status(&rig.way(), "shop").await.unwrap().leader.map(|leader| leader.pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_server_dies_nothing_is_lost() {
    let rig = Rig::new("dying").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = start_writers(&rig, &stop);
    until_more(&relay, "the start").await;

    let blocking = |work: fn() -> dev_stack::Result<()>| async move {
        tokio::task::spawn_blocking(work).await.unwrap().unwrap();
    };
    blocking(|| stack().kafka()?.kill()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    blocking(|| stack().kafka()?.restart()).await;
    until_more(&relay, "the broker's death").await;

    blocking(|| stack().postgres()?.kill()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    blocking(|| stack().postgres()?.restart()).await;
    until_more(&relay, "the database's death").await;

    let leader = leader_pid(&rig).await;
    blocking(|| stack().kafka()?.pause()).await;
    // As long as a slow broker may take without being given up.
    tokio::time::sleep(Duration::from_secs(8)).await;
    blocking(|| stack().kafka()?.resume()).await;
    until_more(&relay, "the broker's pause").await;
    assert!(leader.is_some() && leader_pid(&rig).await == leader, "the lead was kept");

    stop.store(true, Ordering::Release);
    let mut confirmed = BTreeSet::new();
    while let Some(of_one) = writers.join_next().await {
        confirmed.extend(of_one.unwrap());
    }
    let client = rig.client().await;
    let mut rows = Vec::new();
    for partition in 0..PARTITIONS {
        rows.push(rig.rows(&client, partition).await.into_iter().map(|(_, body)| body).collect::<Vec<_>>());
    }
    let stored: BTreeSet<String> = rows.iter().flatten().cloned().collect();
    assert!(confirmed.is_subset(&stored), "confirmed commits are missing in the table");
    let seen = read_until(&rig.topic, stored.len()).await;
    relay.stop().await;
    let followed = follow(&seen);
    for (partition, rows) in (0..PARTITIONS).zip(rows) {
        assert_eq!(followed.taken.get(&partition).cloned().unwrap_or_default(), rows, "partition {partition}");
    }
    assert_eq!((followed.gaps, followed.stale), (0, 0));
}
