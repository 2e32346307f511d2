//! A server of the shape of Stripe's, for tests and the demo: payments, refunds, disputes, signed webhooks, balance transactions.
//!
//! What goes wrong is planned by the simulator of `domain`, as a function of a seed, the key and the try: lost answers, 409, errors.
//! On top of it come what only HTTP has: 429 with `Retry-After`, an error 500 that is given again under its key, a search that lags
//! behind, webhooks that come twice, late or never. What it did stands in a ledger, which tests ask and `verify` reads as a statement.
//!
//! It has the parts of the API that the client uses, and the test tokens of <https://docs.stripe.com/testing>. Deliberately absent:
//! memory beyond the process (its ledger is a file), TLS, and every other product. It holds no money and no secrets: whoever reaches it
//! may do everything.

mod bank;
mod behaviour;
mod events;
mod export;
mod idempotency;
mod ledger;
mod objects;
mod problem;
mod routes;
mod server;
mod settling;
mod tries;
mod webhooks;

pub use behaviour::Behaviour;
pub use ledger::{Counts, LedgerError};
pub use server::{Running, StartError, start};
