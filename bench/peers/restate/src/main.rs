//! Restate: the order as a durable invocation of three recorded steps, each a transaction in Postgres; what was done is kept
//! in the log of Restate's own server, which calls this program over HTTP.
//!
//! This program is the service, and the clients that place orders at the server's door. The server flushes its log
//! (`rocksdb-disable-wal-fsync = false` is its default). It is one node with its default 24 partitions.

#![expect(missing_docs, reason = "the macro of a service writes public items that say nothing")]

mod ingress;
mod server;

use std::sync::Arc;

use restate_sdk::prelude::*;
use work::{Order, Shop, Step, System, Task, drive, say};

use ingress::Ingress;
use server::Server;

/// Connections of the steps.
const CONNECTIONS: usize = 16;
/// Orders under way at full speed.
const CLIENTS: usize = 64;
/// Clients at a rate: enough that a hiccup does not hold back what is due.
const CLIENTS_AT_A_RATE: usize = 128;

/// The service.
struct Orders(Arc<Shop>);

#[service]
impl Orders {
    #[handler]
    async fn place(&self, ctx: Context<'_>, order: Json<Order>) -> HandlerResult<()> {
        let order = Arc::new(order.into_inner());
        for step in Step::ALL {
            let (shop, order) = (Arc::clone(&self.0), Arc::clone(&order));
            ctx.run(move || async move { Ok(shop.take(step, &order).await?) }).name(step.name()).await?;
        }
        Ok(())
    }
}

/// Places each order at the server's door and waits for its end.
struct Engine(Ingress);

impl System for Engine {
    async fn order(&self, order: Order) -> work::Result<()> {
        self.0.post("/Orders/place", &order).await
    }
}

#[tokio::main]
async fn main() -> work::Result<()> {
    let task = Task::from_arguments()?;
    let server = Server::start(&task).await?;
    say(&format!("version: {}, restate-sdk 0.13.0, {CONNECTIONS} connections of the steps", server.version));
    let shop = Shop::open(&task.database_url, CONNECTIONS).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let endpoint = Endpoint::builder().bind(Orders(Arc::clone(&shop))).build();
    let serving = tokio::spawn(HttpServer::new(endpoint).serve(listener));
    server.register(address).await?;
    let clients = if task.per_second.is_some() { CLIENTS_AT_A_RATE } else { CLIENTS };
    let orders = drive(&task, clients, Engine(Ingress::new(server.ingress))).await?;
    serving.abort();
    drop(server);
    shop.check(orders).await
}
