//! The read model of `order-api`: held against the topics and an archive of them, and made again in its place.

use std::process::Command;

use dev_stack::Daemon;
use tests::{LONG, Outcome, Pipeline, Servers, Settings, run_command, sample, stock_for, trouble, until};

use crate::DAEMON;
use crate::archive::archive;
use crate::program::{Run, offline, run};

fn door(pipeline: &Pipeline, verb: &str) -> Command {
    let mut command = Command::new(DAEMON);
    command.args(["order-api", verb]).env("DATABASE_URL", pipeline.database_url());
    command.env("KAFKA_BROKERS", pipeline.servers().stack().brokers()).env("TOPIC_PREFIX", pipeline.prefix());
    command.env("LISTEN", "127.0.0.1:0").env("API_LISTEN", "127.0.0.1:0");
    command
}

async fn start(pipeline: &Pipeline, name: &str) -> Outcome<Daemon> {
    let (command, log, name) = (door(pipeline, "run"), pipeline.folder().join(format!("{name}.log")), name.to_owned());
    let started = tokio::task::spawn_blocking(move || Daemon::spawn_announced(command, name, &log, "listening", LONG));
    Ok(started.await??)
}

async fn stop(door: Daemon) -> Outcome {
    door.terminate()?;
    let ended = tokio::task::spawn_blocking(move || door.wait_timeout(LONG)).await??;
    if ended.is_some_and(|status| status.success()) { Ok(()) } else { Err(trouble(format!("{ended:?}"))) }
}

async fn until_kept(pipeline: &Pipeline) -> Outcome {
    until("the read model has every order at its end", LONG, async || {
        let lacking = "select count(*) from orders.orders o \
                       left join view.orders v on v.order_id = o.order_id and v.version = o.version where v.order_id is null";
        match pipeline.tables().number(lacking).await? {
            0 => Ok(()),
            lacking => Err(trouble(format!("{lacking} are not there, or not at their end"))),
        }
    })
    .await
}

async fn replay(pipeline: &Pipeline, words: &[&str]) -> Outcome<Run> {
    let mut all = words.to_vec();
    all.extend(["--database-url", pipeline.database_url()]);
    run(pipeline, &all).await
}

async fn rebuild_view(pipeline: &Pipeline, word: &str) -> Outcome<Run> {
    replay(pipeline, &["rebuild", "--service", "view", word]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_read_model_is_what_the_topics_say_up_to_where_it_stands_and_is_made_again() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 40)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..20]).await?;
    pipeline.await_terminal(&orders[..20]).await?;

    // Where there is none, nobody asks for it; unless it is named.
    let told = replay(&pipeline, &["verify"]).await?.expect(0)?.stdout;
    assert!(!told.contains("view"), "{told}");
    let told = replay(&pipeline, &["verify", "--schema", "view=view"]).await?.expect(2)?.stderr;
    assert!(told.contains("order-api migrate"), "{told}");

    run_command(door(&pipeline, "migrate")).await?.expect(0)?;
    let one = start(&pipeline, "api-1").await?;
    until_kept(&pipeline).await?;
    let told = replay(&pipeline, &["verify"]).await?.expect(0)?.stdout;
    assert!(told.contains("records behind the topics"), "{told}");
    let refused = rebuild_view(&pipeline, "--swap").await?.expect(2)?.stderr;
    assert!(refused.contains("order-api view is connected"), "{refused}");
    stop(one).await?;

    // It stands still, and the topics go on: so far, all of it is what they say. So it is with an archive.
    let folder = pipeline.folder().join("archive").to_string_lossy().into_owned();
    archive(&pipeline, &folder, &[]).await?.expect(0)?;
    pipeline.publish(&orders[20..]).await?;
    pipeline.await_terminal(&orders).await?;
    let told = replay(&pipeline, &["verify"]).await?.expect(0)?.stdout;
    let behind = told.lines().find(|line| line.starts_with("view")).unwrap_or_default();
    assert!(!behind.is_empty() && !behind.contains(" 0 "), "{told}");
    let of_archive = || {
        let words = ["rebuild", "--service", "view", "--dry-run", "--database-url", pipeline.database_url()];
        run_command(offline(&pipeline, &folder, &words))
    };
    of_archive().await?.expect(0)?;

    // Whatever somebody has done to its rows is found, and undone where it stands.
    for spoil in [
        "update view.orders set stage = 'placed', version = 1 where order_id = (select min(order_id) from view.orders)",
        "delete from view.order_skus where order_id = (select max(order_id) from view.orders)",
        "update view.heard set cause = 'nothing' where log_offset = 0 and topic = 'order.events.v1'",
        "update view.stock set shipped = shipped + 1 where sku = (select min(sku) from view.stock)",
    ] {
        pipeline.tables().script(spoil).await?;
    }
    let told = replay(&pipeline, &["verify"]).await?.expect(1)?.stdout;
    for table in ["view orders", "view order_skus", "view heard", "view stock"] {
        assert!(told.contains(table), "{told}");
    }
    of_archive().await?.expect(1)?;
    let swapped = rebuild_view(&pipeline, "--swap").await?.expect(0)?.stdout;
    assert!(swapped.contains("view_before_"), "{swapped}");
    rebuild_view(&pipeline, "--dry-run").await?.expect(0)?;
    of_archive().await?.expect(0)?;

    // It goes on where it stood.
    let two = start(&pipeline, "api-2").await?;
    until_kept(&pipeline).await?;
    replay(&pipeline, &["verify"]).await?.expect(0)?;
    let lacking = of_archive().await?.expect(1)?.stdout;
    assert!(lacking.contains("but the archive ends at"), "{lacking}");
    stop(two).await?;
    pipeline.check_clean().await
}
