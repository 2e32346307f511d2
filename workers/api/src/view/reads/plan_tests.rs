//! What is asked goes by the index that is meant, on a real server with 40,000 orders: a page costs a page.

use dev_stack::{Stack, StackConfig};
use schemas::Sku;

use super::stock::{products_sql, stock_sql};
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
        let (topics, chosen): (&[&str], _) = (&["order.events.v1", "payment.events.v1"], history::several_sql());
        let looks: [(&str, &str, Vec<&(dyn ToSql + Sync)>); 12] = [
            ("heard_pkey", history::HISTORY, vec![&topics, &"o-77", &limit]),
            ("orders_pkey", &chosen, vec![&several]),
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_costs_its_span_of_time_and_a_sku_its_own_orders() {
    let (_stack, reads) = filled().await;
    let last_hour = Timestamptz("2026-01-01T05:00:00Z".parse().unwrap());
    let before = Timestamptz("2026-01-01T05:30:00Z".parse().unwrap());
    let (stages, open, limit, some) =
        (["completed", "stuck"].as_slice(), Stage::UNFINISHED.as_slice(), 20_i64, 200_i64);
    let counts: [(&[&str], &str, Vec<&(dyn ToSql + Sync)>); 6] = [
        (&["heard_came_back", "orders_pkey", "payments_pkey"], figures::OWED, vec![&some]),
        (&["orders_by_stage"], figures::BECAME, vec![&stages, &last_hour, &"cancelled"]),
        (&["orders_by_time", "payments_pkey"], figures::TAKINGS, vec![&last_hour, &before]),
        (&["orders_by_time", "order_contents_pkey"], figures::BEST, vec![&last_hour, &before, &limit]),
        (&["order_skus_pkey", "orders_pkey"], figures::WAITING, vec![&"s-7", &some, &open, &limit]),
        (&["heard_pkey"], figures::SAID_LAST, vec![&"order.events.v1", &"o-77", &limit]),
    ];
    for is_analyzed in [false, true] {
        if is_analyzed {
            let client = reads.database.client().await.unwrap();
            client.batch_execute("analyze orders, order_skus, order_contents, heard, payments").await.unwrap();
        }
        for (indexes, sql, values) in &counts {
            let plan = plan(&reads, sql, values).await;
            assert!(indexes.iter().all(|index| plan.contains(index)), "{sql}\n{plan}");
            for other in ["Seq Scan", "Hash Join", "Merge", "Bitmap"] {
                assert!(!plan.contains(other), "{sql}\n{plan}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_and_of_their_own_time() {
    let (_stack, reads) = filled().await;
    let more = "update orders set stage = 'cancelled', cancel_reason = 'OutOfStock' where order_id in ('o-36001', 'o-36002'); \
        update payments set amount_minor = 5, capture_version = 1, refunded_minor = 2 where order_id in ('o-36002', 'o-36003', 'o-36004'); \
        update payments set capture_failure = 'no' where order_id = 'o-36004'; \
        update orders set currency = 'JPY', total_minor = 9223372036854775807 where order_id in ('o-36005', 'o-36006')";
    reads.database.client().await.unwrap().batch_execute(more).await.unwrap();
    // Two orders a second: these are the 36,000th to before the 36,060th.
    let (from, before) = ("2026-01-01T05:00:00Z".parse().unwrap(), "2026-01-01T05:00:30Z".parse().unwrap());
    let takings = reads.takings(from, before).await.unwrap();
    let [euro, yen] = takings.as_slice() else { panic!("{takings:?}") };
    assert_eq!((euro.currency.as_str(), euro.orders, euro.cancelled, euro.ordered_minor), ("EUR", 58, 2, Some(58)));
    assert_eq!((euro.called_off_minor, euro.open_minor), (Some(1), Some(55)));
    assert_eq!((euro.captured_minor, euro.refunded_minor), (Some(10), Some(4)));
    assert_eq!((yen.orders, yen.ordered_minor, yen.captured_minor), (2, None, Some(0)));
    let became = reads.became(from).await.unwrap();
    let of = |stage: &str, reason: Option<&str>| {
        let found = became.iter().find(|one| one.stage == stage && one.reason.as_deref() == reason);
        found.map_or(0, |one| one.orders)
    };
    // The last one is the 40,000th.
    assert_eq!((of("completed", None), of("stuck", None), of("cancelled", Some("OutOfStock"))), (3_988, 11, 2));
    let best = reads.best(from, before, 3).await.unwrap();
    let told: Vec<(&str, Option<i64>)> = best.iter().map(|sold| (sold.sku.as_str(), sold.pieces)).collect();
    assert_eq!(told, [("s-0", Some(1)), ("s-10", Some(1)), ("s-11", Some(1))], "{best:?}");
    let sku = Sku::new("s-0").unwrap();
    let waiting = reads.waiting_with(&sku, 500, 50).await.unwrap();
    assert!(waiting.len() > 1 && waiting.iter().all(|order| order.stage == "stuck"), "{waiting:?}");
    assert!(waiting.is_sorted_by(|one, next| one.accepted_at > next.accepted_at), "{waiting:?}");
    // A stranger's SKU with nothing received runs out of nothing.
    let scarce = "update stock set received = 0 where sku = 's-1'; update stock set reserved = 8 where sku in ('s-2', 's-3'); \
        update stock set reserved = 9 where sku = 's-4'; update stock set received = 1000 where sku > 's-4'";
    reads.database.client().await.unwrap().batch_execute(scarce).await.unwrap();
    let found = reads.scarce(1, 3).await.unwrap();
    let told: Vec<(&str, i64)> = found.iter().map(|(sku, level)| (sku.as_str(), level.available())).collect();
    assert_eq!(told, [("s-4", 0), ("s-2", 1), ("s-3", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_is_called_off_open_or_taken_and_what_was_taken_given_back_or_kept() {
    let (_stack, reads) = filled().await;
    // Of every stage, taken or not, in vain or not, given back or not, by chance: what was taken is what the order is for.
    let chance = "select setseed (0.5); \
        update orders set total_minor = (random() * 1000)::int, currency = (array['EUR', 'JPY'])[1 + (random() > 0.8)::int], \
            stage = (array['placed', 'completed', 'cancelled', 'cancelling', 'stuck'])[1 + (random() * 4)::int]; \
        delete from payments where random() < 0.2; \
        update payments set amount_minor = o.total_minor, capture_version = case when random() < 0.7 then 2 end from orders as o \
            where o.order_id = payments.order_id; \
        update payments set capture_failure = 'no' where capture_version is not null and random() < 0.1; \
        update payments set refunded_minor = (random() * amount_minor)::int where capture_version is not null and capture_failure is null";
    reads.database.client().await.unwrap().batch_execute(chance).await.unwrap();
    let begun: Time = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut called_off_later = false;
    for minutes in (0..330).step_by(30) {
        let takings =
            reads.takings(begun.plus_ms(minutes * 60_000), begun.plus_ms((minutes + 30) * 60_000)).await.unwrap();
        assert_eq!(takings.len(), 2);
        for one in takings {
            let [ordered, called_off, open, taken, back] =
                [one.ordered_minor, one.called_off_minor, one.open_minor, one.captured_minor, one.refunded_minor]
                    .map(Option::unwrap);
            assert_eq!(ordered, called_off + open + taken, "{one:?}");
            assert!(0 <= back && back <= taken, "{one:?}");
            called_off_later |= one.cancelled > 0 && called_off < ordered && back > 0;
        }
    }
    assert!(called_off_later, "the case that went wrong is among them");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_back_of_orders_that_were_undone_is_owed_until_it_is_given_back_again() {
    let (_stack, reads) = filled().await;
    let story = "update orders set stage = 'cancelled' where order_id in ('o-1', 'o-2', 'o-3'); \
        update payments set amount_minor = 500, capture_version = 2, refunded_minor = 0 where order_id in ('o-1', 'o-3', 'o-4'); \
        update payments set amount_minor = 500, capture_version = 2, refunded_minor = 500 where order_id = 'o-2'; \
        insert into heard select 'payment.events.v1', key, 50 + n, 0, 9, 'PaymentRefundReversed', timestamptz '2026-01-02' \
            + n * interval '1 s', 'x', '{}' from unnest (array['o-3', 'o-1', 'o-2', 'o-4', 'o-1']) with ordinality as k (key, n)";
    reads.database.client().await.unwrap().batch_execute(story).await.unwrap();
    let owed = reads.owed(100).await.unwrap();
    let told: Vec<(&str, i64)> = owed.iter().map(|owed| (owed.order_id.as_str(), owed.amount_minor)).collect();
    assert_eq!(told, [("o-3", 500), ("o-1", 500)], "{owed:?}");
}
