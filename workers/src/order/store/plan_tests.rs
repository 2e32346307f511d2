//! What looks at unfinished orders costs nothing for finished ones: plans on a real server with 100,000 of them, and
//! updates that stay within their page.

use consumer::Database;
use dev_stack::{Stack, StackConfig};
use provision::migrate;
use schemas::ServiceName;
use tokio_postgres::types::ToSql;

use super::*;

const FINISHED: i64 = 100_000;

/// So many orders of partition 0; each hour of the past has one.
fn insert_sql(stage: &str, awaiting: &str) -> String {
    format!(
        "insert into orders (order_id, partition, version, stage, awaiting, cancel_reason, customer_id, placed_at, currency, \
             total_minor, content, confirm_by, accepted_at, changed_at) \
         select '{stage}-' || n, 0, 1, '{stage}', {awaiting}, 'Requested', '1', at, 'USD', 1, decode (repeat ('00', 32), 'hex'), \
             at, at, at \
         from generate_series (1, $1::bigint) as n, \
             lateral (select clock_timestamp () - n * interval '1 hour' as at) as t"
    )
}

async fn plan(client: &Client, sql: &str, values: &[&(dyn ToSql + Sync)]) -> String {
    let lines = client.query(&format!("explain (analyze, timing off) {sql}"), values).await.unwrap();
    lines.iter().map(|line| line.get::<_, String>(0) + "\n").collect()
}

#[tokio::test]
async fn finished_orders_cost_neither_the_sweep_nor_the_gauges_anything() {
    let stack =
        tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project()).unwrap()).await.unwrap();
    let database = Database::open(&stack.database_url(), None, "orders", "plans").unwrap();
    let mut client = database.client().await.unwrap();
    migrate::migrate(&mut client, ServiceName::Order, "orders").await.unwrap();
    let lanes: Vec<i32> = vec![0];
    let (now, limit) = (Time::from(crate::clock::now()), 500_i64);
    let (early, late) = (Time::EARLIEST.to_timestamp(), now.plus_ms(60_000).to_timestamp());
    let now = now.to_timestamp();
    for (stage, awaiting, count) in [
        ("completed", "null", FINISHED),
        ("cancelled", "null", 1_000),
        ("placed", "null", 20),
        ("stuck", "'PaymentVoid'", 20),
        ("confirmed", "null", 20),
    ] {
        assert_eq!(client.execute(&insert_sql(stage, awaiting), &[&count]).await.unwrap(), count.unsigned_abs());
    }
    let (due, ahead) = (due_sql(), ahead_sql());
    for is_analyzed in [false, true] {
        if is_analyzed {
            client.batch_execute("analyze orders").await.unwrap();
        }
        let looks: [(&str, Vec<&(dyn ToSql + Sync)>); 3] = [
            (due.as_str(), vec![&0_i32, &early, &now, &limit]),
            (ahead.as_str(), vec![&0_i32, &late, &late, &limit]),
            (COUNT_UNFINISHED, vec![&lanes]),
        ];
        for (sql, values) in looks {
            let plan = plan(&client, sql, &values).await;
            assert!(plan.contains("orders_unfinished"), "{sql}:\n{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("orders_confirm_by"), "{sql}:\n{plan}");
            assert_eq!(plan.contains("orders_wake_at"), sql == due, "{sql}:\n{plan}");
        }
        let counts: [(&str, &str, Vec<&(dyn ToSql + Sync)>); 2] =
            [("orders_ship_by", COUNT_OVERDUE, vec![&lanes, &now]), ("orders_wake_at", COUNT_HELD, vec![&lanes])];
        for (index, sql, values) in counts {
            let plan = plan(&client, sql, &values).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{sql}:\n{plan}");
        }
    }
    let due = load_due(&client, 0, Time::EARLIEST, Time::from(now), limit).await.unwrap();
    assert_eq!(due.len(), 20, "only those that wait for a reply");
    let counts = count_unfinished(&client, &Lanes::from([0]), Time::from(now)).await.unwrap();
    let counts: BTreeMap<&str, (i64, i64)> =
        counts.into_iter().map(|(stage, count, age)| (stage, (count, age))).collect();
    assert_eq!(counts["stuck"].0, 20);
    assert!(counts["stuck"].1 > 19 * 3_600, "{counts:?}");
    assert_eq!(counts["cancelling"], (0, 0), "an empty stage has its 0");
}

#[tokio::test]
async fn holds_and_returns_that_come_to_their_end_are_found_and_late_shipments_counted() {
    let stack =
        tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project()).unwrap()).await.unwrap();
    let database = Database::open(&stack.database_url(), None, "orders", "plans").unwrap();
    let mut client = database.client().await.unwrap();
    migrate::migrate(&mut client, ServiceName::Order, "orders").await.unwrap();
    for stage in ["ready_to_ship", "completed", "authorized"] {
        client.execute(&insert_sql(stage, "null"), &[&3_i64]).await.unwrap();
    }
    let wakes = "update orders set wake_at = clock_timestamp () + interval '1 hour' * $2::int where order_id = $1";
    for (id, hours) in [("authorized-1", -1), ("authorized-2", 1), ("completed-1", -2)] {
        client.execute(wakes, &[&id, &hours]).await.unwrap();
    }
    let ships = "update orders set ship_by = clock_timestamp () - interval '90 s' where order_id = 'ready_to_ship-1'";
    client.execute(ships, &[]).await.unwrap();
    let now = Time::from(crate::clock::now());
    let due = load_due(&client, 0, Time::EARLIEST, now, 10).await.unwrap();
    assert_eq!(due.iter().map(OrderId::as_str).collect::<Vec<_>>(), ["completed-1", "authorized-1"]);
    let gauges = count(&client, &Lanes::from([0]), now).await.unwrap();
    assert_eq!((gauges.held, gauges.overdue.0), (2, 1), "a return that is waited for is no hold");
    assert!((80..600).contains(&gauges.overdue.1), "{:?}", gauges.overdue);
}

#[tokio::test]
async fn only_the_last_update_of_an_order_leaves_its_page() {
    let stack =
        tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project()).unwrap()).await.unwrap();
    let database = Database::open(&stack.database_url(), None, "orders", "plans").unwrap();
    let mut client = database.client().await.unwrap();
    migrate::migrate(&mut client, ServiceName::Order, "orders").await.unwrap();
    client.execute(&insert_sql("placed", "null"), &[&1_i64]).await.unwrap();
    let stages = [("stock_reserved", 1), ("confirmed", 2), ("payment_captured", 3), ("completed", 3)];
    let mut script = "begin;".to_owned();
    for (stage, _) in stages {
        script.push_str(&format!(
            "update orders set stage = '{stage}'; select pg_stat_get_xact_tuples_hot_updated ('orders'::regclass) as hot;"
        ));
    }
    let answers = client.simple_query(&(script + "commit")).await.unwrap();
    let hot: Vec<i64> = answers
        .iter()
        .filter_map(|answer| {
            let tokio_postgres::SimpleQueryMessage::Row(row) = answer else { return None };
            row.get("hot")?.parse().ok()
        })
        .collect();
    assert_eq!(hot, stages.map(|(_, hot)| hot));
}
