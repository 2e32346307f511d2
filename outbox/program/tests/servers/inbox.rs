//! The inbox's tables: compare-and-set in the consumer's own transaction.

use outbox::inbox::{Advance, Cursor, Held, Inbox, LogMark, SourceCursor, TopicPartition, Witness};
use outbox::{Class, Client, OutboxError};
use uuid::Uuid;

use crate::rig::Rig;

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: "t".to_owned(), partition }
}

fn advance(partition: i32, from: Option<i64>, to: i64, sequences: &[(&str, i64)]) -> Advance {
    let cursors = sequences
        .iter()
        .map(|(source, sequence)| SourceCursor {
            source: (*source).to_owned(),
            cursor: Cursor { epoch: 1, sequence: *sequence },
        })
        .collect();
    Advance { at: at(partition), from, to, log: LogMark::default(), cursors, parkings: 0, parks: false }
}

async fn step(rig: &Rig, inbox: &Inbox, client: &mut Client, steps: &[Advance]) -> Result<(), OutboxError> {
    let partitions: Vec<TopicPartition> = steps.iter().map(|step| step.at.clone()).collect();
    let mut transaction = rig.outbox.begin(client).await?;
    inbox.lock(&transaction, &partitions).await?;
    inbox.advance(&mut transaction, steps);
    transaction.commit(Vec::new()).await.map(|_| ())
}

#[tokio::test]
async fn a_partition_moves_forward_from_where_it_was_and_only_from_there() {
    let rig = Rig::new("inbox").await;
    let inbox = Inbox::new("shop").unwrap();
    let mut client = rig.client().await;
    let error = step(&rig, &inbox, &mut client, &[advance(0, None, 1, &[])]).await.unwrap_err();
    assert_eq!(error.class(), Class::Conflict, "{error}");

    inbox.ensure(&client, &[at(1), at(0)]).await.unwrap();
    inbox.ensure(&client, &[at(0), at(1)]).await.unwrap();
    inbox.prepare(&client).await.unwrap();
    let steps = [advance(1, None, 5, &[("/a", 3), ("/b", 2)]), advance(0, None, 2, &[])];
    step(&rig, &inbox, &mut client, &steps).await.unwrap();
    step(&rig, &inbox, &mut client, &[advance(1, Some(5), 9, &[("/a", 4)])]).await.unwrap();

    for wrong in [
        advance(1, Some(5), 10, &[]),
        advance(1, None, 10, &[]),
        advance(1, Some(9), 8, &[]),
        advance(1, Some(9), 10, &[("/a", 4)]),
    ] {
        let error = step(&rig, &inbox, &mut client, std::slice::from_ref(&wrong)).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict, "{wrong:?}: {error}");
    }
    let states = inbox.load(&client, &[at(0), at(2), at(1)]).await.unwrap();
    assert_eq!(states.iter().map(|state| state.next_offset).collect::<Vec<_>>(), [Some(2), None, Some(9)]);
    let cursor = |source: &str| states[2].cursors[source];
    assert_eq!(cursor("/a"), Cursor { epoch: 1, sequence: 4 });
    assert_eq!(cursor("/b"), Cursor { epoch: 1, sequence: 2 });
}

#[tokio::test]
async fn a_lock_returns_what_is_held_in_the_order_asked_for() {
    let rig = Rig::new("inbox_lock").await;
    let inbox = Inbox::new("shop").unwrap();
    let mut client = rig.client().await;
    inbox.ensure(&client, &[at(0), at(1), at(2)]).await.unwrap();
    step(&rig, &inbox, &mut client, &[advance(1, None, 7, &[])]).await.unwrap();
    let transaction = rig.outbox.begin(&mut client).await.unwrap();
    let held = inbox.lock(&transaction, &[at(2), at(1)]).await.unwrap();
    assert_eq!(held, [None, Some(7)].map(|next_offset| Held { next_offset, parkings: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_consumers_that_take_the_same_step_one_is_refused() {
    let rig = Rig::new("inbox_race").await;
    let inbox = Inbox::new("shop").unwrap();
    let (mut one, mut other) = (rig.client().await, rig.client().await);
    inbox.ensure(&one, &[at(0)]).await.unwrap();
    let from_one = [advance(0, None, 3, &[("/a", 3)])];
    let (first, second) =
        tokio::join!(step(&rig, &inbox, &mut one, &from_one), step(&rig, &inbox, &mut other, &from_one));
    let refused = [first, second].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].class(), Class::Conflict);
}

#[tokio::test]
async fn what_tells_the_log_moves_with_the_offset_and_is_not_believed_without_it() {
    let rig = Rig::new("inbox_log").await;
    let inbox = Inbox::new("shop").unwrap();
    let mut client = rig.client().await;
    inbox.ensure(&client, &[at(0)]).await.unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let witness = |offset| Some(Witness { offset, digest: [7; 16] });
    let marked =
        |from, to, witness, topic_id| Advance { log: LogMark { witness, topic_id }, ..advance(0, from, to, &[]) };
    let log = async |client: &Client| inbox.load(client, &[at(0)]).await.unwrap()[0].log;

    step(&rig, &inbox, &mut client, &[marked(None, 5, witness(4), Some(one))]).await.unwrap();
    assert_eq!(log(&client).await, LogMark { witness: witness(4), topic_id: Some(one) });
    // A step that is refused leaves it, and so does one that leaves the id out; a witness is not kept for another offset.
    step(&rig, &inbox, &mut client, &[marked(None, 9, witness(8), Some(other))]).await.unwrap_err();
    assert_eq!(log(&client).await, LogMark { witness: witness(4), topic_id: Some(one) });
    step(&rig, &inbox, &mut client, &[marked(Some(5), 6, None, None)]).await.unwrap();
    assert_eq!(log(&client).await, LogMark { witness: None, topic_id: Some(one) });
    // A program from before moves the offset alone.
    step(&rig, &inbox, &mut client, &[marked(Some(6), 7, witness(6), None)]).await.unwrap();
    client.execute("update shop.inbox_offsets set next_offset = 12", &[]).await.unwrap();
    assert_eq!(log(&client).await, LogMark { witness: None, topic_id: Some(one) });
}

#[tokio::test]
async fn an_id_is_adopted_only_where_none_is_known_and_nothing_has_moved() {
    let rig = Rig::new("inbox_adopt").await;
    let inbox = Inbox::new("shop").unwrap();
    let mut client = rig.client().await;
    let all = [at(0), at(1), at(2)];
    inbox.ensure(&client, &all).await.unwrap();
    let known = Some(Uuid::from_u128(1));
    let with_id = Advance { log: LogMark { witness: None, topic_id: known }, ..advance(2, None, 5, &[]) };
    let steps = [advance(0, None, 5, &[]), advance(1, None, 6, &[]), with_id];
    step(&rig, &inbox, &mut client, &steps).await.unwrap();
    let new = Uuid::from_u128(2);
    inbox.adopt(&client, &[(at(0), 5, new), (at(1), 5, new), (at(2), 5, new)]).await.unwrap();
    let ids: Vec<Option<Uuid>> =
        inbox.load(&client, &all).await.unwrap().iter().map(|state| state.log.topic_id).collect();
    assert_eq!(ids, [Some(new), None, known]);
}
