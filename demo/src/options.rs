//! The options of `cargo demo`, with the words of its `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::provider::ProviderChoice;

const AFTER: &str = "\
Without options: the 12,721 sample orders, one process of each worker, private servers that are gone afterwards.
KAFKA_BROKERS and DATABASE_URL, when set, are used instead of private servers; the demo then works under a prefix and
in schemas of its own and removes them.

Exit codes: 0 every order settled and nothing violated; 1 not so, or something failed; 2 wrong usage; 130 interrupted.";

const AFTER_SALE: &str = "\
Exit codes: 0 every piece was sold once or is left, no level was below zero, and nothing is violated; 1 not so, or something \
failed; 2 wrong usage; 130 interrupted.";

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

    /// Only the first N lines with orders.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    #[command(flatten)]
    pub(crate) staging: Staging,
}

/// Of a flash sale.
#[derive(Debug, Clone, Args)]
pub(crate) struct FlashSaleOptions {
    /// Orders of one piece each for the one SKU on sale.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) orders: u64,

    /// Pieces of it that are there.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pieces: u32,

    /// Afterwards, orders of one piece each over the hot SKUs, of which there is enough; then as many over many SKUs.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) hot_orders: u64,

    /// Hot SKUs.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) hot_skus: u64,

    #[command(flatten)]
    pub(crate) staging: Staging,
}

/// How anything is staged and told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Staging {
    /// At most so many orders per second, instead of as fast as Kafka takes them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,

    #[command(flatten)]
    pub(crate) cast: Cast,

    /// Leave everything running afterwards; `cargo demo stop` stops it.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Make the last line on stdout one JSON object; everything else goes to stderr.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Cast {
    /// Processes of each worker.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) instances: u16,

    /// Of a hundred payments, so many are declined.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) decline_percent: u32,

    /// Who holds and takes the money; no money moves either way.
    #[arg(long, value_enum, value_name = "NAME", default_value_t)]
    pub(crate) provider: ProviderChoice,

    /// Start a stranger's service beside the workers: outbox/examples/loyalty, points for confirmed orders.
    #[arg(long)]
    pub(crate) with_loyalty: bool,
}

/// Instead of a run.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sell a few pieces to very many, then a few hot SKUs, and check that no piece is sold twice or lost.
    #[command(max_term_width = 100, after_help = AFTER_SALE)]
    FlashSale(FlashSaleOptions),
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

    #[command(flatten)]
    pub(crate) cast: Cast,
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
        let Staging { cast, json, .. } = options.run.staging;
        assert_eq!((cast.instances, cast.decline_percent, json), (3, 5, true));
        assert!(matches!(Options::try_parse_from(["demo", "stop"]).unwrap().verb, Some(Verb::Stop)));
        assert!(matches!(Options::try_parse_from(["demo", "env"]).unwrap().verb, Some(Verb::Env)));
        assert!(Options::try_parse_from(["demo", "--keep", "stop"]).is_err());
        assert!(Options::try_parse_from(["demo", "--instances", "0"]).is_err());
    }

    #[test]
    fn a_flash_sale_has_its_own_numbers_and_the_rest_of_a_run() {
        let parsed =
            Options::try_parse_from(["demo", "flash-sale", "--pieces", "7", "--decline-percent", "0"]).unwrap();
        let Some(Verb::FlashSale(sale)) = parsed.verb else { panic!("{:?}", parsed.verb) };
        assert_eq!((sale.orders, sale.pieces, sale.hot_orders, sale.hot_skus), (100_000, 7, 10_000, 20));
        assert_eq!((sale.staging.cast.decline_percent, sale.staging.keep), (0, false));
        assert!(Options::try_parse_from(["demo", "flash-sale", "--decline-percent", "101"]).is_err());
    }
}
