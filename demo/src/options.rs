//! The options of `cargo demo`, with the words of its `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const AFTER: &str = "\
Without options: the 12,721 sample orders, one process of each worker, private servers that are gone afterwards.
KAFKA_BROKERS and DATABASE_URL, when set, are used instead of private servers; the demo then works under a prefix and
in schemas of its own and removes them.

Exit codes: 0 every order settled and nothing violated; 1 not so, or something failed; 2 wrong usage; 130 interrupted.";

/// Run real orders through three daemons on a real Kafka and a real Postgres, and check the result.
#[derive(Debug, Parser)]
#[command(name = "demo", version, after_help = AFTER, max_term_width = 100, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) run: RunOptions,

    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// Of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunOptions {
    /// Orders to publish instead of the sample: .jsonl, .jsonl.zst, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) orders: Option<PathBuf>,

    /// At most so many orders per second, instead of as fast as Kafka takes them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,

    /// Only the first N lines with orders.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    /// Processes of each worker.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) instances: u16,

    /// Start a stranger's service beside the workers: outbox/examples/loyalty, points for confirmed orders.
    #[arg(long)]
    pub(crate) with_loyalty: bool,

    /// Leave everything running afterwards; `cargo demo stop` stops it.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Make the last line on stdout one JSON object; everything else goes to stderr.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Instead of a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Stop what `--keep` left running.
    Stop,
    /// Print the addresses of what `--keep` left running, as lines for a shell: eval "$(cargo demo env)".
    Env,
    /// Hold servers and daemons; started by `--keep`.
    #[command(hide = true)]
    Keeper(KeeperOptions),
}

/// Of the keeper.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeeperOptions {
    /// The folder for its files.
    #[arg(long)]
    pub(crate) folder: PathBuf,

    /// Processes of each worker.
    #[arg(long)]
    pub(crate) instances: u16,

    /// With the loyalty service.
    #[arg(long)]
    pub(crate) with_loyalty: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_run_is_the_default_and_stop_stands_alone() {
        let options = Options::try_parse_from(["demo", "--instances", "3", "--json"]).unwrap();
        assert!(options.verb.is_none());
        assert_eq!((options.run.instances, options.run.json), (3, true));
        assert!(matches!(Options::try_parse_from(["demo", "stop"]).unwrap().verb, Some(Verb::Stop)));
        assert!(matches!(Options::try_parse_from(["demo", "env"]).unwrap().verb, Some(Verb::Env)));
        assert!(Options::try_parse_from(["demo", "--keep", "stop"]).is_err());
        assert!(Options::try_parse_from(["demo", "--instances", "0"]).is_err());
    }
}
