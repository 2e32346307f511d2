//! State folded from messages with the daemons' own `evolve`, topic by topic: the one fold, of a rebuild and of the checker.
//! The checker's has a [`Watch`] beside it, for what the state does not keep.

mod aggregates;
mod counts;
mod levels;
mod orders;
mod payments;
mod reservations;
mod state;
mod stock;
mod wanted;
mod watch;

pub use counts::OrderCounts;
pub(crate) use levels::Levels;
pub(crate) use orders::Orders;
pub(crate) use payments::Payments;
pub(crate) use reservations::Reservations;
pub(crate) use state::{State, TakeRows};
pub(crate) use stock::Stock;
pub(crate) use wanted::Wanted;
pub(crate) use watch::Watch;
