//! A client that has lost its brokers and does not come back: another producer, then another relay.

use std::time::Duration;

use outbox::Role;
use outbox::operate;

use crate::rig::Rig;
use crate::topic::{self, follow, read_until};

async fn leader_pid(rig: &Rig) -> Option<i32> {
    operate::status(&rig.way(), "shop").await.unwrap().leader.map(|leader| leader.pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_has_lost_its_brokers_is_told_of_and_replaced_under_the_same_lead() {
    let rig = Rig::new("lost").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay_with(&rig.outbox, |config| {
        config.renew_producer_after = Duration::from_secs(5);
        *config = config.clone().with_lost_producers(1);
    });
    relay.until_leading().await;
    let leader = leader_pid(&rig).await;
    assert!(leader.is_some());
    let messages = (0..20).map(|n| rig.event(&format!("{n}"), &format!("{n}"))).collect();
    rig.append(&mut client, messages).await;
    relay.until("telling that nothing is acknowledged", |report| report.stalled.is_some()).await;
    relay.until("publishing with another producer", |report| report.published == 20).await;
    relay.until("working again", |report| report.stalled.is_none() && report.role == Role::Leading).await;
    assert_eq!(leader_pid(&rig).await, leader, "it kept the lead");
    let followed = follow(&read_until(&rig.topic, 20).await);
    assert_eq!((followed.total(), followed.gaps, followed.duplicates), (20, 0, 0));
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_reaches_no_broker_leaves_the_lead_to_another() {
    let rig = Rig::new("giving").await;
    topic::create(&rig.topic).await;
    let other = rig.reopened().await;
    let mut client = rig.client().await;
    let first = rig.relay_with(&rig.outbox, |config| {
        config.renew_producer_after = Duration::from_secs(2);
        config.give_up_lead_after = Duration::from_secs(4);
        *config = config.clone().with_lost_producers(u32::MAX);
    });
    first.until_leading().await;
    let second = rig.relay(&other);
    second.until("standing by", |report| report.role == Role::Standby).await;
    let messages = (0..20).map(|n| rig.event(&format!("{n}"), &format!("{n}"))).collect();
    rig.append(&mut client, messages).await;
    second.until("publishing", |report| report.published == 20).await;
    first.until("standing by", |report| report.role == Role::Standby && report.stalled.is_none()).await;
    assert_eq!(first.status.report().published, 0);
    let followed = follow(&read_until(&rig.topic, 20).await);
    assert_eq!((followed.total(), followed.gaps, followed.duplicates), (20, 0, 0));
    first.stop().await;
    second.stop().await;
}
