//! `parked list`, `retry` and `drop`: what an operator does about keys whose messages wait because one of them cannot be taken.
//!
//! The daemons notice within seconds. Deliberately absent: what is done, which is the consumer's (`consumer::parked`).

use clap::{Args, Subcommand};
use consumer::parked::{self, Letters, Signature, Which};
use consumer::status::ParkedKeyStatus;
use grammar::{Exit, JsonOption, Table, counted, terminal_width};
use outbox::{Outbox, OutboxConfig};
use provision::{migrate, topics};
use schemas::ServiceName;
use serde_json::json;

use crate::clock;
use crate::config::Config;
use crate::daemon::{DaemonError, database, topics_written};
use crate::pipeline_contract::Pipeline;
use crate::verbs::say;

/// What is done about parked keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Action {
    /// Show them, the oldest first, each with why its first message cannot be taken.
    List {
        #[command(flatten)]
        output: JsonOption,
    },
    /// Have a key tried again at once, or all of them: its messages are taken in their order, up to the first that cannot be.
    /// Exits with 1 where there is none.
    Retry {
        /// The key.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        key: Option<String>,
        /// Every parked key.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        record: Record,
    },
    /// Give a key up: its messages go to the dead letters of their topics, with the cause and the note, and what comes later is
    /// taken again. Exits with 1 where the key is not parked.
    Drop {
        /// The key.
        key: String,
        /// Why, for the record.
        #[arg(long, value_name = "TEXT")]
        note: String,
        #[command(flatten)]
        record: Record,
    },
}

/// Who does it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Record {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Who does it, for the record. Default: the user of the operating system.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Record {
    fn by(&self) -> String {
        self.by.clone().unwrap_or_else(grammar::os_user)
    }
}

/// Do it, and say what was done.
pub(crate) async fn act(service: ServiceName, config: &Config, action: &Action) -> Result<Exit, DaemonError> {
    let database = database(service, config)?;
    let client = database.first_client().await.map_err(DaemonError::of)?;
    migrate::check(&client, service, &config.schema).await.map_err(DaemonError::of_database)?;
    std::mem::drop(client);
    let which = match action {
        Action::List { .. } => Which::All,
        Action::Retry { key, .. } => key.as_deref().map_or(Which::All, Which::Key),
        Action::Drop { key, .. } => Which::Key(key),
    };
    let found = parked::list(&database, which, clock::now()).await.map_err(DaemonError::of)?;
    match action {
        Action::List { output } if output.json => {
            grammar::say_json(&json!({ "keys": found })).map_err(DaemonError::of)?
        }
        Action::List { .. } => say(&listed(&found))?,
        Action::Retry { record, .. } | Action::Drop { record, .. } if record.dry_run || found.is_empty() => {
            say(&listed(&found))?;
        }
        Action::Retry { record, .. } => {
            let asked = parked::retry(&database, which, &record.by(), clock::now()).await.map_err(DaemonError::of)?;
            say(&format!("{} tried again at once", are(asked, "parked key")))?;
        }
        Action::Drop { key, note, record } => {
            let outbox = open_outbox(service, config, &database).await?;
            let (group, by, at) = (config.group(), record.by(), clock::now());
            let letters = Letters {
                service: service.as_str(),
                topic_prefix: &config.topic_prefix,
                group: &group,
                limit_bytes: topics::MAX_DEAD_LETTER_BYTES,
            };
            let dropped =
                parked::drop::<Pipeline>(&database, &outbox, letters, key, Signature { by: &by, at, note }).await;
            let dropped = dropped.map_err(DaemonError::of)?;
            tracing::warn!(%service, key, dropped, note, by, "a parked key was given up");
            say(&format!("{} set aside in the dead letters; the key is free", are(dropped, "message")))?;
        }
    }
    let is_list = matches!(action, Action::List { .. });
    Ok(Exit::done_if(is_list || !found.is_empty()))
}

/// The outbox as the daemons open it.
async fn open_outbox(
    service: ServiceName,
    config: &Config,
    database: &consumer::Database,
) -> Result<Outbox, DaemonError> {
    let prefix = &config.topic_prefix;
    let checked = topics::check(&config.client_config(), prefix, None, clock::now()).await.map_err(DaemonError::of)?;
    let written = topics_written(service, prefix, checked.partitions);
    let client = database.client().await.map_err(DaemonError::of)?;
    let opened = Outbox::open(&client, OutboxConfig::new(&config.schema, service.source(), written)).await;
    opened.map_err(DaemonError::of)
}

fn are(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "is" } else { "are" })
}

fn listed(keys: &[ParkedKeyStatus]) -> String {
    if keys.is_empty() {
        return "no such key is parked".to_owned();
    }
    let mut table = Table::new(["key", "lane", "messages", "since", "attempts", "next attempt", "cause"]);
    for key in keys {
        table.row([
            key.key.clone(),
            key.lane.to_string(),
            key.messages.to_string(),
            format!("{:.0}", key.since),
            key.attempts.to_string(),
            format!("{:.0}", key.next_attempt),
            key.cause.clone(),
        ]);
    }
    table.text(terminal_width()).trim_end().to_owned()
}
