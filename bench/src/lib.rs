//! The benchmarks: programs that start real servers, put load on them, and hold what they measure against goals.
//!
//! The programs are thin; everything is here, so that they share how things are measured and printed. Nothing but the
//! programs' entries is public. Without the feature `pipeline` there is only the outbox's, which then needs nothing of
//! the services.

#![cfg_attr(
    not(feature = "pipeline"),
    expect(
        dead_code,
        unused_imports,
        reason = "what only the pipeline's benchmark needs stands beside what both need"
    )
)]

mod alone;
mod error;
mod goals;
mod measure;
mod report;
mod servers;

#[cfg(feature = "pipeline")]
mod ceiling;
#[cfg(feature = "pipeline")]
mod judgement;
#[cfg(feature = "pipeline")]
mod outcome;
#[cfg(feature = "pipeline")]
mod pipeline;
#[cfg(feature = "pipeline")]
mod plan;
#[cfg(feature = "pipeline")]
mod program;
#[cfg(feature = "pipeline")]
mod run;

pub use alone::main as outbox_main;
#[cfg(feature = "pipeline")]
pub use program::main as pipeline_main;
