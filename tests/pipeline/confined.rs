//! Daemons as a careful operator runs them: a file system that cannot be written to, no home, a role that owns nothing.
//!
//! The role is every test's; here it is shown to have no more than it needs, and no less.

use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for};

use crate::DAEMON;

/// The provider's statement is the one file that a daemon writes, because it was told to; it lies in the folder that stays
/// writable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_work_with_a_read_only_root_file_system() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, read_only_root: true, ..Settings::default() };
    let pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(0, 20)?;
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await
}

/// Each statement is one that a thief of the daemons' password would like, or a slip of ours could do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemons_role_can_do_its_work_and_no_more() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    for service in ServiceName::ALL {
        let again = pipeline.migrate(service).await?;
        assert!(again.code == Some(0) && again.output.contains("has every right that it needs"), "{}", again.output);
    }
    let role = pipeline.daemons_role();
    for forbidden in [
        "create table orders.mine (a int)",
        "alter table orders.orders add column mine int",
        "drop table payments.ledger",
        "delete from orders.orders",
        "update payments.ledger set amount_minor = 1",
        "delete from payments.ledger",
        "truncate payments.payments",
        "delete from inventory.stock",
        "update orders.outbox_messages_0 set payload = null",
        "delete from orders.outbox_messages_0",
        "delete from orders.inbox_positions",
        "insert into orders.service_version values (99, 'order')",
        "create schema mine",
    ] {
        let tried = pipeline.tables().script(&format!("set role {role}; {forbidden}; reset role")).await;
        let said = format!("{:?}", tried.expect_err(forbidden));
        assert!(said.contains("permission denied") || said.contains("must be owner"), "{forbidden}: {said}");
    }
    pipeline.accept();
    Ok(())
}
