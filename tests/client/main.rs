//! The client's side against real servers: the program `orders` as people run it, and what its library promises.

mod changes;
mod over_http;
mod paid;
mod program;
mod publish;
mod show;
mod stock;
mod texts;

/// The daemons' program.
const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");

/// The program `order-api`.
const API: &str = env!("CARGO_BIN_EXE_api-program");

/// The program `orders`.
const ORDERS: &str = env!("CARGO_BIN_EXE_orders-program");
