//! A database that was set back, and a relay that is to hold then.

use outbox::operate::{self, RebaseConfig};
use outbox::{OnRestore, Outbox, Restored};

use crate::rig::{Rig, Running};
use crate::takeover::{back_up, bodies, restore, texts};
use crate::topic::{self, follow, read, read_until};

fn holding(rig: &Rig, outbox: &Outbox) -> Running {
    rig.relay_with(outbox, |config| config.on_restore = OnRestore::Hold)
}

async fn difference(rig: &Rig) -> Option<Restored> {
    rig.outbox.compare(&rig.way(), &topic::kafka()).await.unwrap().restored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_holds_until_the_older_state_is_accepted() {
    let rig = Rig::new("holding").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = holding(&rig, &rig.outbox);
    relay.until_leading().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 5, "kept")).await;
    rig.append(&mut client, bodies(&rig, 1, 1, 3, "kept")).await;
    read_until(&rig.topic, 8).await;
    back_up(&client).await;
    rig.append(&mut client, bodies(&rig, 0, 6, 9, "lost")).await;
    read_until(&rig.topic, 12).await;
    relay.stop().await;
    assert_eq!(difference(&rig).await, None, "it was only stopped");

    restore(&client).await;
    let found = Restored { topic: rig.topic.clone(), partition: 0, offset: 5, epoch: 1, sequence: 6 };
    assert_eq!(difference(&rig).await, Some(found.clone()));
    let relay = holding(&rig, &rig.outbox);
    let words = found.to_string();
    relay.until("holding", |report| report.last_error.as_ref().is_some_and(|error| error.contains(&words))).await;
    rig.append(&mut client, bodies(&rig, 1, 4, 4, "waiting")).await;
    assert_eq!(relay.status.report().epoch_changes, 0);
    assert_eq!(read(&rig.topic).await.len(), 12, "not even lanes without a difference are published");

    let mut config = RebaseConfig::new("shop", topic::kafka());
    config.only_where_different = true;
    let report = operate::rebase(&rig.way(), config.clone()).await.unwrap();
    assert_eq!(report.lanes.len(), 1);
    let lane = &report.lanes[0];
    assert_eq!((lane.partition, lane.last_equal, lane.void_up_to, lane.first), (0, 5, 9, Some(10)));
    assert_eq!(operate::rebase(&rig.way(), config).await.unwrap().lanes, [], "once is enough");
    let comparison = rig.outbox.compare(&rig.way(), &topic::kafka()).await.unwrap();
    assert!(comparison.restored.is_none() && comparison.last_epoch_age.is_some(), "{comparison:?}");
    relay.until_leading().await;
    rig.append(&mut client, bodies(&rig, 0, 6, 7, "new")).await;
    let taken = follow(&read_until(&rig.topic, 15).await).taken;
    assert_eq!(taken[&0], [texts(1, 5, "kept"), texts(6, 9, "lost"), texts(6, 7, "new")].concat());
    assert_eq!(taken[&1], [texts(1, 3, "kept"), texts(4, 4, "waiting")].concat());
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_lost_its_end_is_no_restore() {
    let rig = Rig::new("behind").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    rig.append(&mut client, bodies(&rig, 0, 1, 9, "m")).await;
    let relay = holding(&rig, &rig.outbox);
    relay.until_leading().await;
    let records = read_until(&rig.topic, 9).await;
    relay.crash().await;
    topic::replace(&rig.topic, &records[..4]).await;
    assert_eq!(difference(&rig).await, None);
    let relay = holding(&rig, &rig.outbox);
    relay.until_leading().await;
    assert_eq!(follow(&read_until(&rig.topic, 9).await).taken[&0], texts(1, 9, "m"));
    relay.stop().await;
}
