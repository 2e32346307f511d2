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

/// Starts the program with a database at this address.
fn relay_at(rig: &Rig, name: &str, address: std::net::SocketAddr) -> Child {
    let mut url = rig.url.clone();
    let host = url.split_once('@').map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or_default().to_owned());
    url = url.replace(&host.unwrap(), &address.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
    command
        .env("DATABASE_URL", url)
        .env("KAFKA_BROKERS", stack().brokers())
        .env("OUTBOX_SCHEMA", "shop")
        .env_remove("PLANTED_BUG");
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}.log", rig.topic));
    Child::spawn(command, name, &log).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_waited_for_and_two_signals_at_once_are_one() {
    let rig = Rig::new("waited").await;
    topic::create(&rig.topic).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let stopped = relay_at(&rig, "relay-stopped", address);
    let words = "waiting for the database";
    assert!(stopped.wait_for_line(words, Duration::from_secs(20)).unwrap().is_some(), "{}", stopped.tail());
    stopped.terminate().unwrap();
    let status = stopped.wait_timeout(Duration::from_secs(10)).unwrap().expect("ends while it waits");
    assert!(status.success(), "{}", stopped.tail());

    let relay = relay_at(&rig, "relay-waiting", address);
    assert!(relay.wait_for_line(words, Duration::from_secs(20)).unwrap().is_some(), "{}", relay.tail());
    // The database comes.
    let server = match (rig.database.get_hosts().first(), rig.database.get_ports().first()) {
        (Some(tokio_postgres::config::Host::Tcp(host)), Some(port)) => format!("{host}:{port}"),
        other => panic!("no address: {other:?}"),
    };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let forwarding = tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    assert!(relay.wait_for_line("the relay leads", Duration::from_secs(20)).unwrap().is_some(), "{}", relay.tail());
    relay.terminate().unwrap();
    relay.terminate().unwrap();
    let status = relay.wait_timeout(Duration::from_secs(20)).unwrap().expect("ends when asked to");
    assert!(status.success(), "{}", relay.tail());
    forwarding.abort();
}
