//! The pipeline end to end: real orders, real servers, the daemons as processes, and faults.

mod arrival;
mod cancel;
mod client_lost;
mod clocks;
mod confined;
mod crash;
mod customers;
mod dead_letters;
mod deadlines;
mod duplicates;
mod flash_sale;
mod gaps;
mod happy;
mod holds;
mod life;
mod made_anew;
mod memory;
mod metrics;
mod mistakes;
mod outage;
mod parked;
mod parked_floods;
mod partitions_raised;
mod pause;
mod planted;
mod products;
mod provider;
mod refunds;
mod refusals;
mod returns;
mod secured;
mod servers_die;
mod shipping;
mod shutdown;
mod standing;
mod start;
mod stripe;
mod stripe_afterwards;
mod stripe_secrets;
mod stuck;
mod webhooks;

/// The daemons' program.
const DAEMON: &str = env!("CARGO_BIN_EXE_pipeline-daemon");
