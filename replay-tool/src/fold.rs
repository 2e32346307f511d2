//! State folded from messages with the daemons' own `evolve`: of all aggregates, or of those that are wanted.

mod counts;
mod levels;
mod state;
mod wanted;

pub use counts::OrderCounts;
pub(crate) use levels::Levels;
pub(crate) use state::{State, TakeRows};
pub(crate) use wanted::Wanted;
