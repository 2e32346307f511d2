//! The size: an outbox that is written to for long takes no more room at the end than at the beginning, and an event costs
//! no more WAL, although a transaction is held open all the time.
//!
//! A program of its own, because WAL is counted for the whole server.

#[cfg(test)]
#[path = "../servers/rig.rs"]
#[expect(dead_code, reason = "shared with the other test program, which uses all of it")]
mod rig;
#[cfg(test)]
#[path = "../servers/topic.rs"]
#[expect(dead_code, reason = "shared with the other test program, which uses all of it")]
mod topic;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use outbox::{Client, Outbox, OutboxMessage, Role};

    use crate::rig::{PARTITIONS, Rig};
    use crate::topic::{self, follow, read_until};

    /// Three thirds are compared; `SIZE_SECONDS` makes it longer.
    const SECONDS: u64 = 15;
    const RETENTION: Duration = Duration::from_millis(300);
    const WARM_UP: Duration = Duration::from_secs(2);
    const BODY_BYTES: usize = 300;

    /// Where things stood.
    #[derive(Debug, Clone, Copy)]
    struct Sample {
        events: i64,
        wal: i64,
        tables: i64,
    }

    /// Highest sequences are what was written, whether still stored or not.
    async fn sample(client: &Client) -> Sample {
        let sql = "select (select sum(h) from unnest(shop.outbox_heads((select array_agg(lane) from shop.outbox_lanes))) h)::int8, \
                     pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8, \
                     (pg_total_relation_size('shop.outbox_messages_0') + pg_total_relation_size('shop.outbox_messages_1'))::int8";
        let row = client.query_one(sql, &[]).await.unwrap();
        Sample { events: row.get(0), wal: row.get(1), tables: row.get(2) }
    }

    /// One third: how much was written, the largest size of the tables, WAL per event.
    #[derive(Debug, Clone, Copy)]
    struct Third {
        events: i64,
        most_bytes: i64,
        wal_per_event: i64,
    }

    async fn third(client: &Client, length: Duration) -> Third {
        let (first, until) = (sample(client).await, Instant::now() + length);
        let mut most_bytes = first.tables;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = sample(client).await;
            most_bytes = most_bytes.max(now.tables);
            if Instant::now() >= until {
                let events = now.events - first.events;
                let third = Third { events, most_bytes, wal_per_event: (now.wal - first.wal) / events.max(1) };
                println!(
                    "{} events, tables at most {} KiB, {} B of WAL per event",
                    third.events,
                    third.most_bytes / 1024,
                    third.wal_per_event
                );
                return third;
            }
        }
    }

    async fn write(outbox: Outbox, mut client: Client, one: OutboxMessage, until: Instant) -> usize {
        let mut written = 0;
        while Instant::now() < until {
            let messages = (0..20).map(|n| one.clone().id(uuid::Uuid::now_v7()).partition(n % PARTITIONS));
            written += outbox.begin(&mut client).await.unwrap().commit(messages.collect()).await.unwrap().places.len();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        written
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn size_and_wal_per_event_are_flat_with_a_transaction_held_open() {
        let seconds = std::env::var("SIZE_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
        let rig = Rig::new("size").await;
        topic::create(&rig.topic).await;
        let (watcher, holder) = (rig.client().await, rig.client().await);
        holder.batch_execute("set idle_in_transaction_session_timeout = 0").await.unwrap();
        let open = "begin isolation level repeatable read; select pg_current_xact_id(), count(*) from pg_class";
        holder.batch_execute(open).await.unwrap();
        let relay = rig.relay_with(&rig.outbox, |config| {
            config.retention = RETENTION;
            config.rotation_interval = Duration::from_millis(20);
        });
        relay.until_leading().await;
        let length = Duration::from_secs(seconds) / 3;
        let until = Instant::now() + WARM_UP + 3 * length + Duration::from_secs(1);
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let one = rig.event("key", &"x".repeat(BODY_BYTES));
            writers.spawn(write(rig.outbox.clone(), rig.client().await, one, until));
        }
        tokio::time::sleep(WARM_UP).await;
        let thirds = [third(&watcher, length).await, third(&watcher, length).await, third(&watcher, length).await];
        let written: usize = writers.join_all().await.into_iter().sum();
        holder.batch_execute("commit").await.unwrap();

        let (first, last) = (thirds[0], thirds[2]);
        let total = thirds.iter().map(|third| third.events).sum::<i64>() * i64::try_from(BODY_BYTES).unwrap();
        let report = relay.status.report();
        println!("{written} events in all, {} truncations", report.truncations);
        assert!(report.role == Role::Leading && report.truncations >= seconds / 2, "{report:?}");
        assert!(last.most_bytes <= first.most_bytes * 3 / 2 + 512 * 1024, "the tables grow: {thirds:?}");
        assert!(last.most_bytes < total / 3, "bounded by retention and not by what was written: {thirds:?}");
        let (low, high) = (first.wal_per_event * 2 / 3, first.wal_per_event * 3 / 2);
        assert!((low..=high).contains(&last.wal_per_event), "WAL per event: {thirds:?}");
        let followed = follow(&read_until(&rig.topic, written).await);
        assert_eq!((followed.total(), followed.gaps, followed.duplicates), (written, 0, 0));
        relay.stop().await;
    }
}
