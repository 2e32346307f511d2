//! Tables that are set back to an older state, as a restored dump would, and swapped for what the topics tell.

use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for};

use crate::DAEMON;
use crate::program::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_restored_and_swapped_holds_although_old_rows_lie_below_the_floors() -> Outcome {
    let servers = Servers::shared().await?;
    let mut pipeline = Pipeline::start(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    let orders = sample(0, 60)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders[..20]).await?;
    pipeline.await_terminal(&orders[..20]).await?;
    pipeline.stop_services(&ServiceName::ALL).await?;
    for service in ServiceName::ALL {
        pipeline.tables().back_up(service).await?;
    }
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.publish(&orders[20..40]).await?;
    pipeline.await_terminal(&orders[..40]).await?;
    pipeline.check_clean().await?;
    pipeline.stop_services(&ServiceName::ALL).await?;

    for service in ServiceName::ALL {
        pipeline.tables().set_back(service).await?;
    }
    let url = pipeline.database_url().to_owned();
    run(&pipeline, &["rebuild", "--swap", "--database-url", &url]).await?.expect(0)?;
    run(&pipeline, &["verify", "--database-url", &url]).await?.expect(0)?;
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.publish(&orders[40..]).await?;
    pipeline.await_terminal(&orders).await?;
    // Rows of before the restore, and rows above the raised floor, in one lane.
    let sql = "select count(*) from orders.outbox_lanes l where l.pruned > 0 \
               and exists (select from orders.outbox_messages m where m.lane = l.lane and m.sequence < l.pruned) \
               and exists (select from orders.outbox_messages m where m.lane = l.lane and m.sequence > l.pruned)";
    assert!(pipeline.tables().number(sql).await? > 0, "the case is met");
    pipeline.check_clean().await?;

    // A row that somebody has deleted above the floor is still missed.
    pipeline.stop_services(&ServiceName::ALL).await?;
    let spoil = "with gone as (select m.lane, max(m.sequence) - 1 as sequence from orders.outbox_messages m \
                 join orders.outbox_lanes l on l.lane = m.lane and m.sequence > l.pruned + 2 group by m.lane limit 1), \
                 a as (delete from orders.outbox_messages_0 m using gone where m.lane = gone.lane and m.sequence = gone.sequence returning 1), \
                 b as (delete from orders.outbox_messages_1 m using gone where m.lane = gone.lane and m.sequence = gone.sequence returning 1) \
                 select (select count(*) from a) + (select count(*) from b)";
    assert_eq!(pipeline.tables().number(spoil).await?, 1);
    let found = run(&pipeline, &["verify", "--database-url", &url]).await?.expect(1)?.stdout;
    assert!(found.contains("the outbox has no row between"), "{found}");
    pipeline.accept();
    Ok(())
}
