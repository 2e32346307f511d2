//! The synchronous program: three transactions per order, one after the other, in one database. No engine, no broker.
//!
//! It remembers nothing: an order whose program dies between two transactions stays where it is.

use std::sync::Arc;

use work::{Order, Result, Shop, Step, System, Task, drive, say};

/// Connections, and at full speed clients.
const CONNECTIONS: usize = 16;
/// Clients at a rate: enough that a hiccup does not hold back what is due.
const CLIENTS_AT_A_RATE: usize = 64;

struct Synchronous(Arc<Shop>);

impl System for Synchronous {
    async fn order(&self, order: Order) -> Result<()> {
        for step in Step::ALL {
            self.0.take(step, &order).await?;
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let task = Task::from_arguments()?;
    say(&format!("version: tokio-postgres, {CONNECTIONS} connections"));
    let shop = Shop::open(&task.database_url, CONNECTIONS).await?;
    let clients = if task.per_second.is_some() { CLIENTS_AT_A_RATE } else { CONNECTIONS };
    let orders = drive(&task, clients, Synchronous(Arc::clone(&shop))).await?;
    shop.check(orders).await
}
