//! What `trace` answers where there is no order, or not where one would look for it; and that nothing is written to a
//! cluster that only the environment names beside an archive.

use schemas::{CancelOrder, CommandId, OrderId, TopicName, partitioner};
use tests::{Outcome, Pipeline, Sent, Servers, Settings, order, stock_for, trouble};

use crate::DAEMON;
use crate::program::{offline, run, run_command, run_offline};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_found_where_they_lie_and_the_exit_code_says_whether_there_is_an_order() -> Outcome {
    let settings = Settings { instances: 1, ..Settings::default() };
    let partitions = settings.partitions;
    let pipeline = Pipeline::start(DAEMON, &Servers::shared().await?, settings).await?;
    let orders = [order("foreign", &["a"])?];
    pipeline.receive(&stock_for(&orders)).await?;
    // By a client with another partitioner.
    let home = partitioner::partition_of(b"foreign", partitions);
    let elsewhere = (home + 1) % partitions;
    pipeline.broker().send(&Sent { partition: Some(elsewhere), ..Sent::of(orders[0].clone())? }).await?;
    // By a client that writes JSON.
    let json = Sent {
        value: Some(b"{\"order_id\":\"json-1\"}".to_vec()),
        key: Some(b"json-1".to_vec()),
        ..Sent::of(orders[0].clone())?
    };
    pipeline.broker().send(&json).await?;
    let (order_id, command_id) = (OrderId::new("nope")?, CommandId::new("c")?);
    pipeline.publish(&[CancelOrder { order_id, command_id, reason_code: None, by: None, note: None }]).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline
        .until("the JSON is set aside", async || {
            let letters = pipeline.broker().read(&[TopicName::OrderCommands.dead_letter()]).await?;
            if letters.len() == 1 { Ok(()) } else { Err(trouble(format!("{} letters", letters.len()))) }
        })
        .await?;
    pipeline.check_clean().await?;

    let trace = run(&pipeline, &["trace", "foreign", "--json"]).await?.expect(0)?.json()?;
    assert_eq!(
        (&trace["hops"][0]["type"], trace["hops"][0]["partition"].as_i64()),
        (&"PlaceOrder".into(), Some(elsewhere.into()))
    );
    let home_only = run(&pipeline, &["trace", "foreign", "--json", "--home-partition"]).await?.expect(0)?.json()?;
    assert_eq!(home_only["hops"][0]["type"], "OrderPlaced");

    let letter = run(&pipeline, &["trace", "json-1"]).await?.expect(1)?.stdout;
    assert!(
        letter.contains("[dead letter]") && letter.contains("dead-letters show 'order.commands.v1-dlt["),
        "{letter}"
    );
    let refused = run(&pipeline, &["trace", "nope"]).await?.expect(1)?.stdout;
    assert!(refused.contains("there is no such order"), "{refused}");
    assert_eq!(
        run(&pipeline, &["trace", "nope", "--json"]).await?.expect(1)?.json()?["standing"]["stage"],
        serde_json::Value::Null
    );

    // Beside an archive the environment is enough to read, and not to write.
    let archive = pipeline.folder().join("archive").display().to_string();
    run(&pipeline, &["archive", "run", "--to", &archive]).await?.expect(0)?;
    let brokers = pipeline.servers().stack().brokers();
    let by_environment = async |words: &[&str]| {
        let mut command = offline(&pipeline, &archive, words);
        command.env("KAFKA_BROKERS", &brokers).env("DATABASE_URL", pipeline.database_url());
        run_command(command).await
    };
    let writing = [
        &["dead-letters", "discard", "--all", "--reason", "x"][..],
        &["dead-letters", "redrive", "--all", "--unreadable"],
        &["rebuild", "--swap"],
        &["rebuild"],
    ];
    for words in writing {
        let refused = by_environment(words).await?.expect(2)?;
        assert!(
            refused.stderr.contains("needs --brokers") || refused.stderr.contains("no --database-url"),
            "{refused:?}"
        );
    }
    let listed = by_environment(&["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert!(listed.contains("1 open"), "{listed}");
    assert_eq!(run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout, listed, "nothing was written");
    let discard = ["dead-letters", "discard", "--all", "--reason", "x"];
    assert!(
        run_offline(&pipeline, &archive, &discard).await?.expect(2)?.stderr.ends_with("discarding needs --brokers\n")
    );
    run(&pipeline, &[&discard[..], &["--archive", &archive]].concat()).await?.expect(0)?;
    pipeline.accept();
    Ok(())
}
