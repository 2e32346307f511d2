//! Stock: reservations per order and levels per SKU, as pure functions of state, one input and the present.
//!
//! A reservation is all or nothing over its lines and belongs to one order; a level is a few sums, so that folding
//! reservations of many partitions gives the same level in any order. Nothing is ever sold that is not there: a
//! reservation is decided against the levels of its SKUs, which the caller holds locked.
//! There is no I/O here, no clock, no randomness and no logging.

mod level;
mod product;
mod receipt;
mod reservation;
mod returned;

pub use level::{Level, LevelChange};
pub use product::{Description, Product};
pub use receipt::{Deed, Receipt, decide_stock, evolve_stock};
pub use reservation::{Evolved, Reservation, ReservationStatus, Returned, decide, evolve, skus_touched};
