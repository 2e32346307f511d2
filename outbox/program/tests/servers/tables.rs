//! What other programs read and move in the crate's tables, through the crate.

use std::collections::HashMap;

use outbox::cut::{self, StoredMessage};
use outbox::inbox::{
    Advance, Cursor, GapAccepted, Inbox, LogMark, PartitionState, Resumed, SourceCursor, TopicMoved, TopicPartition,
    Witness,
};
use outbox::operate::adopt::{self, LastPublished, Tail};
use outbox::{Class, Epochs, Outbox, OutboxConfig, OutboxError, OutboxMessage, migrate};

use crate::rig::Rig;
use crate::topic::{self, follow, read, read_until};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.to_owned(), partition }
}

fn of(source: &str, sequence: i64) -> SourceCursor {
    SourceCursor { source: source.to_owned(), cursor: Cursor { epoch: 1, sequence } }
}

fn mark() -> LogMark {
    let witness = Some(Witness { offset: 4, digest: [7; 16] });
    LogMark { witness, topic_id: Some(uuid::Uuid::from_u128(9)) }
}

/// An inbox that has read up to offset 5 of `t`[0] and taken three messages of `/a`.
async fn read_up_to_five(rig: &Rig) -> Inbox {
    let (inbox, mut client) = (Inbox::new("shop").unwrap(), rig.client().await);
    inbox.ensure(&client, &[at("t", 0), at("t", 1)]).await.unwrap();
    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    let step = Advance {
        at: at("t", 0),
        from: None,
        to: 5,
        log: mark(),
        cursors: vec![of("/a", 3)],
        parkings: 0,
        parks: false,
    };
    inbox.advance(&mut transaction, &[step]);
    transaction.commit(Vec::new()).await.unwrap();
    inbox
}

#[tokio::test]
async fn a_gap_is_accepted_forward_only_and_an_offset_moves_both_ways() {
    let rig = Rig::new("moved").await;
    let inbox = read_up_to_five(&rig).await;
    let mut client = rig.client().await;
    let accepted = inbox.accept_gap(&client, &at("t", 0), &of("/a", 9)).await.unwrap();
    assert_eq!(accepted, GapAccepted::Moved { from: Some(Cursor { epoch: 1, sequence: 3 }) });
    for sequence in [9, 4] {
        let again = inbox.accept_gap(&client, &at("t", 0), &of("/a", sequence)).await.unwrap();
        assert_eq!(again, GapAccepted::AlreadyPast);
    }
    let first = inbox.accept_gap(&client, &at("t", 0), &of("/b", 2)).await.unwrap();
    assert_eq!(first, GapAccepted::Moved { from: None });

    assert_eq!(inbox.load(&client, &[at("t", 0)]).await.unwrap()[0].log, mark());
    for (offset, from) in [(2, 5), (8, 2)] {
        let resumed = inbox.resume_at(&client, &at("t", 0), offset).await.unwrap();
        assert_eq!(resumed, Resumed::Moved { from: Some(from) });
    }
    assert_eq!(inbox.resume_at(&client, &at("t", 7), 2).await.unwrap(), Resumed::NeverRead);
    let all = inbox.load_all(&client).await.unwrap();
    let cursors = [of("/a", 9), of("/b", 2)].map(|of| (of.source, of.cursor)).into();
    let moved = PartitionState { next_offset: Some(8), cursors, ..PartitionState::default() };
    assert_eq!(all, [(at("t", 0), moved), (at("t", 1), PartitionState::default())].into());

    // A consumer that runs meanwhile finds out.
    let mut transaction = rig.outbox.begin(&mut client).await.unwrap();
    let step = Advance {
        at: at("t", 0),
        from: Some(5),
        to: 6,
        log: LogMark::default(),
        cursors: Vec::new(),
        parkings: 0,
        parks: false,
    };
    inbox.advance(&mut transaction, &[step]);
    assert_eq!(transaction.commit(Vec::new()).await.unwrap_err().class(), Class::Conflict);
}

#[tokio::test]
async fn an_inbox_follows_its_topic_to_another_name_and_is_rewound() {
    let rig = Rig::new("renamed").await;
    let inbox = read_up_to_five(&rig).await;
    let mut client = rig.client().await;
    let transaction = client.transaction().await.unwrap();
    let moved = inbox.move_topic(&transaction, "t", "u", &[5, 3]).await.unwrap();
    assert_eq!(moved, TopicMoved { partitions: 2, set_back: 0 });
    let all = inbox.load_all(transaction.client()).await.unwrap();
    let LogMark { witness, topic_id } = all[&at("u", 0)].log;
    assert_eq!((witness, topic_id), (mark().witness, None), "the last record proves the new log");
    assert_eq!(all[&at("u", 0)].cursors["/a"].sequence, 3);
    assert_eq!(all[&at("u", 1)].next_offset, None, "what was never read is read from its beginning");

    let moved = inbox.move_topic(&transaction, "u", "v", &[4]).await.unwrap();
    assert_eq!(moved, TopicMoved { partitions: 1, set_back: 1 });
    let all = inbox.load_all(transaction.client()).await.unwrap();
    assert_eq!((all[&at("v", 0)].next_offset, all[&at("v", 0)].log), (Some(4), LogMark::default()));

    let state = PartitionState {
        next_offset: Some(5),
        log: mark(),
        cursors: HashMap::from([("/c".to_owned(), Cursor { epoch: 2, sequence: 6 })]),
        restored_below: 3,
        place_shift: 6,
    };
    inbox.insert(&transaction, &at("w", 1), &state).await.unwrap();
    assert_eq!(inbox.load_all(transaction.client()).await.unwrap()[&at("w", 1)], state);

    inbox.rewind(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
    for (at, state) in inbox.load_all(&client).await.unwrap() {
        assert_eq!((state.next_offset, state.log, state.cursors.len()), (None, LogMark::default(), 0), "{at:?}");
    }
}

/// Heads of the rig's lanes.
async fn heads(rig: &Rig, client: &outbox::Client) -> Vec<i64> {
    let cut = cut::read(client, "shop").await.unwrap();
    (0..2).map(|partition| cut.lanes[&(rig.topic.clone(), partition)].head).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_shows_one_moment_whatever_is_committed_meanwhile() {
    let rig = Rig::new("cut").await;
    topic::create(&rig.topic).await;
    let (mut writer, reader) = (rig.client().await, rig.client().await);
    let raw = OutboxMessage::raw(rig.topic.as_str()).partition(1).header("h", "1").header("h", "2");
    let messages = vec![rig.event_at(0, "a").caused_by("because"), rig.event_at(1, "b"), raw];
    let ids: Vec<_> = messages.iter().map(|message| message.id).collect();
    rig.append(&mut writer, messages).await;

    let snapshot = cut::begin(&reader, "shop").await.unwrap();
    rig.append(&mut writer, vec![rig.event_at(0, "later")]).await;
    assert_eq!(snapshot.lanes[&(rig.topic.clone(), 1)].head, 2);
    assert_eq!(heads(&rig, &reader).await, [1, 2]);
    let lock = "begin; lock table shop.outbox_messages_1 in access exclusive mode nowait";
    let locked = writer.batch_execute(lock).await.unwrap_err();
    assert_eq!(locked.code().map(|state| state.code()), Some("55P03"), "a truncation has to wait");
    writer.batch_execute("rollback").await.unwrap();
    let mut seen = Vec::new();
    let note = |message: StoredMessage<'_>| {
        let texts: Vec<_> = message.headers.iter().map(|(name, value)| format!("{name}{value:?}")).collect();
        seen.push((message.id, message.sequence, message.ce_type.is_some(), message.causation.is_some(), texts.len()));
        Ok::<(), OutboxError>(())
    };
    cut::messages(&reader, "shop", note).await.unwrap();
    assert_eq!(seen, [(ids[0], 1, true, true, 0), (ids[1], 1, true, false, 0), (ids[2], 2, false, false, 2)]);
    reader.batch_execute("commit").await.unwrap();
    assert_eq!(heads(&rig, &reader).await, [2, 2]);

    let waiting = cut::unpublished(&reader, "shop", b"k").await.unwrap();
    let places: Vec<_> = waiting.iter().map(|row| (row.partition, row.sequence, row.payload.as_deref())).collect();
    assert_eq!(places, [(0, 1, Some(&b"a"[..])), (0, 2, Some(b"later")), (1, 1, Some(b"b"))]);
    assert_eq!(waiting[0].causation.as_ref().map(ToString::to_string).as_deref(), Some("because"));
    rig.publish(4).await;
    assert_eq!(cut::unpublished(&reader, "shop", b"k").await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_made_anew_continue_behind_what_their_topic_holds() {
    let rig = Rig::new("adopted").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    let messages = (0..5).map(|n| rig.event_at(n % 2, &format!("{n}"))).collect();
    rig.append(&mut client, messages).await;
    rig.publish(5).await;

    outbox::migrate(&mut client, "anew").await.unwrap();
    let records = read(&rig.topic).await;
    let tail = |partition: i32| {
        let of_it = records.iter().filter(|record| record.partition == partition);
        let last = of_it.max_by_key(|record| record.position.sequence).map(|record| LastPublished {
            epoch: record.position.epoch,
            sequence: record.position.sequence,
            offset: record.offset,
        });
        Tail { topic: rig.topic.clone(), partition, last, epochs: Epochs::default() }
    };
    let tails: Vec<Tail> = (0..crate::rig::PARTITIONS).map(tail).collect();
    let transaction = client.transaction().await.unwrap();
    assert_eq!(adopt::raise(&transaction, "anew", &tails).await.unwrap(), 2);
    assert_eq!(adopt::raise(&transaction, "anew", &tails).await.unwrap(), 0, "once more is nothing more");
    transaction.commit().await.unwrap();

    let config = OutboxConfig::new("anew", "/test", rig.outbox.config().topics.clone());
    let anew = Outbox::open(&client, config).await.unwrap();
    let committed = anew.begin(&mut client).await.unwrap().commit(vec![rig.event_at(0, "next")]).await.unwrap();
    assert_eq!(committed.places[0].sequence, 4);
    let relay = rig.relay(&anew);
    let followed = follow(&read_until(&rig.topic, 6).await);
    relay.stop().await;
    assert_eq!((followed.gaps, followed.duplicates, followed.stale), (0, 0, 0));
    assert_eq!(followed.taken[&0], ["0", "2", "4", "next"]);
    let cut = cut::read(&client, "anew").await.unwrap();
    assert!(cut.lanes.values().all(|lane| lane.epochs == Epochs::default()), "no epoch has begun: {cut:?}");
}

#[tokio::test]
async fn a_topic_and_what_letters_say_of_it_get_another_name() {
    let rig = Rig::new("letters").await;
    let mut client = rig.client().await;
    let letter = |origin: &str| OutboxMessage::raw(rig.topic.as_str()).partition(0).header("origin", origin);
    let event = rig.event_at(0, "").header("origin", "old");
    rig.append(&mut client, vec![letter("old").header("x", "old"), letter("older"), event]).await;
    let transaction = client.transaction().await.unwrap();
    assert!(adopt::rename_topic(&transaction, "shop", &rig.topic, "new.topic").await.unwrap());
    assert!(!adopt::rename_topic(&transaction, "shop", &rig.topic, "new.topic").await.unwrap());
    adopt::replace_header(&transaction, "shop", "origin", (b"old", b"a longer one")).await.unwrap();
    let mut seen = Vec::new();
    let note = |message: StoredMessage<'_>| {
        let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
        seen.push(message.headers.iter().map(|(_, value)| text(*value)).collect::<Vec<_>>());
        Ok::<(), OutboxError>(())
    };
    cut::messages(transaction.client(), "shop", note).await.unwrap();
    assert_eq!(seen, [vec!["a longer one", "old"], vec!["older"], vec!["old"]]);
    assert!(cut::read(transaction.client(), "shop").await.unwrap().lanes.contains_key(&("new.topic".to_owned(), 0)));

    adopt::forget_topics(&transaction, "shop").await.unwrap();
    adopt::register(&transaction, "shop", "other", 2).await.unwrap();
    let cut = cut::read(transaction.client(), "shop").await.unwrap();
    assert_eq!((cut.lanes.len(), cut.lanes[&("other".to_owned(), 1)].head), (2, 0));
}

#[tokio::test]
async fn tables_of_another_version_are_not_read() {
    let rig = Rig::new("version").await;
    let client = rig.client().await;
    migrate::check(&client, "shop").await.unwrap();
    for (spoil, word) in [
        ("insert into shop.outbox_version values (99)", "newer"),
        ("delete from shop.outbox_version where version > 1", "run the migration"),
        ("drop table shop.outbox_version", "there are no outbox tables"),
    ] {
        client.batch_execute(spoil).await.unwrap();
        let refused = migrate::check(&client, "shop").await.unwrap_err();
        assert!(matches!(refused, OutboxError::Schema { .. }) && refused.to_string().contains(word), "{refused}");
    }
}
