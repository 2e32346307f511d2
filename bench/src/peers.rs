//! What others do with the same work, on the same servers, in the same run: `--peers`.
//!
//! The peers are programs of a workspace of its own, `bench/peers`, which is built only here. One that cannot be had is an
//! outcome with its reason, never left out. This module starts them, measures them as everything else here is measured, and
//! puts them beside ours; what they do is in their own files.

mod orders;
mod outcome;
mod process;
mod programs;

pub(crate) use orders::{PipelinePeers, beside_table};
pub(crate) use outcome::{Beside, Outcome, first_line};
pub(crate) use process::PeerProcess;
pub(crate) use programs::Programs;
