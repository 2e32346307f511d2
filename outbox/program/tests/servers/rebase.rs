//! `outbox-relay rebase`: a new epoch because a person says so.

use outbox::Epochs;
use outbox::operate::{self, OperateError, RebaseConfig, Selection};

use crate::audit::{audit, found, only, published};
use crate::topic::{self, follow, read};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_told_before_it_begins_and_then_begins_on_its_lane_only() {
    let (rig, _) = published("rebase").await;
    let mut client = rig.client().await;
    rig.append(&mut client, (11..=13).map(|n| rig.event_at(0, &format!("m{n}"))).collect()).await;
    let mut config = RebaseConfig::new("shop", topic::kafka());
    config.selection = Selection { topic: Some(rig.topic.clone()), partition: Some(0) };
    config.dry_run = true;
    let planned = operate::rebase(&rig.way(), config.clone()).await.unwrap();
    let lane = &planned.lanes[0];
    assert_eq!((lane.from_epoch, lane.to_epoch, lane.last_equal, lane.first), (1, 2, 10, None));
    assert_eq!((planned.lanes.len(), lane.appended_again, lane.differs), (1, 3, false));

    config.dry_run = false;
    let done = operate::rebase(&rig.way(), config).await.unwrap();
    assert_eq!((done.lanes.len(), done.lanes[0].first), (1, Some(14)));
    rig.publish(3).await;
    let seen = read(&rig.topic).await;
    let followed = follow(&seen);
    assert_eq!(followed.taken[&0], (1..=13).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!((followed.gaps, followed.duplicates, topic::epochs(&seen, 0).current()), (0, 0, 2));
    assert_eq!(topic::epochs(&seen, 1), Epochs::default());
    assert_eq!(found(&audit(&rig).await), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_a_hole_goes_on_after_a_rebase() {
    let (rig, _) = published("holed").await;
    let mut client = rig.client().await;
    rig.append(&mut client, (11..=15).map(|n| rig.event_at(0, &format!("m{n}"))).collect()).await;
    let sql = format!("delete from {} where sequence between 12 and 13", rig.message_table(&client).await);
    assert_eq!(client.execute(&sql, &[]).await.unwrap(), 2);
    let relay = rig.relay(&rig.outbox);
    relay.until("holding", |report| report.held.len() == 1).await;
    let (code, _, error) = rig.run_verb(&["rebase", "--lane", "0"]).await;
    assert!(code == 2 && error.contains("--take-lead"), "{code}: {error}");
    rig.until("saving m11", async || audit(&rig).await.pending == 4).await;
    let (code, text, error) = rig.run_verb(&["rebase", "--lane", "0", "--take-lead", "--json"]).await;
    assert!(code == 0 && text.contains("\"appended_again\":2"), "{code}: {text}{error}");
    rig.until("publishing what is left", async || {
        let seen = read(&rig.topic).await;
        follow(&seen).taken[&0].ends_with(&["m11".to_owned(), "m14".to_owned(), "m15".to_owned()])
    })
    .await;
    relay.stop().await;
    let (code, _, error) = rig.run_verb(&["rebase", "--topic", "elsewhere"]).await;
    assert!(code == 2 && error.contains("no lane of elsewhere"), "{code}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_after_a_given_message_comes_again_in_a_new_epoch() {
    let (rig, records) = published("after").await;
    // Somebody has forged message 7, and the relay has passed it.
    let mut forged = only(&records, 1..=10);
    let place = forged.iter().position(|one| one.partition == 0 && one.position.sequence == 7).unwrap();
    forged[place].payload = "forged".to_owned();
    topic::replace(&rig.topic, &forged).await;
    assert_eq!(found(&audit(&rig).await).len(), 1);
    let (code, _, error) = rig.run_verb(&["rebase", "--after", "6"]).await;
    assert!(code == 2 && error.contains("--topic"), "{code}: {error}");
    let mut config = RebaseConfig::new("shop", topic::kafka());
    config.after = Some(6);
    let refused = operate::rebase(&rig.way(), config.clone()).await;
    assert!(matches!(refused, Err(OperateError::NotOneLane { lanes: 4 })), "{refused:?}");
    let arguments = ["rebase", "--topic", &rig.topic, "--lane", "0", "--after", "6"];
    let (code, text, error) = rig.run_verb(&arguments).await;
    assert!(code == 0 && text.contains("1 -> 2"), "{code}: {text}{error}");
    rig.publish(4).await;
    let seen = read(&rig.topic).await;
    let epochs = topic::epochs(&seen, 0);
    let counts = seen.iter().filter(|one| one.partition == 0 && !epochs.is_void(one.position.sequence));
    let counting: Vec<String> = counts.map(|one| one.payload.clone()).collect();
    assert_eq!(counting, (1..=10).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(found(&audit(&rig).await), []);

    rig.client().await.execute("update shop.outbox_lanes set pruned = 5", &[]).await.unwrap();
    config.selection = Selection { topic: Some(rig.topic.clone()), partition: Some(0) };
    config.after = Some(4);
    let refused = operate::rebase(&rig.way(), config).await;
    assert!(matches!(refused, Err(OperateError::RowsGone { pruned: 5 })), "{refused:?}");
}
