//! The provider of a demo: simulated within the payment worker, or `stripe-server` beside it, which the worker asks as it would ask Stripe.
//!
//! The server loses answers, repeats errors and turns requests away on purpose; no money moves, and no key is a real one.

use std::process::Command;
use std::time::Duration;

use clap::ValueEnum;
use dev_stack::Daemon;

use crate::error::DemoError;
use crate::fleet::{PER_PERCENT, program};
use crate::scene::Scene;

/// Its program.
const PROGRAM: &str = "stripe-server";

/// How long it may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);

/// What it lets go wrong, of a million.
const FAULTS: &str = "too_many_per_million = 5000\nstored_error_per_million = 2000\n[simulator]\nlatency_min_ms = 5\nlatency_max_ms = 30\n\
timeout_ms = 100\ntimeout_before_effect_per_million = 10000\ntimeout_after_effect_per_million = 10000\n\
server_error_per_million = 10000\nconflict_per_million = 10000\n";

/// Who holds and takes the money in a demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ProviderChoice {
    /// A simulator within the payment worker.
    #[default]
    Simulator,
    /// A server of the shape of Stripe's, which loses answers and repeats errors.
    Stripe,
}

impl ProviderChoice {
    /// As it is given.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ProviderChoice::Simulator => "simulator",
            ProviderChoice::Stripe => "stripe",
        }
    }

    /// The server, where one is asked for.
    pub(crate) fn start(self, scene: &Scene, decline_percent: u32) -> Result<Option<Daemon>, DemoError> {
        match self {
            ProviderChoice::Simulator => Ok(None),
            ProviderChoice::Stripe => start(scene, decline_percent).map(Some),
        }
    }
}

fn start(scene: &Scene, decline_percent: u32) -> Result<Daemon, DemoError> {
    let behaviour = scene.logs.join("stripe-server.toml");
    let declined = decline_percent * PER_PERCENT;
    std::fs::write(&behaviour, format!("{FAULTS}decline_per_million = {declined}\n"))
        .map_err(DemoError::file("write", &behaviour))?;
    let mut command = program(scene, PROGRAM)?;
    command.args(["--listen", "127.0.0.1:0"]).arg("--behaviour").arg(&behaviour);
    command.arg("--statement").arg(&scene.statement);
    let log = scene.logs.join("stripe-server.log");
    Ok(Daemon::spawn_announced(command, PROGRAM, &log, "listening", LISTEN_LIMIT)?)
}

/// What tells a payment worker of it; the key goes by the environment, as a real one would.
pub(crate) fn tell(command: &mut Command, server: &Daemon) {
    command.args([
        "--provider",
        ProviderChoice::Stripe.as_str(),
        "--stripe-url",
        &format!("http://{}", server.address()),
    ]);
    command.env("STRIPE_KEY", "sk_test_demo").env("STRIPE_TEST_TOKEN", "pm_card_visa");
}
