//! The command line. What the test harness of other programs understands is accepted and has no effect.

use std::time::Duration;

use clap::Parser;
use outbox::planted::PlantedBug;

use crate::fault::Fault;

/// Kills, pauses and restores everything around an outbox at random moments, and checks that nothing is lost, reordered,
/// invented or doubled.
#[derive(Debug, Parser)]
#[command(name = "crash")]
pub(crate) struct Options {
    /// Cycles to run; by default one of each fault
    #[arg(long)]
    pub(crate) cycles: Option<u64>,
    /// Decides the order of faults, their moments, and what the writers write
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only this fault; repeatable
    #[arg(long, value_name = "FAULT")]
    only: Vec<Fault>,
    /// Plants this bug in all processes; the program must then find a violation
    #[arg(long, value_name = "NAME")]
    pub(crate) bug: Option<PlantedBug>,
    /// Seconds for everything to settle after a fault, before what is missing counts as lost
    #[arg(long, default_value_t = 40)]
    patience: u64,
    /// Prints the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints a line per cycle
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Words that a test's name must hold: without one that fits, nothing runs
    filters: Vec<String>,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test_threads: Option<usize>,
    #[arg(long, hide = true)]
    skip: Vec<String>,
}

impl Options {
    /// Whether somebody wants other tests than the one of this name.
    pub(crate) fn are_for_others(&self, name: &str) -> bool {
        let unwanted = self.skip.iter().any(|word| name.contains(word.as_str()));
        let unnamed = !self.filters.is_empty() && !self.filters.iter().any(|word| name.contains(word.as_str()));
        self.list || self.ignored || unwanted || unnamed
    }

    /// The faults to choose from.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        if self.only.is_empty() { Fault::ALL.to_vec() } else { self.only.clone() }
    }

    /// How many cycles.
    pub(crate) fn cycles(&self) -> u64 {
        self.cycles.unwrap_or_else(|| u64::try_from(self.faults().len()).unwrap_or(1))
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }
}
