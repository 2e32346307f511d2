//! No secret is left behind: the account's key, the webhooks' secret, a customer's own secret and the token of the settings are looked for
//! in everything that the pipeline leaves: logs, metrics, configuration, rows, topics with their dead letters, archive and dump.
//!
//! Each place is also searched for something that has to be there, so that a search which sees nothing does not pass.

use std::path::{Path, PathBuf};
use std::process::Command;

use apache_avro::Reader;
use apache_avro::types::Value;
use schemas::{ServiceName, TopicName};
use tests::{
    Outcome, Pipeline, Run, STRIPE_KEY, STRIPE_TOKEN, Sent, Servers, Settings, order, run_command, stock_for, trouble,
};

use crate::DAEMON;
use crate::stripe::{faulty, paid};
use crate::webhooks::hook_of;

const REPLAY: &str = env!("CARGO_BIN_EXE_replay-program");

/// What may be seen nowhere. The server plants the customer's secret in every payment.
const WEBHOOK_SECRET: &str = "whsec_planted";
const CLIENT_SECRET: &str = "_secret_planted";
const SECRETS: [&str; 4] = [STRIPE_KEY, WEBHOOK_SECRET, CLIENT_SECRET, STRIPE_TOKEN];

/// What has to be seen wherever orders are told of: an order's id.
const CONTROL: &str = "seen-everywhere";

/// These bytes without a secret, and with the control.
fn assert_told(place: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let found: Vec<&str> = SECRETS.into_iter().filter(|secret| text.contains(secret)).collect();
    assert!(found.is_empty(), "{place} tells {found:?}");
    assert!(text.contains(CONTROL), "{place} does not tell of any order: the search is blind");
}

/// Every text and all bytes in a value of Avro.
fn bytes_in(value: &Value, into: &mut Vec<u8>) {
    // What holds no text is told by its debug form.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum")]
    match value {
        Value::Bytes(bytes) => into.extend(bytes),
        Value::String(text) => into.extend(text.bytes()),
        Value::Union(_, inner) => bytes_in(inner, into),
        Value::Array(items) => items.iter().for_each(|item| bytes_in(item, into)),
        Value::Record(fields) => fields.iter().for_each(|(_, field)| bytes_in(field, into)),
        Value::Map(entries) => entries.values().for_each(|entry| bytes_in(entry, into)),
        other => into.extend(format!("{other:?}").bytes()),
    }
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files_under(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

/// All records of an archive.
fn records_in(archive: &Path) -> Outcome<Vec<u8>> {
    let (mut files, mut bytes) = (Vec::new(), Vec::new());
    files_under(archive, &mut files)?;
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "avro")) {
        for value in Reader::new(std::fs::File::open(path)?)? {
            bytes_in(&value?, &mut bytes);
        }
    }
    Ok(bytes)
}

/// Keys, values and headers of every record of every topic, dead letters too.
async fn topics_of(pipeline: &Pipeline) -> Outcome<Vec<(String, Vec<u8>)>> {
    let named = |topic: TopicName| [topic.as_str().to_owned(), topic.dead_letter()];
    let topics: Vec<String> = TopicName::ALL.into_iter().flat_map(named).collect();
    let records = pipeline.broker().read(&topics).await?;
    let of = |topic: &String| {
        let mut bytes = Vec::new();
        for record in records.iter().filter(|record| record.topic == *topic) {
            bytes.extend(record.key.iter().flatten().chain(record.value.iter().flatten()));
            for (name, value) in &record.headers {
                bytes.extend(name.bytes().chain(value.clone().unwrap_or_default()));
            }
        }
        (topic.clone(), bytes)
    };
    Ok(topics.iter().map(of).collect())
}

async fn replay(pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
    let mut command = Command::new(REPLAY);
    command.args(arguments).args(["--brokers", &pipeline.servers().stack().brokers()]);
    command.args(["--topic-prefix", pipeline.prefix()]).env_remove("DATABASE_URL");
    run_command(command).await?.expect(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_anything_that_is_left() -> Outcome {
    let servers = Servers::shared().await?;
    let behaviour = stripe_server::Behaviour { webhook_secret: WEBHOOK_SECRET.into(), ..faulty() };
    let settings = Settings { webhooks: true, ..Settings::default() };
    let (pipeline, server) = Pipeline::start_at_provider(DAEMON, &servers, settings, behaviour).await?;
    pipeline.sign_webhooks_with(&[WEBHOOK_SECRET])?;
    server.send_webhooks_to(vec![format!("http://{}/webhooks/stripe", hook_of(&pipeline, 0).await?)]);
    let mut orders = paid(7_400, 40)?;
    orders.push(order(CONTROL, &["a"])?);
    pipeline.receive(&stock_for(&orders)).await?;
    // A dead letter of every topic that anyone writes, under the control's key.
    for topic in [TopicName::OrderCommands, TopicName::StockCommands] {
        let (topic, key) = (topic.as_str().to_owned(), Some(CONTROL.into()));
        pipeline.broker().send(&Sent { topic, key, value: Some(b"no message".to_vec()), ..Sent::default() }).await?;
    }
    pipeline.publish(&orders).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;

    let mut told = 0;
    for (topic, bytes) in topics_of(&pipeline).await?.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        // Of goods alone, without an order.
        let is_of_goods = topic.starts_with("stock.events");
        told += 1;
        assert_told(&topic, if is_of_goods { [&bytes[..], CONTROL.as_bytes()].concat() } else { bytes }.as_slice());
    }
    assert!(told >= 10, "eight topics and the dead letters of two: {told}");
    let (archive, dump) = (pipeline.folder().join("archive"), pipeline.folder().join("dump.sqlite"));
    let (to, into) = (archive.display().to_string(), dump.display().to_string());
    replay(&pipeline, &["archive", "run", "--to", &to]).await?;
    assert_told("the archive", &records_in(&archive)?);
    replay(&pipeline, &["rebuild", "--to", &into]).await?;
    assert_told("the dump", &std::fs::read(&dump)?);
    assert_told("the dead letters", replay(&pipeline, &["dead-letters", "list", "--json"]).await?.stdout.as_bytes());
    let rows = "select string_agg(all_of::text, '') from (select p::text as all_of from payments.payments p union all \
                select l::text from payments.ledger l union all select o::text from orders.orders o) as rows";
    assert_told("the tables", pipeline.tables().query(rows, &[]).await?[0].get::<_, String>(0).as_bytes());

    let shown = pipeline.run(ServiceName::Payment, &["config"]).await?;
    assert!(shown.output.contains("stripe_url") && shown.output.contains("webhook_secrets_file"), "{shown:?}");
    let (_, metrics) = pipeline.daemon(ServiceName::Payment, 0)?.get("/metrics").await?;
    assert_told("metrics", format!("{metrics}{CONTROL}").as_bytes());
    let mut files = Vec::new();
    files_under(pipeline.folder(), &mut files)?;
    let holds_them = |path: &PathBuf| {
        let is_given = path.extension().is_some_and(|end| end == "toml");
        is_given || ["stripe-key", "webhook-secrets"].iter().any(|name| path.ends_with(name))
    };
    let logs: Vec<PathBuf> = files.into_iter().filter(|path| !holds_them(path)).collect();
    for path in &logs {
        let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
        // The token that pays in test mode is a setting, and is shown as one.
        let is_config = path.ends_with("payment-config.log");
        let found = SECRETS.iter().find(|secret| text.contains(**secret) && !(is_config && **secret == STRIPE_TOKEN));
        assert_eq!(found, None, "{}", path.display());
    }
    let daemons = logs.iter().filter(|path| path.extension().is_some_and(|end| end == "log"));
    if daemons.count() < 6 {
        return Err(trouble(format!("the logs are not where they are looked for: {logs:?}")));
    }
    server.stop().await;
    Ok(())
}
