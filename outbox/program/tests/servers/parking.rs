//! Parked keys in the inbox' tables: what one has parked, freed or given up, another who does not know of it cannot pass by.

use jiff::Timestamp;
use outbox::inbox::parking::{ParkedKey, ParkedMessage, ParkedRun, TimestampType};
use outbox::inbox::place::Place;
use outbox::inbox::{Advance, Cursor, Inbox, LogMark, SourceCursor, TopicPartition};
use outbox::{Class, Client, OutboxError, Transaction};

use crate::rig::Rig;

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), partition }
}

fn step(topic: &str, partition: i32, (from, to): (Option<i64>, i64), parkings: i64, parks: bool) -> Advance {
    let log = LogMark::default();
    Advance { at: at(topic, partition), from, to, log, cursors: Vec::new(), parkings, parks }
}

fn key(first: i64, next: i64) -> ParkedKey {
    let (since, next_attempt) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let cause = "a constraint".to_owned();
    ParkedKey { lane: 0, key: b"k".to_vec(), first, next, since, cause, attempts: 0, next_attempt, asked: None }
}

fn message(number: i64) -> ParkedMessage {
    ParkedMessage {
        lane: 0,
        key: b"k".to_vec(),
        number,
        topic: "t".to_owned(),
        partition: 0,
        offset: 40 + number,
        place: Place { partition: 0, offset: 40 + number },
        position: Some(SourceCursor { source: "/a".to_owned(), cursor: Cursor { epoch: 1, sequence: number } }),
        timestamp_type: TimestampType::Appended,
        timestamp_ms: 7,
        payload: Some(vec![0, 255]),
        headers: vec![("twice".to_owned(), None), ("twice".to_owned(), Some(vec![1]))],
        headers_left_out: 2,
        parked_at: Timestamp::UNIX_EPOCH,
    }
}

fn run(from: i64, to: i64) -> ParkedRun {
    ParkedRun { lane: 0, key: b"k".to_vec(), from, to }
}

/// An inbox of two topics, and two consumers of it.
async fn two(name: &str) -> (Rig, Inbox, Client, Client) {
    let rig = Rig::new(name).await;
    let inbox = Inbox::new("shop").unwrap();
    let (one, other) = (rig.client().await, rig.client().await);
    inbox.ensure(&one, &[at("t", 0), at("u", 0), at("t", 1)]).await.unwrap();
    (rig, inbox, one, other)
}

async fn commit(rig: &Rig, client: &mut Client, change: impl FnOnce(&mut Transaction<'_>)) -> Result<(), OutboxError> {
    let mut transaction = rig.outbox.begin(client).await?;
    change(&mut transaction);
    transaction.commit(Vec::new()).await.map(|_| ())
}

/// The key is parked with its first message, and all rows of its lane count it.
async fn park(rig: &Rig, inbox: &Inbox, client: &mut Client) {
    let parked = commit(rig, client, |tx| {
        inbox.advance(tx, &[step("t", 0, (None, 41), 0, true), step("u", 0, (None, 0), 0, true)]);
        inbox.park_key(tx, &key(0, 1));
        inbox.park_messages(tx, &[message(0)]).unwrap();
    });
    parked.await.unwrap();
}

#[tokio::test]
async fn who_does_not_know_of_a_parked_key_moves_nothing_in_its_lane() {
    let (rig, inbox, mut one, mut other) = two("parking_stale").await;
    park(&rig, &inbox, &mut one).await;
    // The other has read another topic of the lane, and nothing was taken there.
    let stale = commit(&rig, &mut other, |tx| inbox.advance(tx, &[step("u", 0, (Some(0), 1), 0, false)])).await;
    assert_eq!(stale.unwrap_err().class(), Class::Conflict);
    let many = [step("t", 0, (Some(41), 42), 1, false), step("u", 0, (Some(0), 1), 0, false)];
    let stale = commit(&rig, &mut other, |tx| inbox.advance(tx, &many)).await;
    assert_eq!(stale.unwrap_err().class(), Class::Conflict);
    commit(&rig, &mut other, |tx| inbox.advance(tx, &[step("t", 1, (None, 1), 0, false)])).await.unwrap();
    commit(&rig, &mut other, |tx| inbox.advance(tx, &[step("u", 0, (Some(0), 1), 1, false)])).await.unwrap();

    let loaded = inbox.load_parked(&other, &[0]).await.unwrap();
    assert_eq!((loaded.keys, loaded.messages), (vec![key(0, 1)], 1));
    assert_eq!(inbox.parked_messages(&other, 0, b"k", 9).await.unwrap(), [message(0)], "as it came");
    assert_eq!(inbox.load_parked(&other, &[1]).await.unwrap().keys, []);
}

#[tokio::test]
async fn of_two_who_take_or_add_the_same_message_one_is_refused() {
    let (rig, inbox, mut one, mut other) = two("parking_race").await;
    park(&rig, &inbox, &mut one).await;
    let add = |tx: &mut Transaction<'_>| {
        inbox.extend_parked(tx, &[run(1, 2)]);
        inbox.park_messages(tx, &[message(1)]).unwrap();
    };
    commit(&rig, &mut one, add).await.unwrap();
    assert_eq!(commit(&rig, &mut other, add).await.unwrap_err().class(), Class::Conflict);
    // Whoever thinks that one message is all frees nothing.
    let free = commit(&rig, &mut other, |tx| inbox.unpark(tx, &run(0, 1), None)).await;
    assert_eq!(free.unwrap_err().class(), Class::Conflict);
    let take = |tx: &mut Transaction<'_>| inbox.unpark(tx, &run(0, 1), Some(Timestamp::UNIX_EPOCH));
    commit(&rig, &mut other, take).await.unwrap();
    assert_eq!(commit(&rig, &mut one, take).await.unwrap_err().class(), Class::Conflict);
    assert_eq!(inbox.parked_messages(&one, 0, b"k", 9).await.unwrap(), [message(1)]);
    commit(&rig, &mut one, |tx| inbox.unpark(tx, &run(1, 2), None)).await.unwrap();
    assert_eq!(inbox.parked_keys(&one, None).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_given_up_counts_in_its_lane_and_is_sent_in_the_same_transaction() {
    let (rig, inbox, mut one, other) = two("parking_given_up").await;
    park(&rig, &inbox, &mut one).await;
    let refused = inbox.set_parked_aside(&rig.outbox, &mut one, (0, b"k"), |_, _| Err("no such topic".into())).await;
    assert!(refused.unwrap_err().to_string().contains("no such topic"));
    assert_eq!(inbox.parked_keys(&other, Some(b"k")).await.unwrap().len(), 1);
    let letter = |parked: &ParkedKey, messages: Vec<ParkedMessage>| {
        assert_eq!((parked, &messages[..]), (&key(0, 1), &[message(0)][..]));
        Ok(vec![rig.event_at(0, "letter")])
    };
    assert_eq!(inbox.set_parked_aside(&rig.outbox, &mut one, (0, b"k"), letter).await.unwrap(), 1);
    assert_eq!(rig.rows(&other, 0).await.len(), 1);
    let loaded = inbox.load_parked(&other, &[0]).await.unwrap();
    assert!(loaded.keys.is_empty() && loaded.parkings.iter().all(|row| row.parkings == 2), "{loaded:?}");
    let again = inbox.set_parked_aside(&rig.outbox, &mut one, (0, b"k"), |_, _| Ok(Vec::new())).await;
    assert_eq!(again.unwrap(), 0);
}

#[tokio::test]
async fn an_attempt_in_vain_and_a_wish_are_kept_and_a_key_follows_its_topics() {
    let (rig, inbox, mut one, _) = two("parking_kept").await;
    park(&rig, &inbox, &mut one).await;
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let tried = ParkedKey { attempts: 1, next_attempt: at(120), cause: "still".to_owned(), ..key(0, 1) };
    assert!(inbox.put_off_parked(&one, &tried).await.unwrap());
    assert!(!inbox.put_off_parked(&one, &ParkedKey { first: 1, ..tried.clone() }).await.unwrap(), "another is first");
    assert_eq!(inbox.parked_keys(&one, None).await.unwrap(), std::slice::from_ref(&tried));
    assert_eq!(inbox.ask_to_retry(&one, Some(b"other"), "ada", at(60)).await.unwrap(), 0);
    assert_eq!(inbox.ask_to_retry(&one, None, "ada", at(60)).await.unwrap(), 1);
    let asked = ParkedKey { next_attempt: at(60), asked: Some(("ada".to_owned(), at(60))), ..tried };
    assert_eq!(inbox.parked_keys(&one, Some(b"k")).await.unwrap(), [asked]);

    let transaction = one.transaction().await.unwrap();
    assert_eq!(inbox.move_parked(&transaction, 7).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    let lane = inbox.parked_keys(&one, None).await.unwrap()[0].lane;
    let home = format!("select {}", outbox::partition_sql("shop", "'k'::bytea", "7").unwrap());
    assert_eq!(lane, one.query_one(&home, &[]).await.unwrap().get::<_, i32>(0), "where its records go");
    assert_eq!(inbox.parked_messages(&one, lane, b"k", 9).await.unwrap().len(), 1);
}
