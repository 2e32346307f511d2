//! Plans: the cursor and the writers use the primary key whatever the statistics say.

use std::time::Duration;

use crate::rig::Rig;
use crate::topic;

async fn assert_primary_key(rig: &Rig, statistics: &str) {
    let plan = outbox::operate::cursor_plan(&*rig.client().await, "shop").await.unwrap().join("\n");
    for table in ["outbox_messages_0", "outbox_messages_1"] {
        let wanted = format!("Index Scan using {table}_pkey");
        assert!(plan.contains(&wanted), "with {statistics}:\n{plan}");
    }
    assert!(plan.contains("Merge Append"), "with {statistics}:\n{plan}");
    let sorts = plan.lines().filter(|line| line.contains("Sort") && !line.contains("Sort Key")).count();
    assert!(!plan.contains("Seq Scan") && sorts == 0, "with {statistics}:\n{plan}");
}

#[tokio::test]
async fn the_cursor_uses_the_primary_key_whatever_the_statistics_say() {
    let rig = Rig::new("plan").await;
    let client = rig.client().await;
    for table in [0, 1] {
        let off = format!("alter table shop.outbox_messages_{table} set (autovacuum_enabled = off)");
        client.batch_execute(&off).await.unwrap();
    }
    assert_primary_key(&rig, "no statistics").await;
    // One after the other, so that each is empty and full beside the other one full and empty.
    for table in [0, 1] {
        let analyze = format!("analyze shop.outbox_messages_{table}");
        client.batch_execute(&analyze).await.unwrap();
        assert_primary_key(&rig, "statistics of an empty table").await;
        let fill = format!(
            "insert into shop.outbox_messages_{table} (sequence, time, lane, id) select n, now(), \
             (select min(lane) from shop.outbox_lanes), gen_random_uuid() from generate_series(1, 30000) n"
        );
        client.batch_execute(&fill).await.unwrap();
        assert_primary_key(&rig, "stale statistics").await;
        client.batch_execute(&analyze).await.unwrap();
        assert_primary_key(&rig, "statistics of a single lane").await;
    }
    client.batch_execute("truncate shop.outbox_messages_0").await.unwrap();
    assert_primary_key(&rig, "a truncated table").await;
    // And the session is as it was.
    let row = client.query_one("select current_setting('enable_seqscan')", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_ever_scans_the_table() {
    let rig = Rig::new("scans").await;
    topic::create(&rig.topic).await;
    let mut client = rig.client().await;
    // Building the index has counted as a scan.
    let before = scans(&client).await.0;
    let relay = rig.relay(&rig.outbox);
    relay.until_leading().await;
    for round in 0..20 {
        let messages = (0..50).map(|n| rig.event(&format!("{n}"), &format!("{round}"))).collect();
        rig.append(&mut client, messages).await;
    }
    relay.until("publishing all", |report| report.published == 1000).await;
    relay.stop().await;
    let again = rig.relay(&rig.outbox);
    again.until_leading().await;
    again.stop().await;
    // Sessions report what they did when they are idle or end.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.batch_execute("select pg_stat_force_next_flush()").await.unwrap();
    let (sequential, by_index) = scans(&client).await;
    assert_eq!(sequential, before);
    assert!(by_index > 20);
}

/// How often the table was scanned, and how often an index of it.
async fn scans(client: &outbox::Client) -> (i64, i64) {
    let sql = "select sum(seq_scan)::int8, sum(idx_scan)::int8 from pg_stat_user_tables \
               where schemaname = 'shop' and relname ~ 'outbox_messages_[01]'";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}
