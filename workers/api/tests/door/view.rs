//! The read model: it is what the topics say, whoever dies; and it is made again from nothing.

use crate::pipeline::{Outcome, Pipeline, stop, until};

const ORDERS: usize = 60;

/// Until the read model has every order at its end, and every level as the services have it.
async fn until_it_agrees(pipeline: &Pipeline, orders: usize) -> Outcome {
    let compared = [
        ("orders", "order_id || ' ' || version || ' ' || stage || ' ' || changed_at"),
        ("order_contents", "order_id || ' ' || skus::text || quantities::text"),
        ("reservations", "order_id || ' ' || version || ' ' || status"),
        ("payments", "order_id || ' ' || version || ' ' || status || ' ' || coalesce(capture_reference, '')"),
        ("products", "sku || ' ' || version || ' ' || title || ' ' || price_minor || ' ' || changed_at"),
        ("stock", "sku || ' ' || version || ' ' || received || ' ' || reserved || ' ' || shipped"),
    ];
    let schema = |table: &str| match table {
        "orders" | "order_contents" => "orders",
        "payments" => "payments",
        _ => "inventory",
    };
    until("every order has ended", || async {
        let open = "select order_id from orders.orders where stage not in ('completed', 'cancelled')";
        let ended = pipeline.query("select count(*)::text from orders.orders").await?;
        match (pipeline.query(open).await?.len(), ended.first().map(String::as_str)) {
            (0, Some(found)) if found == orders.to_string() => Ok(()),
            found => Err(format!("{found:?}").into()),
        }
    })
    .await?;
    for (table, columns) in compared {
        until(table, || async {
            let of = |schema: &str| format!("select {columns} from {schema}.{table} order by 1");
            let (theirs, ours) = (pipeline.query(&of(schema(table))).await?, pipeline.query(&of("view")).await?);
            if theirs == ours { Ok(()) } else { Err(format!("{theirs:#?}\n{ours:#?}").into()) }
        })
        .await?;
    }
    Ok(())
}

async fn place_all(pipeline: &Pipeline, orders: std::ops::Range<usize>) -> Outcome {
    for number in orders {
        // Every seventh wants more than there will ever be.
        let pieces = if number % 7 == 3 { 1_000_000 } else { 1 };
        let lines = [("pen", pieces), ("ink", 2), ("pen", 1)];
        pipeline.place(&format!("o-{number:03}"), &format!("c-{}", number % 5), &lines).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_what_the_topics_say_whoever_dies_and_is_made_again_from_nothing() -> Outcome {
    let pipeline = Pipeline::start("view").await?;
    let (one, other) = (pipeline.start_door("one")?, pipeline.start_door("other")?);
    for sku in ["pen", "ink"] {
        pipeline.receive(sku, 10_000).await?;
        pipeline.describe(sku, "first").await?;
    }
    place_all(&pipeline, 0..ORDERS / 2).await?;
    until("something is kept", || async {
        let found = pipeline.query("select order_id from view.orders").await?;
        if found.is_empty() { Err("nothing yet".into()) } else { Ok(()) }
    })
    .await?;
    one.daemon.kill9()?;
    pipeline.describe("ink", "second").await?;
    place_all(&pipeline, ORDERS / 2..ORDERS).await?;
    until_it_agrees(&pipeline, ORDERS).await?;
    // What is said again changes nothing.
    pipeline.receive("pen", 10_000).await?;
    until("the answer is kept", || async {
        let answers = pipeline.query("select name from view.heard where key = 'pen'").await?;
        if answers.len() == 3 { Ok(()) } else { Err(format!("{answers:?}").into()) }
    })
    .await?;
    let report = pipeline.check().await?;
    assert!(report.is_clean() && report.view_behind.is_some(), "{report}");

    // Rows that nobody has said are found.
    pipeline.script("update view.stock set reserved = reserved + 1 where sku = 'ink'").await?;
    pipeline.script("delete from view.heard where key = 'pen'").await?;
    let report = pipeline.check().await?;
    let found: Vec<&str> = report.violations.iter().map(|found| found.subject.as_str()).collect();
    assert!(found.contains(&"view stock ink") && found.len() == 4, "{report}");

    // All of it once more.
    let (code, told) = pipeline.run(&["rewind"])?;
    assert!(code != Some(0) && told.contains("stop all of them"), "{told}");
    stop(other)?;
    let (code, told) = pipeline.run(&["rewind"])?;
    assert_eq!(code, Some(0), "{told}");
    assert!(pipeline.query("select order_id from view.orders").await?.is_empty());
    let other = pipeline.start_door("again")?;
    until_it_agrees(&pipeline, ORDERS).await?;
    for (topic, table) in [
        ("order.events.v1", "orders.orders"),
        ("inventory.events.v1", "inventory.reservations"),
        ("payment.events.v1", "payments.payments"),
    ] {
        let heard = format!("select count(*)::text from view.heard where topic = '{topic}'");
        let versions = format!("select sum(version)::text from {table}");
        assert_eq!(pipeline.query(&heard).await?, pipeline.query(&versions).await?, "each event of {topic} once");
    }
    let report = pipeline.check().await?;
    assert!(report.is_clean(), "{report}");
    stop(other)
}
