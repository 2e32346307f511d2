//! What must always hold, one file each: pure functions that note what does not.
//!
//! The numbers are those of the product's design: 1 stock, 2 money (refunds and the provider's
//! statement are of it), 3 termination, 4 compensation, 5 delivery, 6 rebuild, 7 bad input. What came back of an order is of
//! stock and of money.

pub(crate) mod bad_input;
pub(crate) mod compensation;
pub(crate) mod delivery;
pub(crate) mod money;
pub(crate) mod rebuild;
pub(crate) mod refunds;
pub(crate) mod returns;
pub(crate) mod statement;
pub(crate) mod stock;
pub(crate) mod termination;

#[cfg(test)]
mod tests;
