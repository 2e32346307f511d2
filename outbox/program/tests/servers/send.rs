//! Messages sent in a transaction of the caller's own driver: as if appended by the crate, with the caller's savepoints.

use outbox::{Class, OutboxError, OutboxMessage, SQLSTATE_REFUSED, SendColumns};
use tokio_postgres::IsolationLevel;

use crate::rig::{PARTITIONS, Rig};
use crate::topic::{self, follow, read_until};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_sent_is_the_same_record_as_one_that_was_committed() {
    let rig = Rig::new("sent").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let event = rig.event("a key", "body").caused_by("order 7").trace_parent(trace).header("tenant", "t");
    let caused = rig.event_at(1, "caused").caused_by(uuid::Uuid::now_v7()).trace_parent("no trace");
    let mut raw = OutboxMessage::raw(rig.topic.as_str()).partition(2).header("x", "1");
    raw.headers.push(("y".to_owned(), None));
    let messages = vec![event, caused, raw];
    rig.append(&mut client, messages.clone()).await;
    let transaction = client.transaction().await.unwrap();
    rig.outbox.send(&*transaction, &messages).await.unwrap();
    transaction.commit().await.unwrap();
    rig.publish(6).await;

    let seen = read_until(&rig.topic, 6).await;
    assert_eq!((follow(&seen).gaps, follow(&seen).duplicates), (0, 0));
    for message in &messages {
        let id = Some(message.id.to_string());
        let of_it = |(name, value): &(String, Option<String>)| (name == "ce_id" || name == "outbox-id") && *value == id;
        let both: Vec<_> = seen.iter().filter(|record| record.headers.iter().any(of_it)).collect();
        let [first, second] = both[..] else { panic!("{} records of {id:?}", both.len()) };
        let content = |record: &crate::topic::Seen| {
            let mut headers = record.headers.clone();
            headers.retain(|(name, _)| name != "outbox-position");
            (record.partition, record.key.clone(), record.payload.clone(), headers)
        };
        assert_eq!(content(first), content(second));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_calls_is_that_of_the_records() {
    let rig = Rig::new("woken").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let relay = rig.relay(&rig.reopened().await);
    relay.until_leading().await;
    let transaction = client.transaction().await.unwrap();
    rig.outbox.send(&*transaction, &[rig.event_at(0, "1"), rig.event_at(0, "2")]).await.unwrap();
    rig.outbox.send(&*transaction, &[]).await.unwrap();
    rig.outbox.send(&*transaction, &[rig.event_at(0, "3")]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(follow(&read_until(&rig.topic, 3).await).taken[&0], ["1", "2", "3"]);
    relay.stop().await;
}

#[tokio::test]
async fn only_what_is_committed_is_sent() {
    let rig = Rig::new("kept").await;
    let mut client = rig.client().await;
    let mut transaction = client.transaction().await.unwrap();
    rig.outbox.send(&*transaction, &[rig.event_at(0, "kept")]).await.unwrap();
    let savepoint = transaction.savepoint("s").await.unwrap();
    rig.outbox.send(&*savepoint, &[rig.event_at(0, "never")]).await.unwrap();
    savepoint.rollback().await.unwrap();
    rig.outbox.send(&*transaction, &[rig.event_at(0, "kept too")]).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    rig.outbox.send(&*transaction, &[rig.event_at(1, "never")]).await.unwrap();
    drop(transaction);
    assert_eq!(rig.rows(&client, 0).await, [(1, "kept".to_owned()), (2, "kept too".to_owned())]);
    assert_eq!(rig.rows(&client, 1).await, []);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_where_it_is_sent() {
    let rig = Rig::new("unsent").await;
    let mut client = rig.client().await;
    let transaction = client.transaction().await.unwrap();
    let twice = rig.event_at(0, "b").header("a", "1").header("a", "2");
    for message in [OutboxMessage::event("elsewhere", "T").key("k"), rig.event_at(PARTITIONS, "b"), twice] {
        let refused = rig.outbox.send(&*transaction, &[rig.event_at(0, "never"), message]).await.unwrap_err();
        assert_eq!(refused.class(), Class::Permanent, "{refused}");
    }
    // Refused before anything was sent, so the transaction is as it was.
    rig.outbox.send(&*transaction, &[rig.event_at(0, "fits")]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rig.rows(&client, 0).await, [(1, "fits".to_owned())]);

    // What other drivers send is judged by the database.
    let columns = SendColumns::of(&[OutboxMessage::event("elsewhere", "T").key("k")]).unwrap();
    let sql = outbox::send_sql("shop").unwrap();
    let SendColumns { topics, keys, payloads, types, ids, headers, partitions, times_us, causations, .. } = &columns;
    let refused = client
        .execute(
            &sql,
            &[topics, keys, payloads, types, ids, headers, partitions, times_us, causations, &columns.trace_parents],
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code().map(|state| state.code()), Some(SQLSTATE_REFUSED));

    let strict = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    let refused = rig.outbox.send(&*strict, &[rig.event_at(0, "never")]).await.unwrap_err();
    assert!(matches!(&refused, OutboxError::Database { .. }), "{refused}");
    assert!(refused.to_string().contains(outbox::SQLSTATE_GUARD), "{refused}");
}
