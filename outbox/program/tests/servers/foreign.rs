//! Programs in any language: one INSERT or SELECT anywhere in a transaction, published just the same.

use std::process::Command;
use std::time::Duration;

use outbox::{Client, OutboxMessage, SQLSTATE_GUARD, SQLSTATE_REFUSED, TopicSpec};
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::python;
use crate::rig::{PARTITIONS, Rig};
use crate::topic::{self, follow, read_until};

async fn run(client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(sql).await
}

/// SQLSTATE of a script that fails.
async fn refusal(client: &Client, script: &str) -> SqlState {
    let error = run(client, script).await.unwrap_err();
    run(client, "rollback").await.unwrap();
    error.code().unwrap_or_else(|| panic!("{error}")).clone()
}

fn send(rig: &Rig, partition: i32, body: &str) -> String {
    format!("select shop.outbox_send('{}', 'k', '{body}', 'T.v1', partition => {partition});", rig.topic)
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_statements_are_published_as_if_by_the_crate() {
    let rig = Rig::new("plain").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.reopened().await);
    relay.until_leading().await;
    rig.append(&mut client, vec![rig.event_at(0, "crate")]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let topic = &rig.topic;
    let script = format!(
        "begin; {} create table mine (id int); {} \
         insert into shop.outbox_sends (topic, key, payload, type, partition, headers, causation, traceparent) values \
           ('{topic}', 'a', 'one', 'T.v1', 0, '{{\"tenant\": \"t\", \"none\": null}}', 'order 7', '{trace}'), \
           ('{topic}', 'b', 'two', null, 0, '{{\"raw\": \"r\"}}', null, null); commit",
        send(&rig, 1, "first"),
        send(&rig, 0, "zero")
    );
    run(&client, &script).await.unwrap();
    rig.append(&mut client, vec![rig.event_at(0, "crate again")]).await;
    let seen = read_until(topic, 6).await;
    let followed = follow(&seen);
    assert_eq!((followed.gaps, followed.duplicates), (0, 0));
    assert_eq!(followed.taken[&0], ["crate", "zero", "one", "two", "crate again"]);
    assert_eq!(followed.taken[&1], ["first"]);
    let one = seen.iter().find(|record| record.payload == "one").unwrap();
    let header = |name: &str| one.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    assert_eq!(one.key, "a");
    for (name, value) in [
        ("ce_source", "/test"),
        ("ce_type", "T.v1"),
        ("ce_causationid", "order 7"),
        ("traceparent", trace),
        ("tenant", "t"),
    ] {
        assert_eq!(header(name), Some(Some(value.to_owned())), "{name}");
    }
    assert_eq!(header("none"), Some(None));
    let two = seen.iter().find(|record| record.payload == "two").unwrap();
    let names: Vec<&str> = two.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["raw", "outbox-id", "outbox-position"]);
    relay.stop().await;
}

#[tokio::test]
async fn what_is_rolled_back_is_not_sent() {
    let rig = Rig::new("undone").await;
    let client = rig.client().await;
    let script = format!(
        "begin; {} savepoint s; {} rollback to s; {} commit; begin; {} rollback; begin; savepoint s; {} \
         set constraints all immediate; rollback to s; {} commit",
        send(&rig, 0, "kept"),
        send(&rig, 1, "never"),
        send(&rig, 0, "kept too"),
        send(&rig, 0, "never"),
        send(&rig, 0, "never"),
        send(&rig, 2, "last"),
    );
    run(&client, &script).await.unwrap();
    let kept = [(1, "kept".to_owned()), (2, "kept too".to_owned())];
    assert_eq!(rig.rows(&client, 0).await, kept);
    assert_eq!(rig.rows(&client, 1).await, []);
    assert_eq!(rig.rows(&client, 2).await, [(1, "last".to_owned())]);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_where_it_is_sent() {
    let rig = Rig::new("refuses").await;
    let client = rig.client().await;
    let topic = &rig.topic;
    let refused = SqlState::from_code(SQLSTATE_REFUSED);
    for call in [
        "'elsewhere', 'k', 'b', 'T'".to_owned(),
        format!("'{topic}', 'k', repeat('b', 1000000), 'T'"),
        format!("'{topic}', null, 'b', 'T'"),
        format!("'{topic}', 'k', 'b', 'T', partition => {PARTITIONS}"),
        format!("'{topic}', 'k', 'b', ''"),
        format!("'{topic}', 'k', 'b', 'T', headers => '[1]'"),
    ] {
        assert_eq!(refusal(&client, &format!("begin; select shop.outbox_send({call})")).await, refused, "{call}");
    }
    let guard = SqlState::from_code(SQLSTATE_GUARD);
    for begin in [
        "begin isolation level repeatable read;",
        "begin isolation level serializable;",
        "begin; set local synchronous_commit = off;",
    ] {
        assert_eq!(refusal(&client, &format!("{begin} {}", send(&rig, 0, "never"))).await, guard, "{begin}");
    }
    // Turned off after the message was sent.
    let late = format!("begin; {} set local synchronous_commit = off; commit", send(&rig, 0, "never"));
    assert_eq!(refusal(&client, &late).await, guard);
    let limit = format!(
        "set outbox.max_message_bytes = 2000000; select shop.outbox_send('{topic}', 'k', \
                         repeat('b', 1000000), 'T', partition => 3)"
    );
    run(&client, &limit).await.unwrap();
    assert_eq!((rig.rows(&client, 0).await.len(), rig.rows(&client, 3).await.len()), (0, 1));
}

#[tokio::test]
async fn a_sender_needs_no_right_but_to_insert() {
    let rig = Rig::new("rights").await;
    let client = rig.client().await;
    let role = format!("sender_{}", Uuid::now_v7().simple());
    let script = format!(
        "create role {role}; grant usage on schema shop to {role}; grant insert on shop.outbox_sends to {role}; \
         set role {role}; {} insert into shop.outbox_sends (topic, key, payload, type, partition) \
         values ('{}', 'k', 'b', 'T', 0); reset role; drop owned by {role}; drop role {role}",
        send(&rig, 0, "a"),
        rig.topic
    );
    run(&client, &script).await.unwrap();
    assert_eq!(rig.rows(&client, 0).await, [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn opposite_orders_do_not_deadlock_and_all_writers_share_the_lanes() {
    let rig = Rig::new("opposite").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay(&rig.reopened().await);
    let mut writers = tokio::task::JoinSet::new();
    for up in [true, false] {
        let client = rig.client().await;
        let mut lanes: Vec<i32> = (0..PARTITIONS).collect();
        if !up {
            lanes.reverse();
        }
        let script: String = lanes.iter().map(|lane| send(&rig, *lane, &format!("{up}"))).collect();
        writers.spawn(async move {
            for _ in 0..60 {
                run(&client, &format!("begin; {script} commit")).await.unwrap();
            }
            60 * PARTITIONS
        });
    }
    let mut client = rig.client().await;
    let outbox = rig.outbox.clone();
    let messages: Vec<OutboxMessage> = (0..PARTITIONS).map(|partition| rig.event_at(partition, "crate")).collect();
    writers.spawn(async move {
        for _ in 0..60 {
            let again = messages.iter().map(|message| message.clone().id(Uuid::now_v7())).collect();
            outbox.begin(&mut client).await.unwrap().commit(again).await.unwrap();
        }
        60 * PARTITIONS
    });
    let mut written = 0;
    while let Some(done) = writers.join_next().await {
        written += usize::try_from(done.unwrap()).unwrap();
    }
    let followed = follow(&read_until(&rig.topic, written).await);
    assert_eq!((followed.total(), followed.gaps, followed.duplicates), (written, 0, 0));
    relay.stop().await;
}

#[tokio::test]
async fn the_partition_of_a_key_is_the_same_in_the_database() {
    const WIDE: i32 = 997;
    let rig = Rig::with("keys", |mut config| {
        config.topics.push(TopicSpec { name: "wide".to_owned(), partitions: WIDE });
        config
    })
    .await;
    let mut client = rig.client().await;
    // Random bytes of every length; a key is not always text.
    let salt = Uuid::now_v7();
    let block = |n: usize| Uuid::new_v5(&salt, &n.to_be_bytes()).into_bytes();
    let keys: Vec<Vec<u8>> =
        (0..600_usize).map(|n| (0..5).flat_map(|part| block(n * 5 + part)).take(n % 75).collect()).collect();
    let message = |key: &Vec<u8>| OutboxMessage::event("wide", "test.Event.v1").key(key.clone()).payload("");
    let places = rig.append(&mut client, keys.iter().map(message).collect()).await.places;
    let by_crate: Vec<i32> = places.iter().map(|place| place.lane & 0xffff).collect();
    let partition = outbox::partition_sql("shop", "k", "$2").unwrap();
    let sql = format!("select array_agg({partition} order by n) from unnest($1::bytea[]) with ordinality u (k, n)");
    let in_database: Vec<i32> = client.query_one(&sql, &[&keys, &WIDE]).await.unwrap().get(0);
    assert_eq!(in_database, by_crate);
    assert!(by_crate.iter().collect::<std::collections::BTreeSet<_>>().len() > 300, "they are spread");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_through_which_they_send_stays_small() {
    let rig = Rig::new("sends").await;
    topic::create(&rig.topic).await;
    let client = rig.client().await;
    let relay = rig.relay_with(&rig.outbox, |config| config.rotation_interval = Duration::from_millis(10));
    relay.until_leading().await;
    let many = format!(
        "select shop.outbox_send('{}', 'k', repeat('x', 1500), 'T', partition => 1) from generate_series(1, 4000)",
        rig.topic
    );
    run(&client, &many).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let size = "select pg_relation_size('shop.outbox_sends')";
    while client.query_one(size, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(std::time::Instant::now() < until, "never truncated");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(follow(&read_until(&rig.topic, 4_000).await).taken[&1].len(), 4_000);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_and_python_send_in_their_own_transactions() {
    let rig = Rig::new("languages").await;
    topic::create(&rig.topic).await;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    let psql = format!("begin; {} {} commit", send(&rig, 0, "psql 1"), send(&rig, 0, "psql 2"));
    let (url, topic) = (rig.url.clone(), rig.topic.clone());
    let said = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("psql");
        let output = command.args(["-v", "ON_ERROR_STOP=1", "-qAt", &url, "-c", &psql]).output();
        let output = output.expect("psql is needed: install the package postgresql-client");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        python::run("send.py", &[&url, &topic])
    });
    let said = said.await.unwrap();
    assert_eq!(said.trim(), "refused OB004", "what the program prints");
    let followed = follow(&read_until(&rig.topic, 5).await);
    assert_eq!(followed.taken[&0], ["psql 1", "psql 2", "python 1", "python 2"]);
    assert_eq!(followed.taken[&1], ["python 3"]);
    relay.stop().await;
}
