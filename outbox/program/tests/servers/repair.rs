//! `outbox-relay audit --repair`: what the topic lost comes again, in an order that every consumer can use.

use std::time::Duration;

use outbox::operate::{self, FindingKind, Lead, OperateError, RepairConfig};

use crate::audit::{audit, found, only, published};
use crate::rig::Rig;
use crate::topic::{self, follow, read};

fn config(lead: Lead) -> RepairConfig {
    let mut config = RepairConfig::new(topic::kafka());
    config.lead = lead;
    config
}

fn texts(to: i64) -> Vec<String> {
    (1..=to).map(|n| format!("m{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_found_empty_and_filled_again() {
    let (rig, _) = published("refill").await;
    topic::delete(&rig.topic).await;
    topic::create(&rig.topic).await;
    let report = audit(&rig).await;
    assert_eq!(report.count(FindingKind::Lost), 20);

    let mut dry = config(Lead::OnlyIfFree);
    dry.dry_run = true;
    let planned = operate::repair(&rig.way(), &report, dry).await.unwrap();
    assert!(planned.dry_run && planned.lanes.iter().map(|lane| lane.messages).sum::<i64>() == 20, "{planned:?}");
    assert_eq!(read(&rig.topic).await.len(), 0);

    let (code, text, error) = rig.run_verb(&["audit", "--repair"]).await;
    assert!(code == 0 && text.contains("Audited again"), "{code}: {text}{error}");
    assert_eq!(found(&audit(&rig).await), []);
    let seen = read(&rig.topic).await;
    let followed = follow(&seen);
    assert_eq!((seen.len(), followed.gaps, followed.duplicates), (20, 0, 0));
    assert_eq!((&followed.taken[&0], &followed.taken[&1]), (&texts(10), &texts(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_in_the_middle_comes_again_with_all_that_follows() {
    let (rig, records) = published("middle").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 3, 3, 3, 6, 7, 8, 9, 10])).await;
    // A relay alone does not look so far back.
    let mut client = rig.client().await;
    rig.append(&mut client, vec![rig.event_at(0, "m11")]).await;
    rig.publish(1).await;
    let report = audit(&rig).await;
    assert_eq!(found(&report), [(FindingKind::Lost, 0, vec![(4, 5)])]);
    let before = read(&rig.topic).await;
    assert_eq!(follow(&before).taken[&0], texts(3));

    let done = operate::repair(&rig.way(), &report, config(Lead::OnlyIfFree)).await.unwrap();
    assert_eq!((done.lanes.len(), done.lanes[0].after, done.lanes[0].messages), (1, 3, 8));
    assert_eq!(found(&audit(&rig).await), []);
    let seen = read(&rig.topic).await;
    // Whoever waited at the gap gets everything in order; whoever was past it passes over.
    assert_eq!(follow(&seen).taken[&0], texts(11));
    assert_eq!(seen.len(), before.len() + 8);
    // The next take-over has nothing to do.
    rig.append(&mut client, vec![rig.event_at(0, "m12")]).await;
    rig.publish(1).await;
    assert_eq!(read(&rig.topic).await.len(), seen.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_stops_consumers_is_mended() {
    let (rig, records) = published("reordered").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 4, 5, 3, 6, 7, 8, 9, 10])).await;
    let report = audit(&rig).await;
    assert_eq!(report.count(FindingKind::Reordered), 1);
    operate::repair(&rig.way(), &report, config(Lead::OnlyIfFree)).await.unwrap();
    assert_eq!(found(&audit(&rig).await), []);
    assert_eq!(follow(&read(&rig.topic).await).taken[&0], texts(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_leads_is_respected_unless_told_otherwise() {
    let (rig, records) = published("led").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 2, 2, 5, 6, 7, 8, 9, 10])).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    let report = audit(&rig).await;
    let refused = operate::repair(&rig.way(), &report, config(Lead::OnlyIfFree)).await;
    assert!(matches!(&refused, Err(OperateError::Led(leader)) if leader.pid > 0), "{refused:?}");
    let (code, _, error) = rig.run_verb(&["audit", "--repair"]).await;
    assert!(code == 2 && error.contains("outbox-relay shop") && error.contains("--take-lead"), "{code}: {error}");
    assert_eq!(read(&rig.topic).await.len(), 20);

    // Writers go on meanwhile.
    let writing = async {
        let mut client = rig.client().await;
        for n in 11..=60 {
            rig.append(&mut client, vec![rig.event_at(0, &format!("m{n}"))]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let way = rig.way();
    let (done, ()) = tokio::join!(operate::repair(&way, &report, config(Lead::Take)), writing);
    assert_eq!(done.unwrap().lanes[0].after, 2);
    relay.until_leading().await;
    rig.until("publishing all", async || follow(&read(&rig.topic).await).taken[&0] == texts(60)).await;
    assert_eq!(found(&audit(&rig).await), []);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_was_cut_short_is_finished_by_whoever_leads_next() {
    let (rig, records) = published("short").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 3, 3, 3, 6, 7, 8, 9, 10])).await;
    let report = audit(&rig).await;
    let mut hasty = config(Lead::OnlyIfFree);
    hasty.patience = Duration::ZERO;
    let cut_short = operate::repair(&rig.way(), &report, hasty).await;
    assert!(matches!(cut_short, Err(OperateError::NoProgress { lanes: 1, .. })), "{cut_short:?}");
    let relay = rig.relay(&rig.outbox);
    rig.until("mending it", async || found(&audit(&rig).await).is_empty()).await;
    relay.stop().await;
    assert_eq!(follow(&read(&rig.topic).await).taken[&0], texts(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_no_longer_holds_is_refused() {
    let (rig, records) = published("pruned").await;
    topic::replace(&rig.topic, &only(&records, [1, 2, 2, 2, 5, 6, 7, 8, 9, 10])).await;
    let report = audit(&rig).await;
    // Truncated between the audit and the repair.
    let client = rig.client().await;
    let sql = format!("delete from {} where sequence <= 6", rig.message_table(&client).await);
    client.execute(&sql, &[]).await.unwrap();
    client.execute("update shop.outbox_lanes set floor = 6, pruned = 6", &[]).await.unwrap();
    let done = operate::repair(&rig.way(), &report, config(Lead::OnlyIfFree)).await.unwrap();
    assert!(done.lanes[0].refused.as_ref().is_some_and(|why| why.contains("up to sequence 6")), "{done:?}");
    // The lane is not stopped by the attempt.
    let mut client = rig.client().await;
    rig.append(&mut client, vec![rig.event_at(0, "m11")]).await;
    rig.publish(1).await;
    assert_eq!(read(&rig.topic).await.last().map(|last| last.partition), Some(1));
    assert!(read(&rig.topic).await.iter().any(|one| one.payload == "m11"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_would_get_a_new_epoch_is_refused() {
    let (rig, records) = published("mixed").await;
    let mut forged = only(&records, [1, 2, 2, 2, 5, 6, 7, 8, 9, 10]);
    let last = forged.len() - 2;
    forged[last].payload = "forged".to_owned();
    topic::replace(&rig.topic, &forged).await;
    let report = audit(&rig).await;
    assert_eq!((report.count(FindingKind::Lost), report.count(FindingKind::Changed)), (2, 1));
    let done = operate::repair(&rig.way(), &report, config(Lead::OnlyIfFree)).await.unwrap();
    assert!(done.lanes[0].refused.as_ref().is_some_and(|why| why.contains("new epoch")), "{done:?}");
    assert_eq!(read(&rig.topic).await.len(), 20);
    let (code, text, _) = rig.run_verb(&["audit", "--repair"]).await;
    assert!(code == 1 && text.contains("see rebase"), "{code}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_a_part_is_refused() {
    let rig = Rig::new("part").await;
    let (code, _, error) = rig.run_verb(&["audit", "--repair", "--since", "1h"]).await;
    assert!(code == 2 && error.contains("--since"), "{code}: {error}");
}
