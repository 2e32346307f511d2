//! Appending: gapless lanes, nothing half done, and guards that raise.

use outbox::{Class, Expect, Outbox, OutboxConfig, OutboxError, OutboxMessage, TopicSpec, params};

use crate::rig::{PARTITIONS, Rig};

#[tokio::test]
async fn sequences_begin_at_one_and_have_no_gap() {
    let rig = Rig::new("gapless").await;
    let mut client = rig.client().await;
    for round in 0..3 {
        let messages = vec![rig.event_at(1, &format!("{round}a")), rig.event_at(0, "x"), rig.event_at(1, "b")];
        let committed = rig.append(&mut client, messages).await;
        let sequences: Vec<i64> = committed.places.iter().map(|place| place.sequence).collect();
        assert_eq!(sequences, [round * 2 + 1, round + 1, round * 2 + 2]);
    }
    let sequences: Vec<i64> = rig.rows(&client, 1).await.into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_rollback_leaves_neither_rows_nor_a_gap() {
    let rig = Rig::new("rollback").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let insert = client.prepare("insert into note values ($1)").await.unwrap();
    rig.append(&mut client, vec![rig.event_at(0, "first")]).await;

    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.defer(&insert, params![1_i32], Expect::Rows(1));
    transaction.defer(&insert, params![1_i32], Expect::Rows(1));
    let refused = transaction.commit(vec![rig.event_at(0, "never")]).await.unwrap_err();
    assert!(matches!(refused, OutboxError::Database { .. }), "{refused}");
    assert!(refused.to_string().contains("23505"), "{refused}");

    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.query(&insert, &[&2_i32]).await.unwrap();
    transaction.rollback().await.unwrap();

    let committed = rig.append(&mut client, vec![rig.event_at(0, "second")]).await;
    assert_eq!(committed.places[0].sequence, 2);
    assert_eq!(client.query_one("select count(*) from note", &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_commit_after_an_error_is_not_taken_for_one() {
    let rig = Rig::new("after_error").await;
    let mut client = rig.client().await;
    let divide = client.prepare("select 1 / $1::int4").await.unwrap();
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    let error = transaction.query(&divide, &[&0_i32]).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    let refused = transaction.commit(vec![rig.event_at(0, "never")]).await.unwrap_err();
    assert!(matches!(refused, OutboxError::TransactionFailed), "{refused}");

    // Behind the transaction's back: the server answers COMMIT with ROLLBACK and without an error.
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.query(&divide, &[&1_i32]).await.unwrap();
    transaction.client().query(&divide, &[&0_i32]).await.unwrap_err();
    transaction.commit(Vec::new()).await.unwrap_err();
    assert_eq!(rig.rows(&client, 0).await, []);
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let rig = Rig::new("dropped").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let insert = client.prepare("insert into note values ($1)").await.unwrap();
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.query(&insert, &[&1_i32]).await.unwrap();
    drop(transaction);
    // The connection is in no transaction, so this stands alone.
    client.execute(&insert, &[&2_i32]).await.unwrap();
    let other = rig.client().await;
    let ids: Vec<i32> = other.query("select id from note", &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, [2]);
}

#[tokio::test]
async fn a_statement_that_cannot_be_sent_stops_the_commit() {
    let rig = Rig::new("unsendable").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let insert = client.prepare("insert into note values ($1)").await.unwrap();
    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.defer(&insert, params![1_i32], Expect::Any);
    transaction.defer(&insert, params!["not a number"], Expect::Any);
    transaction.commit(vec![rig.event_at(0, "never")]).await.unwrap_err();
    assert_eq!(client.query_one("select count(*) from note", &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(rig.rows(&client, 0).await, []);
}

#[tokio::test]
async fn the_guards_raise() {
    let rig = Rig::new("guards").await;
    let mut client = rig.client().await;
    for (setting, word) in [
        ("set transaction isolation level repeatable read", "isolation"),
        ("set transaction isolation level serializable", "isolation"),
        ("set local synchronous_commit = off", "synchronous_commit"),
    ] {
        let setting = client.prepare(setting).await.unwrap();
        for messages in [vec![rig.event_at(0, "never")], vec![]] {
            let transaction = rig.outbox.begin(&mut client).await.unwrap();
            transaction.query(&setting, &[]).await.unwrap();
            let refused = transaction.commit(messages).await.unwrap_err();
            assert!(refused.to_string().contains(word), "{refused}");
            assert!(refused.to_string().contains(outbox::SQLSTATE_GUARD), "{refused}");
            assert_eq!(refused.class(), Class::Permanent);
        }
    }
    assert_eq!(rig.rows(&client, 0).await, []);
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_before_it_is_stored() {
    let rig = Rig::with("refused", |mut config| {
        config.max_message_bytes = 2_000;
        config
    })
    .await;
    let mut client = rig.client().await;
    let unknown = OutboxMessage::event("elsewhere", "test.Event.v1").key("k");
    for message in [unknown, rig.event_at(PARTITIONS, "b"), rig.event("k", &"b".repeat(2_000))] {
        let refused = rig.outbox.begin(&mut client).await.unwrap().commit(vec![message]).await.unwrap_err();
        assert_eq!(refused.class(), Class::Permanent, "{refused}");
    }
    assert_eq!(rig.append(&mut client, vec![rig.event_at(0, "fits")]).await.places[0].sequence, 1);
}

#[tokio::test]
async fn statements_are_texts_too() {
    let rig = Rig::new("texts").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let (insert, all) = ("insert into note values ($1)", "select id from note order by id");
    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    assert_eq!(transaction.execute(insert, &[&1_i32]).await.unwrap(), 1);
    assert_eq!(transaction.query_one(all, &[]).await.unwrap().get::<_, i32>(0), 1);
    assert!(transaction.query_opt("select id from note where id > $1", &[&1_i32]).await.unwrap().is_none());
    transaction.defer(insert, params![2_i32], Expect::Rows(1));
    transaction.defer(&insert.to_owned(), params![3_i32], Expect::Rows(1));
    transaction.commit(vec![rig.event_at(0, "with texts")]).await.unwrap();

    // Nothing of it was visible before the commit, everything after: BEGIN went first, prepared or not.
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    let several = transaction.query_one(all, &[]).await.unwrap_err();
    assert!(matches!(several, OutboxError::RowCount { got: 3, .. }), "{several}");
    let none = transaction.query_one("select id from note where id > $1", &[&3_i32]).await.unwrap_err();
    assert!(matches!(none, OutboxError::RowCount { got: 0, .. }), "{none}");
    // A wrong number of rows is no failure of the transaction.
    transaction.execute("delete from note", &[]).await.unwrap();
    drop(transaction);
    let rows = client.query(all, &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(), [1, 2, 3]);
    assert_eq!(rig.rows(&client, 0).await, [(1, "with texts".to_owned())]);
}

#[tokio::test]
async fn a_text_that_is_no_statement_stops_the_transaction() {
    let rig = Rig::new("nonsense").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let insert = "insert into note values ($1)";
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.execute(insert, &[&1_i32]).await.unwrap();
    transaction.execute("insert nonsense", &[]).await.unwrap_err();
    let refused = transaction.commit(vec![rig.event_at(0, "never")]).await.unwrap_err();
    assert!(matches!(refused, OutboxError::TransactionFailed), "{refused}");

    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.defer(insert, params![1_i32], Expect::Any);
    transaction.defer("insert nonsense", params![], Expect::Any);
    let refused = transaction.commit(vec![rig.event_at(0, "never")]).await.unwrap_err();
    assert!(refused.to_string().contains("42601"), "{refused}");
    assert_eq!(client.query_one("select count(*) from note", &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(rig.rows(&client, 0).await, []);
}

#[tokio::test]
async fn a_deferred_statement_with_too_few_rows_is_named() {
    let rig = Rig::new("expect").await;
    let mut client = rig.client().await;
    client.batch_execute("create table note (id int primary key)").await.unwrap();
    let update = client.prepare("update note set id = id where id = $1").await.unwrap();
    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    transaction.defer(&update, params![1_i32], Expect::Rows(1));
    let error = transaction.commit(Vec::new()).await.unwrap_err();
    assert!(matches!(error, OutboxError::UnexpectedRows { expected: 1, got: 0 }), "{error}");
}

#[tokio::test]
async fn opening_again_is_harmless_and_another_partition_count_is_refused() {
    let rig = Rig::new("opening").await;
    let mut client = rig.client().await;
    outbox::migrate(&mut client, "shop").await.unwrap();
    let config =
        |partitions| OutboxConfig::new("shop", "/test", vec![TopicSpec { name: rig.topic.clone(), partitions }]);
    Outbox::open(&client, config(PARTITIONS)).await.unwrap();
    let refused = Outbox::open(&client, config(PARTITIONS + 1)).await.unwrap_err();
    assert!(matches!(&refused, OutboxError::Configuration { reason } if reason.contains("4 partitions")), "{refused}");
    let refused = Outbox::open(&client, OutboxConfig::new("nowhere", "/test", Vec::new())).await.unwrap_err();
    assert!(matches!(&refused, OutboxError::Schema { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_leave_no_gap_and_never_fail() {
    let rig = Rig::new("writers").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_i32 {
        let mut client = rig.client().await;
        let outbox = rig.outbox.clone();
        let messages: Vec<_> = (0..40_i32)
            .map(|round| {
                let own = rig.event_at(writer % PARTITIONS, &format!("{writer}/{round}"));
                vec![own, rig.event_at((writer + round) % PARTITIONS, &format!("{writer}/{round}"))]
            })
            .collect();
        writers.spawn(async move {
            for pair in messages {
                outbox.begin(&mut client).await.unwrap().commit(pair).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let client = rig.client().await;
    let mut total = 0;
    for partition in 0..PARTITIONS {
        let rows = rig.rows(&client, partition).await;
        assert!(rows.iter().zip(1..).all(|((sequence, _), expected)| *sequence == expected));
        total += rows.len();
    }
    assert_eq!(total, 640);
}
