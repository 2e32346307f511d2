//! The order work that every peer of the pipeline does, and the load that it is put under.
//!
//! A peer is a program of its own that is told its [`Task`] as one JSON argument. It makes its tables, takes orders from a
//! [`drive`]n load and says on standard output when its window begins and ends; `bench-pipeline --peers` measures the
//! processes meanwhile. What the orders are and how often they come is in here, once, and so is the SQL of the three steps;
//! a peer only decides who calls the steps and who remembers that they were done. No broker, no measuring of CPU.

mod load;
mod order;
mod said;
mod shop;
mod task;

/// Whatever stops a peer; a run has no recovery.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Shorthand of this package.
pub type Result<T> = std::result::Result<T, Failure>;

pub use load::{System, drive};
pub use order::Order;
pub use said::say;
pub use shop::{Shop, Step};
pub use task::Task;
