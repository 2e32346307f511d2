//! Flags and environment of `outbox-relay`, and what they say about where database and brokers are.

use clap::{Args, Parser, Subcommand, ValueEnum};
use grammar::{ColorOptions, DEFAULT_BROKERS, DatabaseOptions, JsonOption, KafkaAccess, ShellVerb};
use jiff::{SignedDuration, Timestamp};
use outbox::operate::{Lead, Selection};
use outbox::{ConnectionString, ConnectionStringError, Database};
use rdkafka::ClientConfig;

use crate::Failure;

fn exit_codes() -> String {
    grammar::exit_codes(&[(0, "done, and all is well"), (1, "something was found (status, audit, doctor)")], "")
}

/// Publishes the messages of a transactional outbox in Postgres to Kafka, and looks after it. Without a verb it runs
/// the relay.
#[derive(Parser)]
#[command(name = "outbox-relay", version, after_help = exit_codes())]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) at: At,
    /// Microseconds that the producer waits for more before it sends.
    #[arg(long, env = "OUTBOX_LINGER_US", default_value_t = 0)]
    pub(crate) linger_us: u64,
    /// Seconds that published messages stay in the tables at least.
    #[arg(long, env = "OUTBOX_RETENTION_S", default_value_t = 3600)]
    pub(crate) retention_s: u64,
    /// How logs are written: text for people, or one JSON object a line.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub(crate) log_format: LogFormat,
    #[command(flatten)]
    pub(crate) color: ColorOptions,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// Where everything is.
#[derive(Args)]
pub(crate) struct At {
    #[command(flatten)]
    database: DatabaseOptions,
    /// Database schema of the outbox.
    #[arg(long, env = "OUTBOX_SCHEMA", value_name = "NAME", global = true)]
    schema: Option<String>,
    /// Kafka's bootstrap addresses, several with commas.
    #[arg(long, env = "KAFKA_BROKERS", value_name = "HOST:PORT", default_value = DEFAULT_BROKERS, global = true)]
    pub(crate) brokers: String,
    #[command(flatten)]
    access: KafkaAccess,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Publish until stopped (the default).
    Run,
    /// Create or upgrade the outbox's tables, give a role its rights, and end.
    Migrate {
        /// Give this role what it needs to do its work with them; may be repeated after every upgrade.
        #[arg(long, value_name = "ROLE")]
        grants: Option<String>,
        /// What that role does: publish, append, keep its place as a consumer, insert into outbox_sends; several with commas.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "relay", requires = "grants")]
        work: Vec<Work>,
    },
    /// Show backlog, leader, and how far each lane is published
    ///
    /// Asks only the database, so it answers while Kafka is away. Exits with 1 when nobody publishes what waits, when the
    /// leader is silent, or when messages have waited for more than a minute.
    Status {
        #[command(flatten)]
        output: JsonOption,
    },
    /// Compare the table with the topics: lost, doubled, reordered, phantom, changed messages
    ///
    /// Reads the topics from where the table begins and compares each record with its row. Changes nothing, unless
    /// --repair is given. Doubled messages are counted and are no finding: consumers pass over them.
    Audit(AuditArguments),
    /// Begin a new epoch on lanes: after a restore of the database
    ///
    /// A relay that takes over begins one by itself where table and topic differ. This begins one in any case. What the
    /// table holds after the last message that both have is published again in the new epoch; what the topic holds
    /// after it is void. What consumers have already acted on cannot be called back.
    Rebase {
        #[command(flatten)]
        lanes: Lanes,
        /// Publish again everything after this sequence, although the topic has it: whoever has acted on it is given it
        /// again. Needs --topic and --lane.
        #[arg(long, value_name = "SEQUENCE", requires_all = ["topic", "lane"])]
        after: Option<i64>,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        output: JsonOption,
    },
    /// Look for what keeps an outbox from working: sessions, grants, a pooler, settings, topics
    ///
    /// One line per check: ok, warning, or problem with what to do. Exits with 1 when there is a problem, or with
    /// --strict a warning.
    Doctor(DoctorArguments),
    #[command(flatten)]
    Shell(ShellVerb),
}

#[derive(Args)]
pub(crate) struct AuditArguments {
    /// Only messages whose time is not older: 90s, 15m, 6h, 2d, or a time like 2026-01-31T10:00:00Z
    #[arg(long, value_parser = parse_since)]
    pub(crate) since: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) lanes: Lanes,
    /// Publish again what the topics lost: everything from the first missing message of a lane on, in order.
    #[arg(long, conflicts_with = "since")]
    pub(crate) repair: bool,
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) output: JsonOption,
}

#[derive(Args)]
pub(crate) struct DoctorArguments {
    /// Role of the programs that append; its grants are checked.
    #[arg(long)]
    pub(crate) writer_role: Option<String>,
    /// Role of services in other languages, which insert into outbox_sends; its grants are checked.
    #[arg(long)]
    pub(crate) sender_role: Option<String>,
    /// Role of the relays; default: the role of this connection.
    #[arg(long)]
    pub(crate) relay_role: Option<String>,
    /// Largest record that the writers are configured for.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) max_message_bytes: usize,
    /// How long the outbox keeps published messages, in seconds.
    #[arg(long, env = "OUTBOX_RETENTION_S", default_value_t = 3600)]
    pub(crate) retention_s: u64,
    /// From which age on a transaction is told of, in seconds.
    #[arg(long, default_value_t = 60)]
    pub(crate) old_transaction_s: u64,
    /// Consumer group whose offsets say how far the topics are archived; topics that delete by age are compared with it.
    #[arg(long)]
    pub(crate) archive_group: Option<String>,
    /// Let warnings count.
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) output: JsonOption,
}

/// Which lanes.
#[derive(Args)]
pub(crate) struct Lanes {
    /// Only this topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only this partition.
    #[arg(long, value_name = "PARTITION")]
    lane: Option<i32>,
}

impl Lanes {
    pub(crate) fn selection(&self) -> Selection {
        Selection { topic: self.topic.clone(), partition: self.lane }
    }
}

/// How something is changed.
#[derive(Args)]
pub(crate) struct Change {
    /// Only tell what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// End the database session of a relay that leads, instead of refusing; it stands by again by itself.
    #[arg(long)]
    take_lead: bool,
}

impl Change {
    pub(crate) fn lead(&self) -> Lead {
        if self.take_lead { Lead::Take } else { Lead::OnlyIfFree }
    }
}

/// What a role does with an outbox.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    Relay,
    Write,
    Consume,
    Send,
}

impl From<Work> for outbox::grants::Work {
    fn from(work: Work) -> Self {
        match work {
            Work::Relay => Self::Relay,
            Work::Write => Self::Write,
            Work::Consume => Self::Consume,
            Work::Send => Self::Send,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl At {
    pub(crate) fn schema(&self) -> Result<&str, Failure> {
        self.schema.as_deref().ok_or_else(|| Failure::Usage("no schema: give --schema or OUTBOX_SCHEMA".to_owned()))
    }

    /// Directly and not through a transaction pooler.
    pub(crate) fn database(&self) -> Result<Database, Failure> {
        let mut connection = ConnectionString::parse(self.database.url()?.expose())?;
        if let Some(password) = self.database.password()? {
            connection = connection.with_password(password.expose());
        }
        Ok(Database::new(connection.config().clone(), connection.tls().map_err(ConnectionStringError::from)?))
    }

    pub(crate) fn kafka(&self) -> Result<ClientConfig, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        for (name, value) in self.access.properties(Default::default())? {
            config.set(name, value);
        }
        Ok(config)
    }
}

/// A time, or how long ago it was.
fn parse_since(text: &str) -> Result<Timestamp, String> {
    since(text, Timestamp::now())
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong = || format!("`{text}` is neither a time like 2026-01-31T10:00:00Z nor an age like 15m, 6h or 2d");
    let unit_s = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        Some(_) | None => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit_s).filter(|seconds| *seconds >= 0).ok_or_else(wrong)?;
    now.checked_sub(SignedDuration::from_secs(seconds)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other_and_the_pages_of_help_are_the_kept_ones() {
        let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/help.txt");
        assert_eq!(grammar::help_is_kept(Arguments::command(), kept.as_ref()), Ok(()));
    }

    #[test]
    fn an_age_or_a_time_is_understood() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
            ("30s", "2026-03-01T11:59:30Z"),
            ("15m", "2026-03-01T11:45:00Z"),
            ("2h", "2026-03-01T10:00:00Z"),
            ("1d", "2026-02-28T12:00:00Z"),
        ] {
            assert_eq!(since(text, now).unwrap().to_string(), time, "{text}");
        }
        for wrong in ["", "h", "2", "-2h", "2w", "999999999999999999d"] {
            assert!(since(wrong, now).is_err(), "{wrong}");
        }
    }
}
