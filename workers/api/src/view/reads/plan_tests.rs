//! What is asked goes by the index that is meant, on a real server with 40,000 orders: a page costs a page.

use dev_stack::{Stack, StackConfig};

use super::*;

const FILL: &str = "insert into orders (order_id, partition, version, stage, customer_id, placed_at, currency, total_minor, \
        content, confirm_by, accepted_at, changed_at) \
    select 'o-' || n, n % 3, 1, case when n % 400 = 0 then 'stuck' else 'completed' end, 'c-' || n % 500, at, 'EUR', 1, \
        decode (repeat ('00', 32), 'hex'), at, at, at \
    from generate_series (1, 40000) as n, lateral (select timestamptz '2026-01-01' + n / 2 * interval '1 s' as at) as t; \
    insert into order_contents select order_id, array['s-' || n % 300], array[1], array[1] \
    from (select order_id, substr (order_id, 3)::int as n from orders) as o; \
    insert into order_skus select skus[1], accepted_at, order_id from orders join order_contents using (order_id); \
    insert into heard select 'order.events.v1', order_id, 7, 0, 1, 'OrderPlaced', accepted_at, 'cause', '{}' from orders; \
    insert into heard select 'order.events.v1', order_id, 9, 0, null, 'OrderCommandRefused', accepted_at, 'late', '{}' from orders; \
    insert into payments (order_id, version, status, refunded_minor) select order_id, 1, 'captured', 0 from orders; \
    insert into stock select 's-' || n, 1, 9, 0, 0, 0, 0 from generate_series (1, 5000) as n; \
    insert into products select 's-' || n, 1, 'Ware', 250, 'EUR', '2026-01-01' from generate_series (1, 5000) as n";

async fn filled() -> (Stack, Reads) {
    let stack =
        tokio::task::spawn_blocking(|| Stack::start_postgres(StackConfig::in_project()).unwrap()).await.unwrap();
    let database = Database::open_with(&stack.database_url(), None, "view", "plans", SESSION).unwrap();
    assert!(view::migrate(&database).await.unwrap(), "made");
    assert!(!view::migrate(&database).await.unwrap(), "there already");
    database.client().await.unwrap().batch_execute(FILL).await.unwrap();
    let reads = Reads::new(database, "", Arc::default()).unwrap();
    (stack, reads)
}

fn filter(customer: Option<&str>, stage: Option<&str>, sku: Option<&str>) -> Filter {
    let text = |text: Option<&str>| text.map(str::to_owned);
    Filter { customer: text(customer), stage: text(stage), sku: text(sku), ..Filter::default() }
}

/// The plan as it is carried out, with the rows that it has met.
async fn plan(reads: &Reads, sql: &str, values: &[&(dyn ToSql + Sync)]) -> String {
    let lines = reads.rows(&format!("explain (analyze, timing off, summary off) {sql}"), values).await.unwrap();
    lines.iter().map(|line| line.get::<_, String>(0) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_by_the_index_that_is_meant_and_costs_a_page() {
    let (_stack, reads) = filled().await;
    let wanted = [
        (filter(None, None, None), "orders_by_time"),
        (filter(Some("c-7"), None, None), "orders_by_customer"),
        (filter(Some("c-7"), Some("completed"), Some("s-7")), "orders_by_customer"),
        (filter(None, None, Some("s-7")), "order_skus_pkey"),
        (filter(None, Some("completed"), Some("s-7")), "order_skus_pkey"),
        (filter(None, Some("stuck"), None), "orders_by_stage"),
    ];
    let (behind, id, from, limit) = (Timestamptz(Time::MAX), String::new(), Timestamptz(Time::EARLIEST), 20_i64);
    for is_analyzed in [false, true] {
        if is_analyzed {
            let client = reads.database.client().await.unwrap();
            client
                .batch_execute("analyze orders, order_skus, order_contents, heard, stock, payments, products")
                .await
                .unwrap();
        }
        for (filter, index) in &wanted {
            let values: [&(dyn ToSql + Sync); 7] =
                [&behind, &id, &from, &limit, &filter.customer, &filter.stage, &filter.sku];
            let plan = plan(&reads, &list_sql(filter), &values).await;
            assert!(plan.contains(index), "{filter:?}\n{plan}");
            assert!(plan.contains("order_contents_pkey") && plan.contains("heard_pkey"), "{filter:?}\n{plan}");
            for other in ["Seq Scan", "Hash", "Merge", "Bitmap"] {
                assert!(!plan.contains(other), "{filter:?}\n{plan}");
            }
        }
        let open = Stage::UNFINISHED.as_slice();
        let payment = format!("select {} {ONE_PAYMENT_OF}", PaymentRow::column_list());
        let several: &[&str] = &["o-77", "o-7"];
        let looks: [(&str, &str, Vec<&(dyn ToSql + Sync)>); 10] = [
            ("orders_pkey", WHICH_ORDERS, vec![&several]),
            ("orders_pkey", &ONE_ORDER, vec![&"o-77"]),
            ("stock_pkey", &stock_sql("sku > $1::text order by sku limit $2::bigint"), vec![&"s-4", &limit]),
            ("products_pkey", &products_sql("sku > $1::text order by sku limit $2::bigint"), vec![&"s-4", &limit]),
            ("heard_pkey", SAID_SINCE, vec![&"order.events.v1", &"o-77", &0_i64, &limit]),
            ("heard_pkey", ANSWER, vec![&"order.events.v1", &"o-77", &"cause"]),
            ("orders_by_stage", OPEN_ORDERS, vec![&open]),
            ("heard_pkey", LAST_REFUSAL, vec![&"order.events.v1", &"o-77"]),
            ("payments_pkey", &payment, vec![&"o-77"]),
            ("stock_pkey", &stock_sql("sku = $1::text"), vec![&"s-4"]),
        ];
        for (index, sql, values) in looks {
            let plan = plan(&reads, sql, &values).await;
            assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{sql}\n{plan}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_every_order_once_the_newest_first() {
    let (_stack, reads) = filled().await;
    let mut filter = filter(None, None, Some("s-7"));
    filter.from = Some("2026-01-01T01:00:00Z".parse().unwrap());
    filter.before = Some("2026-01-01T05:00:00Z".parse().unwrap());
    let mut found = Vec::new();
    loop {
        let page = reads.orders(&filter, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.behind = Some((last.what.accepted_at, last.what.order_id.to_string()));
        assert!(page.iter().all(|order| order.position.is_some() && order.what.lines.len() == 1));
        found.extend(page.into_iter().map(|order| order.what.order_id.to_string()));
    }
    // Two orders a second, from the 3,600th to before the 18,000th.
    let mut expected: Vec<i64> = (7_200..36_000).filter(|number| number % 300 == 7).collect();
    expected.reverse();
    let expected: Vec<String> = expected.iter().map(|number| format!("o-{number}")).collect();
    assert_eq!(found, expected);
}
