//! Changes that go with the append: all or nothing in one statement, in their order, with and without BEGIN.

use std::time::Duration;

use outbox::{Change, Class, OutboxError, SQLSTATE_GUARD, params};
use tokio_postgres::error::SqlState;

use crate::rig::Rig;

const MAKE: &str =
    "create table note (id int primary key, pieces int not null); insert into note values (1, 10), (2, 20)";

fn take() -> Change {
    let text = "update note set pieces = pieces - $2::int4 where id = $1::int4 and pieces >= $2 returning 1";
    Change::new(text).refused_with("there are too few pieces")
}

#[expect(clippy::unwrap_used, reason = "called by tests alone")]
async fn pieces(client: &tokio_postgres::Client) -> Vec<i32> {
    let rows = client.query("select pieces from note order by id", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn they_are_all_or_nothing_with_and_without_begin() {
    let rig = Rig::new("changes").await;
    let mut client = rig.client().await;
    client.batch_execute(MAKE).await.unwrap();
    let mut committed = 0;
    for (is_plain, reads) in [(true, false), (false, false), (true, true)] {
        for (wanted, is_taken) in [(1, true), (1000, false)] {
            let before = pieces(&client).await;
            let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
            if is_plain {
                transaction = transaction.of_plain_session();
            }
            if reads {
                transaction.query("select 1", &[]).await.unwrap();
            }
            transaction.change(&take(), params![1_i32, 1_i32], 1);
            transaction.change(&take(), params![2_i32, wanted], 1);
            match transaction.commit(vec![rig.event_at(0, "taken")]).await {
                Ok(done) => {
                    committed += 1;
                    assert!(is_taken && done.places[0].sequence == committed, "{done:?}");
                    assert_eq!(pieces(&client).await, [before[0] - 1, before[1] - 1]);
                }
                Err(refused) => {
                    assert!(!is_taken && refused.class() == Class::Conflict, "{refused}");
                    assert!(refused.to_string().contains("there are too few pieces"), "{refused}");
                    assert_eq!(pieces(&client).await, before);
                }
            }
        }
    }
    assert_eq!(committed, 3);
    assert_eq!(i64::try_from(rig.rows(&client, 0).await.len()).unwrap(), committed);
}

#[tokio::test]
async fn one_that_refuses_stops_those_behind_it() {
    let rig = Rig::new("change_order").await;
    let mut client = rig.client().await;
    client.batch_execute(MAKE).await.unwrap();
    let divides = Change::new("update note set pieces = pieces / $2::int4 where id = $1::int4 returning 1");
    for (first, second, expected) in [(take(), divides.clone(), "OB002"), (divides, take(), "22012")] {
        let parameters = |change: &Change| match change.text().contains('/') {
            true => params![1_i32, 0_i32],
            false => params![2_i32, 1000_i32],
        };
        let mut transaction = rig.outbox.begin(&mut client).await.unwrap().of_plain_session();
        transaction.change(&first, parameters(&first), 1);
        transaction.change(&second, parameters(&second), 1);
        let refused = transaction.commit(Vec::new()).await.unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    assert_eq!(pieces(&client).await, [10, 20]);
}

#[tokio::test]
async fn they_take_their_locks_in_order() {
    let rig = Rig::new("change_locks").await;
    let (mut client, blocker, looker) = (rig.client().await, rig.client().await, rig.client().await);
    client.batch_execute(MAKE).await.unwrap();
    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    for (held, is_other_locked) in [(2, true), (1, false)] {
        blocker.batch_execute(&format!("begin; select from note where id = {held} for update")).await.unwrap();
        let mut transaction = rig.outbox.begin(&mut client).await.unwrap().of_plain_session();
        transaction.change(&take(), params![1_i32, 1_i32], 1);
        transaction.change(&take(), params![2_i32, 1_i32], 1);
        let looking = async {
            let waits = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1";
            while looker.query_one(waits, &[&backend]).await.unwrap().get::<_, Option<bool>>(0) != Some(true) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let other = 3 - held;
            let locked = looker.query(&format!("select from note where id = {other} for update nowait"), &[]).await;
            let is_refused = locked.is_err_and(|error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE));
            assert_eq!(is_refused, is_other_locked);
            blocker.batch_execute("rollback").await.unwrap();
        };
        let looking = tokio::time::timeout(Duration::from_secs(20), looking);
        let (committed, looked) = tokio::join!(transaction.commit(Vec::new()), looking);
        looked.unwrap();
        committed.unwrap();
    }
    assert_eq!(pieces(&client).await, [8, 18]);
}

#[tokio::test]
async fn a_session_that_is_not_plain_is_refused_and_commits_nothing() {
    let rig = Rig::new("change_plain").await;
    let mut client = rig.client().await;
    client.batch_execute(MAKE).await.unwrap();
    client.batch_execute("set default_transaction_isolation = 'repeatable read'").await.unwrap();
    for messages in [vec![rig.event_at(0, "never")], Vec::new()] {
        let mut transaction = rig.outbox.begin(&mut client).await.unwrap().of_plain_session();
        transaction.change(&take(), params![1_i32, 1_i32], 1);
        let refused = transaction.commit(messages).await.unwrap_err();
        let OutboxError::Database { source, .. } = &refused else { panic!("{refused}") };
        assert_eq!(source.code().map(SqlState::code), Some(SQLSTATE_GUARD));
    }
    assert_eq!(pieces(&client).await, [10, 20]);
}

/// Each writer's statement takes its snapshot before it waits for a lane: the heads must be those of after the wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_statements_of_many_writers_leave_no_gap() {
    const WRITERS: i32 = 6;
    const COMMITS: i64 = 60;
    let rig = Rig::new("change_writers").await;
    let client = rig.client().await;
    client.batch_execute("create table note (id int primary key, pieces int not null)").await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (outbox, mut client) = (rig.outbox.clone(), rig.client().await);
        let messages = |round: i64| (0..2).map(|lane| rig.event_at(lane, &format!("{writer}.{round}"))).collect();
        let messages: Vec<Vec<outbox::OutboxMessage>> = (0..COMMITS).map(messages).collect();
        client.execute("insert into note values ($1, 1000)", &[&writer]).await.unwrap();
        writers.spawn(async move {
            for messages in messages {
                let mut transaction = outbox.begin(&mut client).await.unwrap().of_plain_session();
                transaction.change(&take(), params![writer, 1_i32], 1);
                transaction.commit(messages).await.unwrap();
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    for lane in 0..2 {
        let sequences: Vec<i64> = rig.rows(&client, lane).await.into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!(sequences, (1..=i64::from(WRITERS) * COMMITS).collect::<Vec<_>>());
    }
    let left = i32::try_from(1000 - COMMITS).unwrap();
    assert_eq!(pieces(&client).await, vec![left; usize::try_from(WRITERS).unwrap()]);
}
