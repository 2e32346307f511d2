//! What must always hold, one file each: pure functions that note what does not.
//!
//! The numbers are those of the product's design: 1 stock, 2 money (and the provider's statement), 3 termination,
//! 4 compensation, 5 delivery, 6 rebuild, 7 bad input.

pub(crate) mod bad_input;
pub(crate) mod compensation;
pub(crate) mod delivery;
pub(crate) mod money;
pub(crate) mod rebuild;
pub(crate) mod statement;
pub(crate) mod stock;
pub(crate) mod termination;

#[cfg(test)]
mod tests;
