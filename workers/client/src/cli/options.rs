//! The options of `orders`, with the words of its `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use grammar::{ColorOptions, DEFAULT_BROKERS, JsonOption, KafkaAccess, Secret, ShellVerb, WaitOption};
use schemas::{CommandId, OrderId, Sku};

use super::changes::{ChangeVerb, FreeingVerb};
use super::list::{ListOptions, Listing};

/// Beside what all programs have: the codes of `publish`.
pub(super) const LINES_REFUSED: u8 = 3;
pub(super) const ENDED_OTHERWISE: u8 = 4;
pub(super) const NOT_ENDED: u8 = 5;

fn exit_codes() -> String {
    let own = [
        (0, "done"),
        (1, "the answer is no: unknown order, refused command, watched order that has not ended"),
        (LINES_REFUSED, "published, but for lines that could not be encoded (stderr names them)"),
        (ENDED_OTHERWISE, "publish --wait: every order has ended, and not every one is completed or ready to ship"),
        (NOT_ENDED, "publish --wait: not every order has ended in time"),
    ];
    grammar::exit_codes(&own, "Publishing, receiving and changing again with the same ids has no second effect.")
}

/// Publish orders to the pipeline's topics and see what became of them.
#[derive(Debug, Parser)]
#[command(name = "orders", version, after_help = exit_codes())]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) kafka: KafkaOptions,

    #[command(flatten)]
    pub(super) api: ApiOptions,

    #[command(flatten)]
    pub(super) output: JsonOption,

    #[command(flatten)]
    pub(super) wait: WaitOption,

    #[command(flatten)]
    pub(super) color: ColorOptions,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Where Kafka is.
#[derive(Debug, Args)]
pub(super) struct KafkaOptions {
    /// Kafka's bootstrap addresses, several with commas.
    #[arg(long, global = true, env = "KAFKA_BROKERS", value_name = "HOST:PORT", default_value = DEFAULT_BROKERS)]
    pub(super) brokers: String,

    /// What stands in front of every topic name.
    #[arg(
        long,
        global = true,
        env = "TOPIC_PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) topic_prefix: String,

    #[command(flatten)]
    pub(super) access: KafkaAccess,

    /// The daemons' configuration file; brokers, topic_prefix and [kafka] are read.
    #[arg(long, global = true, env = "PIPELINE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// The API that stands for Kafka outside its network.
#[derive(Debug, Args)]
pub(super) struct ApiOptions {
    /// Go by order-api at this address instead of Kafka, such as https://orders.example/v1.
    #[arg(long, global = true, env = "ORDERS_API", value_name = "URL")]
    pub(super) api: Option<String>,

    /// The key for it; a command line would show it to every user of the machine.
    #[arg(long, global = true, env = "ORDERS_API_KEY", value_name = "KEY", hide = true, hide_env_values = true)]
    pub(super) api_key: Option<Secret>,

    /// File that holds the key for it (the key itself: ORDERS_API_KEY).
    #[arg(long, global = true, env = "ORDERS_API_KEY_FILE", value_name = "FILE")]
    pub(super) api_key_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Publish the orders of a file, one JSON object per line.
    Publish(PublishOptions),
    /// Receive goods, correct a count, or show what is there.
    #[command(subcommand)]
    Stock(StockVerb),
    /// List orders by state, age, customer or SKU, from the order service's tables.
    List(ListOptions),
    /// Show one order: its state and its history over all topics.
    Show(ShowOptions),
    /// Follow what happens to orders, or to one until it is finished.
    Watch(WatchOptions),
    #[command(flatten)]
    Change(ChangeVerb),
    /// Orders at which the machine has given up: a person frees them.
    #[command(subcommand)]
    Stuck(StuckVerb),
    #[command(flatten)]
    Shell(ShellVerb),
}

/// Of `publish`.
#[derive(Debug, Args)]
pub(super) struct PublishOptions {
    /// .jsonl, .jsonl.zst, .jsonl.gz, or - for standard input. A line:
    /// {"order_id":"1","customer_id":"900","placed_at":"2017-01-01T11:53:26Z",
    /// "currency":"USD","lines":[{"sku":"1095275","quantity":1,"unit_price_minor":50}]}
    #[arg(verbatim_doc_comment)]
    pub(super) file: PathBuf,

    /// Stop at the first line that cannot be encoded.
    #[arg(long)]
    pub(super) strict: bool,

    /// At most so many orders per second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: Option<u32>,

    /// Wait until every order has come as far as it comes by itself, and say how far: completed, ready to ship, held,
    /// cancelled, rejected or stuck. Given up when none has for --timeout seconds.
    #[arg(long)]
    pub(super) wait: bool,
}

/// Of `stock`.
#[derive(Debug, Subcommand)]
pub(super) enum StockVerb {
    /// Goods have arrived.
    Receive(ReceiveOptions),
    /// Correct what is there after a count: pieces more, or fewer with a minus.
    Adjust(AdjustOptions),
    /// Say what a SKU is called and what a piece costs, in place of what was said before.
    Describe(DescribeOptions),
    /// What is received, reserved, shipped and available, and how it is described, folded from the topics.
    Show(StockShowOptions),
}

/// Who asks for a stock command, and why.
#[derive(Debug, Args)]
pub(super) struct Asker {
    /// Who asks; kept with the SKU.
    #[arg(long, value_name = "WHO")]
    pub(super) by: Option<String>,

    /// Why, in words; kept with the SKU.
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

/// Of `stock receive`.
#[derive(Debug, Args)]
pub(super) struct ReceiveOptions {
    /// Which SKU.
    #[arg(required_unless_present = "file", requires = "quantity")]
    pub(super) sku: Option<Sku>,

    /// How many pieces.
    #[arg(allow_negative_numbers = true)]
    pub(super) quantity: Option<i64>,

    /// Many receipts: .jsonl, .jsonl.zst, .jsonl.gz or -, lines such as {"sku":"1095275","quantity":12}.
    #[arg(long, value_name = "FILE", conflicts_with = "sku")]
    pub(super) file: Option<PathBuf>,

    /// The receipt's id (with --file the beginning of the ids: ID/LINE): the same id again has no second effect.
    /// Without it, every run is a new receipt.
    #[arg(long)]
    pub(super) id: Option<CommandId>,

    #[command(flatten)]
    pub(super) asker: Asker,

    /// Do not wait for the inventory service's answer. (A file's receipts are never waited for.)
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// Of `stock adjust`.
#[derive(Debug, Args)]
pub(super) struct AdjustOptions {
    /// Which SKU.
    pub(super) sku: Sku,

    /// Pieces more, or fewer (-3). Never fewer than what is free: pieces that orders hold stay theirs.
    #[arg(allow_negative_numbers = true)]
    pub(super) delta: i64,

    /// The adjustment's id: the same id again has no second effect. Without it, every run is a new adjustment.
    #[arg(long)]
    pub(super) id: Option<CommandId>,

    #[command(flatten)]
    pub(super) asker: Asker,

    /// Do not wait for the inventory service's answer.
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// Of `stock describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeOptions {
    /// Which SKU; a new one is created, without stock.
    pub(super) sku: Sku,

    /// What it is called, at most 256 bytes.
    #[arg(long, value_name = "TEXT")]
    pub(super) title: String,

    /// What a piece costs, in minor units (cents).
    #[arg(long, value_name = "MINOR", allow_negative_numbers = true)]
    pub(super) price_minor: i64,

    /// The price's currency, as EUR.
    #[arg(long, value_name = "CODE")]
    pub(super) currency: String,

    /// The description's id: the same id again has no second effect. Without it, every run is a new description.
    #[arg(long)]
    pub(super) id: Option<CommandId>,

    #[command(flatten)]
    pub(super) asker: Asker,

    /// Do not wait for the inventory service's answer.
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// Of `stock show`.
#[derive(Debug, Args)]
pub(super) struct StockShowOptions {
    /// Which SKU; without it, all.
    pub(super) sku: Option<Sku>,
}

/// Of `stuck`.
#[derive(Debug, Subcommand)]
pub(super) enum StuckVerb {
    /// List the orders that are stuck, from the order service's tables.
    List(Listing),
    /// Show one order, as `orders show` does.
    Show(ShowOptions),
    #[command(flatten)]
    Free(FreeingVerb),
}

/// Of `show`.
#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    /// Which order.
    pub(super) order_id: OrderId,
}

/// Of `watch`.
#[derive(Debug, Args)]
pub(super) struct WatchOptions {
    /// Follow this order from its first event until it is finished; without it, every order from now on.
    pub(super) order_id: Option<OrderId>,

    /// Without an order id: from the first event in the topic instead of from now on.
    #[arg(long)]
    pub(super) from_beginning: bool,

    /// Stop after so many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    pub(super) for_seconds: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once(&"orders").chain(args))
    }

    #[test]
    fn the_definition_is_consistent_and_the_pages_of_help_are_the_kept_ones() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/help.txt");
        assert_eq!(grammar::help_is_kept(Options::command(), kept.as_ref()), Ok(()));
    }

    #[test]
    fn global_options_stand_before_or_after_the_verb() {
        let before = parse(&["--json", "--brokers", "b:1", "-X", "a=b", "show", "1"]).unwrap();
        let after = parse(&["show", "1", "--json", "--brokers", "b:1", "-X", "a=b"]).unwrap();
        for options in [before, after] {
            assert!(options.output.json);
            assert_eq!((options.kafka.brokers.as_str(), options.kafka.access.names("a")), ("b:1", true));
        }
    }

    #[test]
    fn a_receipt_is_one_sku_with_a_quantity_or_a_file() {
        assert!(parse(&["stock", "receive", "sku", "3"]).is_ok());
        assert!(parse(&["stock", "receive", "--file", "-"]).is_ok());
        assert!(parse(&["stock", "receive"]).is_err());
        assert!(parse(&["stock", "receive", "sku"]).is_err());
        assert!(parse(&["stock", "receive", "sku", "3", "--file", "-"]).is_err());
    }

    #[test]
    fn what_is_no_id_is_named_at_once() {
        let error = parse(&["show", ""]).unwrap_err().to_string();
        assert!(error.contains("the order id is empty"), "{error}");
    }
}
