//! Lists cost what they show and not what there is: plans on a real server with many orders, and pages that miss none.

use dev_stack::{Stack, StackConfig};
use provision::migrate;
use schemas::{CustomerId, ServiceName, Sku};

use super::*;
use crate::OrderList;

/// Orders that are done with, beside the few that are not.
const FINISHED: i64 = 60_000;

const PATIENCE: Duration = Duration::from_secs(60);

/// So many orders of three partitions; each hour of the past has one.
fn insert_sql(stage: &str, also: &str) -> String {
    format!(
        "insert into orders (order_id, partition, version, stage, awaiting, detail, customer_id, placed_at, currency, \
             total_minor, content, confirm_by, accepted_at, changed_at, ship_by, wake_at) \
         select '{stage}-' || n, n % 3, 1, '{stage}', {also}, (n % 7)::text, at, 'USD', 1, decode (repeat ('00', 32), 'hex'), \
             at, at, at, case when '{stage}' = 'ready_to_ship' then at end, \
             case when '{stage}' = 'authorized' then at + interval '1 year' end \
         from generate_series (1, $1::bigint) as n, \
             lateral (select clock_timestamp () - n * interval '1 hour' as at) as t"
    )
}

struct Tables {
    _stack: Stack,
    database: outbox::Database,
    client: Client,
}

async fn tables(counts: &[(&str, i64)]) -> Tables {
    let stack =
        tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project()).unwrap()).await.unwrap();
    let pool = provision::Database::open(&stack.database_url(), None, "orders", "plans").unwrap();
    let mut writing = pool.client().await.unwrap();
    migrate::migrate(&mut writing, ServiceName::Order, "orders").await.unwrap();
    for (stage, count) in counts {
        let awaiting = if *stage == "stuck" { "'PaymentVoid', 'away'" } else { "null, null" };
        writing.execute(&insert_sql(stage, awaiting), &[count]).await.unwrap();
    }
    let contents = "insert into order_contents (order_id, skus, quantities, unit_prices_minor) \
         select order_id, array['all', customer_id], array[1, 1], array[1, 1] from orders";
    writing.execute(contents, &[]).await.unwrap();
    let database = outbox::Database::from_connection_string(&stack.database_url()).unwrap();
    let client = database.connect().await.unwrap();
    set_up(&client, "orders", PATIENCE).await.unwrap();
    Tables { _stack: stack, database, client }
}

fn now() -> Time {
    jiff::Timestamp::now().into()
}

fn filter(stages: &[&str]) -> OrderFilter {
    OrderFilter { stages: stages.iter().map(|stage| (*stage).to_owned()).collect(), ..OrderFilter::default() }
}

#[tokio::test]
async fn every_list_goes_by_its_own_index_whatever_the_statistics_say() {
    let tables = tables(&[
        ("completed", FINISHED),
        ("cancelled", 1_000),
        ("stuck", 50),
        ("placed", 50),
        ("authorized", 50),
        ("ready_to_ship", 50),
    ])
    .await;
    let sku = || Some(Sku::new("3").unwrap());
    let lists = [
        ("orders_unfinished", OrderFilter { sku: sku(), ..filter(&["stuck"]) }),
        ("orders_confirm_by", OrderFilter { sku: sku(), ..filter(&["completed"]) }),
        ("orders_wake_at", OrderFilter { only: Some(Only::Held), ..OrderFilter::default() }),
        ("orders_ship_by", OrderFilter { only: Some(Only::Overdue), ..OrderFilter::default() }),
    ];
    for is_analyzed in [false, true] {
        if is_analyzed {
            tables.client.batch_execute("set default_transaction_read_only = off; analyze").await.unwrap();
        }
        for (index, filter) in &lists {
            let values = Values::of(filter, None, now());
            let explain = format!("explain (analyze, timing off) {}", Way::of(filter).sql());
            let lines = tables.client.query(&explain, &values.parameters()).await.unwrap();
            let plan: String = lines.iter().map(|line| line.get::<_, String>(0) + "\n").collect();
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{is_analyzed}, {index}:\n{plan}");
            let is_read_to_its_end = looked_at(&plan).is_none_or(|looked_at| looked_at > CANDIDATES + CANDIDATES / 10);
            assert!(plan.contains("Incremental Sort") && !is_read_to_its_end, "{is_analyzed}, {index}:\n{plan}");
        }
    }
}

/// How many orders of each partition were taken out of the index.
fn looked_at(plan: &str) -> Option<i64> {
    let scan = plan.lines().find(|line| line.contains("-> ") && line.contains("Index Scan using orders_"))?;
    scan.split("actual rows=").nth(1)?.split(' ').next()?.parse().ok()
}

async fn ids(tables: &Tables, filter: OrderFilter, after: Option<Cursor>) -> Vec<Listed> {
    let mut list = OrderList::open(&tables.database, "orders", filter, after, now(), PATIENCE).await.unwrap();
    let mut found = Vec::new();
    while let Some(listed) = list.next().await.unwrap() {
        found.push(listed);
    }
    found
}

#[tokio::test]
async fn pages_miss_no_order_and_filters_pick_by_everything() {
    let tables = tables(&[("completed", 11_000), ("stuck", 70), ("authorized", 30), ("ready_to_ship", 20)]).await;
    let all = ids(&tables, OrderFilter { with_finished: true, ..OrderFilter::default() }, None).await;
    assert_eq!(all.len(), 11_120, "three pages");
    assert!(all.is_sorted_by(|a, b| (a.cursor.due, a.order_id()) < (b.cursor.due, b.order_id())), "oldest first");
    let rest =
        ids(&tables, OrderFilter { with_finished: true, ..OrderFilter::default() }, Some(all[9].cursor.clone())).await;
    assert_eq!(rest, all[10..]);
    assert_eq!(ids(&tables, OrderFilter::default(), None).await.len(), 120, "what is not done with");
    assert_eq!(ids(&tables, filter(&["stuck", "ready_to_ship"]), None).await.len(), 90);
    let customer = Some(CustomerId::new("3").unwrap());
    let of_customer = ids(&tables, OrderFilter { customer, ..filter(&["stuck"]) }, None).await;
    assert_eq!(of_customer.len(), 10);
    let sku = Some(Sku::new("3").unwrap());
    assert_eq!(ids(&tables, OrderFilter { sku, ..filter(&["completed"]) }, None).await.len(), 1_572);
    let unchanged_since = Some(now().plus_ms(-60 * 3_600_000));
    assert_eq!(ids(&tables, OrderFilter { unchanged_since, ..filter(&["stuck"]) }, None).await.len(), 11);
    assert_eq!(ids(&tables, OrderFilter { only: Some(Only::Held), ..OrderFilter::default() }, None).await.len(), 30);
    assert_eq!(ids(&tables, OrderFilter { only: Some(Only::Overdue), ..OrderFilter::default() }, None).await.len(), 20);
    let refused = tables.client.execute("delete from orders", &[]).await.unwrap_err();
    assert!(outbox::explain(&refused).contains("read-only"), "{refused}");
}

impl Listed {
    fn order_id(&self) -> &str {
        self.cursor.order_id.as_str()
    }
}
