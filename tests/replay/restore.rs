//! `archive restore`: topics that were lost come back under another prefix, offset by offset, and the services go on with them.

use std::process::Command;

use dev_stack::Child;
use schemas::{PlaceOrder, ServiceName, TopicName};
use tests::{Found, LONG, Outcome, Pipeline, Sent, Servers, only_of_lost_commands, sample, stock_for, trouble, until};

use crate::REPLAY;
use crate::archive::{COMMANDS, archive, records, topics};
use crate::program::{Run, run, run_command};
use crate::rested::rested;

/// `archive restore` of the pipeline's archive into topics of this prefix.
fn restoring(pipeline: &Pipeline, folder: &str, to: &str, more: &[&str]) -> Command {
    let mut command = Command::new(REPLAY);
    command.args(["archive", "restore", "--archive", folder, "--archive-prefix", pipeline.prefix()]);
    command.args(["--brokers", &pipeline.servers().stack().brokers(), "--topic-prefix", to]).args(more);
    command.env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS");
    command
}

pub(crate) async fn restore(pipeline: &Pipeline, folder: &str, to: &str, more: &[&str]) -> Outcome<Run> {
    run_command(restoring(pipeline, folder, to, more)).await
}

/// More orders, which end as all that came before them.
pub(crate) async fn orders_end(pipeline: &Pipeline, orders: &mut Vec<PlaceOrder>, more: Vec<PlaceOrder>) -> Outcome {
    pipeline.receive(&stock_for(&more)).await?;
    pipeline.publish(&more).await?;
    orders.extend(more);
    pipeline.await_terminal(orders).await?;
    Ok(())
}

pub(crate) fn all_topics() -> Vec<String> {
    TopicName::all_names()
}

/// Everything that lies in the topics, in a fixed order.
pub(crate) async fn found(pipeline: &Pipeline, topics: &[String]) -> Outcome<Vec<Found>> {
    let mut found = pipeline.broker().read(topics).await?;
    found.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_go_on_with_topics_that_were_lost_and_restored() -> Outcome {
    let (mut pipeline, mut orders) = rested(&Servers::shared().await?, 20).await?;
    let folder = pipeline.folder().join("archive").display().to_string();
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    // What comes after the archive is in the outboxes still.
    pipeline.start_services(&ServiceName::ALL).await?;
    orders_end(&pipeline, &mut orders, sample(500, 5)?).await?;
    pipeline.check_clean().await?;

    let (old, url) = (pipeline.prefix().to_owned(), pipeline.database_url().to_owned());
    let new = format!("{old}again-");
    let swap = ["--swap", "--database-url", &url];
    let refused = restore(&pipeline, &folder, &new, &swap).await?.expect(2)?;
    assert!(refused.stderr.contains("is connected") && refused.stderr.contains("stop it first"), "{refused:?}");
    pipeline.stop_services(&ServiceName::ALL).await?;
    let swapped = restore(&pipeline, &folder, &new, &swap).await?.expect(0)?.stdout;
    assert!(swapped.starts_with("0 records published") && swapped.contains("order: writes to 6"), "{swapped}");

    pipeline.move_to(&new)?;
    pipeline.start_services(&ServiceName::ALL).await?;
    orders_end(&pipeline, &mut orders, sample(900, 10)?).await?;
    pipeline.await_quiet().await?;
    // Clients' commands that came after the archive are in no topic any more: nobody sends those again. All else is whole.
    let verified = run(&pipeline, &["verify", "--json", "--database-url", &url]).await?.json()?;
    only_of_lost_commands(&verified)?;
    let letters = run(&pipeline, &["dead-letters", "list"]).await?.expect(0)?.stdout;
    assert!(letters.contains("1 open"), "{letters}");
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_drained_and_archived_is_whole_in_the_new_topics() -> Outcome {
    let (mut pipeline, mut orders) = rested(&Servers::shared().await?, 20).await?;
    let folder = pipeline.folder().join("archive").display().to_string();
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    let before = found(&pipeline, &all_topics()).await?;
    let (old, url) = (pipeline.prefix().to_owned(), pipeline.database_url().to_owned());
    let new = format!("{old}again-");
    let told = restore(&pipeline, &folder, &new, &["--dry-run"]).await?.expect(0)?.stdout;
    assert_eq!(
        told,
        format!("{} records would be published in 48 partitions, each under its old offset\n", before.len())
    );
    restore(&pipeline, &folder, &new, &["--swap", "--database-url", &url]).await?.expect(0)?;

    pipeline.move_to(&new)?;
    let renamed = |mut record: Found| {
        for (name, value) in &mut record.headers {
            if name == "kafka_dlt-original-topic" {
                let topic = value.as_deref().and_then(|value| value.strip_prefix(old.as_bytes())).map(<[u8]>::to_vec);
                *value = topic.map(|topic| [new.as_bytes(), &topic].concat());
            }
        }
        record
    };
    let before: Vec<Found> = before.into_iter().map(renamed).collect();
    assert!(found(&pipeline, &all_topics()).await? == before, "every record lies under its old offset, byte for byte");
    pipeline.start_services(&ServiceName::ALL).await?;
    orders_end(&pipeline, &mut orders, sample(900, 10)?).await?;
    pipeline.check_clean().await?;
    let rebuild = run(&pipeline, &["rebuild", "--dry-run", "--database-url", &url]).await?.expect(0)?.stdout;
    assert_eq!(rebuild.matches("the same, row for row").count(), 3, "{rebuild}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_killed_goes_on_and_topics_of_others_are_refused() -> Outcome {
    const COUNT: u32 = 20_000;
    let (mut pipeline, folder) = topics().await?;
    for batch in 0..20 {
        pipeline.broker().send_all(&records(batch * 1000, COUNT / 20, 500)).await?;
    }
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    let commands = [COMMANDS.to_owned()];
    let before = found(&pipeline, &commands).await?;
    assert_eq!(before.len(), usize::try_from(COUNT)?);
    let new = format!("{}again-", pipeline.prefix());
    for round in 0..3 {
        let log = pipeline.folder().join(format!("restore-{round}.log"));
        let child = Child::spawn(restoring(&pipeline, &folder, &new, &[]), "restore", &log)?;
        let (target, least) = (vec![format!("again-{COMMANDS}")], i64::from(COUNT) / 8 * (round + 1));
        until("some are published", LONG, async || {
            let ends = pipeline.broker().ends(&target).await?;
            let published: i64 = ends.values().map(|(_, end)| end).sum();
            if published >= least { Ok(()) } else { Err(trouble(format!("{published} of {least}"))) }
        })
        .await?;
        child.kill9()?;
    }
    restore(&pipeline, &folder, &new, &[]).await?.expect(0)?;
    let again = restore(&pipeline, &folder, &new, &[]).await?.expect(0)?.stdout;
    assert!(again.starts_with("0 records published") && again.contains(&format!("{COUNT} were there")), "{again}");

    let other = format!("{}other-", pipeline.prefix());
    restore(&pipeline, &folder, &other, &["--dry-run"]).await?.expect(0)?;
    let foreign = Sent { topic: format!("again-{COMMANDS}"), partition: Some(0), ..Sent::default() };
    pipeline.broker().send(&foreign).await?;
    let refused = restore(&pipeline, &folder, &new, &[]).await?.expect(2)?.stderr;
    assert!(refused.contains("is not the beginning of the archived one"), "{refused}");
    pipeline.move_to(&new)?;
    let after: Vec<Found> = found(&pipeline, &commands).await?;
    let ours: Vec<Found> = after.into_iter().filter(|record| !record.headers.is_empty()).collect();
    assert!(ours == before, "every record once, in its order");
    pipeline.accept();
    Ok(())
}
