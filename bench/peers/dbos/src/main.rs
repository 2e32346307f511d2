//! DBOS: the order as a durable workflow of three steps, each a transaction; what was done is kept in the same database.
//!
//! The workflow's id is the order's, so the same order again is the same workflow. A step's transaction and the record that
//! it was done are two commits: the crate has no step that is a transaction.

use std::sync::Arc;

use dbos::{Config, DBOS, RunOptions, WorkflowRef, step};
use serde::{Deserialize, Serialize};
use work::{Order, Result, Shop, Step, System, Task, drive, say};

/// Connections of the steps, and as many of DBOS.
const CONNECTIONS: usize = 16;
/// Orders under way at full speed.
const CLIENTS: usize = 32;
/// Clients at a rate: enough that a hiccup does not hold back what is due.
const CLIENTS_AT_A_RATE: usize = 128;

/// A step that failed, in words, since DBOS keeps errors.
#[derive(Debug, Serialize, Deserialize)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Runs the workflow for each order.
struct Engine(WorkflowRef<Order, (), Refused>);

impl System for Engine {
    async fn order(&self, order: Order) -> Result<()> {
        let id = order.id.clone();
        let options = RunOptions { workflow_id: Some(&id), ..RunOptions::default() };
        Ok(self.0.run_with(order, options).await?)
    }
}

async fn place(shop: Arc<Shop>, order: Order) -> dbos::Result<(), Refused> {
    for of_order in Step::ALL {
        let taken = || async {
            let taken = shop.take(of_order, &order).await;
            taken.map_err(|error| dbos::Error::Application(Refused(error.to_string())))
        };
        step(of_order.name(), taken).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let task = Task::from_arguments()?;
    say(&format!("version: dbos 0.5.0, {CONNECTIONS} connections and {CONNECTIONS} of the steps"));
    let shop = Shop::open(&task.database_url, CONNECTIONS).await?;
    let config = Config {
        max_connections: u32::try_from(CONNECTIONS)?,
        app_version: Some("1".to_owned()),
        ..Config::new("peer", &task.database_url)
    };
    let engine = DBOS::new(config);
    let of_steps = Arc::clone(&shop);
    let workflow = engine.register_workflow("place", move |order: Order| place(Arc::clone(&of_steps), order))?;
    engine.launch().await?;
    let clients = if task.per_second.is_some() { CLIENTS_AT_A_RATE } else { CLIENTS };
    let orders = drive(&task, clients, Engine(workflow)).await?;
    engine.shutdown().await;
    shop.check(orders).await
}
