//! The benchmarks: programs that start real servers, put load on them, and hold what they measure against goals.
//!
//! The programs are thin; everything is here, so that they share how things are measured and printed. Nothing but the
//! programs' entries is public.

mod alone;
mod api;
mod ceiling;
mod chaos;
mod comparison;
mod compression;
mod error;
mod figures;
mod flash;
mod goals;
mod growth;
mod idle;
mod journey;
mod judgement;
mod measure;
mod memory;
mod outcome;
mod peers;
mod pipeline;
mod plan;
mod program;
mod provider;
mod replay;
mod report;
mod restart;
mod run;
mod scale;
mod servers;
mod single;
mod upgrade;

pub use alone::main as outbox_main;
pub use api::main as api_main;
pub use chaos::main as chaos_main;
pub use program::main as pipeline_main;
pub use provider::main as provider_main;
pub use replay::main as replay_main;
pub use scale::main as scale_main;
pub use single::main as single_main;
pub use upgrade::main as upgrade_main;
