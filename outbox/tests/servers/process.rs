//! The program `outbox-relay` as a process: killed and paused at any moment.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dev_stack::Child;

use crate::rig::{Rig, stack};
use crate::topic::{self, follow, read_until};

/// Starts the program for the rig's outbox.
fn relay_process(rig: &Rig, name: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
    command
        .env("DATABASE_URL", &rig.url)
        .env("KAFKA_BROKERS", stack().brokers())
        .env("OUTBOX_SCHEMA", "shop")
        .env_remove("PLANTED_BUG");
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.log", rig.topic));
    Child::spawn(command, name, &log).unwrap()
}

/// Appends until `done` completes; returns how many.
async fn write_until(rig: &Rig, done: impl Future<Output = ()>) -> usize {
    let mut client = rig.client().await;
    let mut done = std::pin::pin!(done);
    let mut written = 0;
    loop {
        let messages = (0..20).map(|n| rig.event(&format!("{n}"), &format!("{written}/{n}"))).collect();
        written += rig.append(&mut client, messages).await.places.len();
        tokio::select! {
            biased;
            () = &mut done => return written,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    }
}

async fn wait_for(rig: &Rig, messages: usize) {
    read_until(&rig.topic, messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_relays_lose_nothing_and_repeat_nothing() {
    let rig = Rig::new("killed").await;
    topic::create(&rig.topic).await;
    let killing = async {
        for round in 0..4 {
            let relay = relay_process(&rig, &format!("relay-{round}"));
            relay.wait_for_line("the relay leads", Duration::from_secs(20)).unwrap();
            tokio::time::sleep(Duration::from_millis(150 + 70 * round)).await;
            relay.kill9().unwrap();
        }
    };
    let written = write_until(&rig, killing).await;
    let last = relay_process(&rig, "relay-last");
    let seen = read_until(&rig.topic, written).await;
    let followed = follow(&seen);
    assert_eq!((followed.total(), followed.gaps, followed.stale), (written, 0, 0));
    // A killed process has nothing in flight that could arrive after its successor has looked.
    assert_eq!(followed.duplicates, 0);
    last.terminate().unwrap();
    let status = last.wait_timeout(Duration::from_secs(10)).unwrap().expect("ends when asked to");
    assert!(status.success(), "{}", last.tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_relay_is_replaced_and_does_no_harm_when_it_wakes() {
    let rig = Rig::new("paused").await;
    topic::create(&rig.topic).await;
    let first = relay_process(&rig, "relay-paused");
    first.wait_for_line("the relay leads", Duration::from_secs(20)).unwrap();
    let second = relay_process(&rig, "relay-standby");
    let pausing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.stop().unwrap();
        let standby = &second;
        let leads = tokio::task::block_in_place(|| standby.wait_for_line("the relay leads", Duration::from_secs(20)));
        assert!(leads.unwrap().is_some(), "{}", standby.tail());
        tokio::time::sleep(Duration::from_millis(200)).await;
        first.cont().unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let written = write_until(&rig, pausing).await;
    wait_for(&rig, written).await;
    let followed = follow(&read_until(&rig.topic, written).await);
    assert_eq!((followed.total(), followed.gaps, followed.stale), (written, 0, 0));
    assert!(first.is_running(), "it stands by again: {}", first.tail());
    second.kill9().unwrap();
    let more = write_until(&rig, tokio::time::sleep(Duration::from_millis(300))).await;
    wait_for(&rig, written + more).await;
    first.kill9().unwrap();
}
