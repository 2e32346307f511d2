//! The payment provider with a Stripe-compatible API: what the charge asks for, as HTTP requests, and what comes back, as answers.
//!
//! A request goes out under our idempotency key, unchanged. Whether an answer is definitive stands in one table (`answers`); what is
//! not certain is never guessed. In front of each account is a gate: so many requests at once, the provider's `Retry-After`, and a
//! breaker (`breaker`, pure). Keys come from files or the environment, are read again when they change, and are never shown.
//!
//! Deliberately absent: trying again (the charge does that, from rows that survive the process), webhooks (the payment worker's: they
//! are only a reason to look), and every other product of the provider.

mod account;
mod afterwards;
pub mod answers;
pub mod breaker;
mod directions;
mod found;
mod gate;
mod keys;
pub mod metrics;
mod objects;
mod options;
mod provider;
mod requests;
mod transport;

pub use account::{AccountError, Limits};
pub use keys::KeySource;
pub use options::{StripeOptions, StripeSettings};
pub use provider::StripeProvider;
