//! `orders --api`: the verbs that go over HTTP say there what they say with Kafka, and the others that they do not go.

use std::path::Path;
use std::process::Command;

use dev_stack::Daemon;
use domain::simulator::SimulatorConfig;
use serde_json::{Value, json};
use tests::{LONG, Outcome, Pipeline, Servers, Settings, trouble, until};

use crate::program::{Run, run, run_with};
use crate::{API, DAEMON};

/// `order-api` beside a pipeline.
pub(crate) struct Door {
    url: String,
    /// Ends it when it is dropped.
    _daemon: Daemon,
}

fn command(pipeline: &Pipeline, keys: Option<&Path>) -> Command {
    let mut command = Command::new(API);
    command.env("KAFKA_BROKERS", pipeline.servers().stack().brokers()).env("DATABASE_URL", pipeline.database_url());
    command.env("TOPIC_PREFIX", pipeline.prefix()).env("LISTEN", "127.0.0.1:0").env("API_LISTEN", "127.0.0.1:0");
    command.env_remove("API_KEYS_FILE").env_remove("PIPELINE_CONFIG").env_remove("DATABASE_SCHEMA");
    if let Some(keys) = keys {
        command.env("API_KEYS_FILE", keys);
    }
    command
}

impl Door {
    pub(crate) async fn open(pipeline: &Pipeline, keys: Option<&Path>) -> Outcome<Self> {
        let (mut migrate, command) = (command(pipeline, None), command(pipeline, keys));
        let log = pipeline.folder().join("order-api.log");
        let opened = tokio::task::spawn_blocking(move || -> Outcome<Self> {
            let migrated = migrate.arg("migrate").output()?;
            if !migrated.status.success() {
                return Err(trouble(String::from_utf8_lossy(&migrated.stderr)));
            }
            let daemon = Daemon::spawn_announced(command, "order-api", &log, "listening", LONG)?;
            daemon.wait_ready(LONG)?;
            let line = daemon.wait_for_line("the API answers", LONG)?.unwrap_or_default();
            let address = line.split_whitespace().find_map(|word| word.strip_prefix("address="));
            let address = address.ok_or_else(|| trouble(format!("no address in {line}")))?;
            Ok(Door { url: format!("http://{address}/v1"), _daemon: daemon })
        });
        opened.await?
    }

    pub(crate) async fn run(&self, pipeline: &Pipeline, arguments: &[&str]) -> Outcome<Run> {
        run_with(pipeline, arguments, &[("ORDERS_API", &self.url)]).await
    }

    /// Both ways, the API's first: how it ended, and what it printed. They are the same once the read model has all.
    async fn both(&self, pipeline: &Pipeline, arguments: &[&str], alike: impl Fn(&str) -> String) -> Outcome<Run> {
        until("both ways say the same", LONG, async || {
            let (http, kafka) = (self.run(pipeline, arguments).await?, run(pipeline, arguments).await?);
            match (http.code, alike(&http.stdout)) == (kafka.code, alike(&kafka.stdout)) {
                true => Ok(http),
                false => Err(trouble(format!("{arguments:?}: {http:#?}\n{kafka:#?}"))),
            }
        })
        .await
    }
}

fn all(text: &str) -> String {
    text.to_owned()
}

/// Without the line that says how long it took, in any order: orders end as they end.
fn but_the_first(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A refusal is the answer to its own request, and in no stream.
fn but_for_refusals(text: &str) -> String {
    let is_refusal = |line: &&str| line.contains("OrderRejected") || line.contains("OrderCommandRefused");
    text.lines().filter(|line| !is_refusal(line)).collect::<Vec<_>>().join("\n")
}

/// That a run printed these words.
fn said(words: &str) -> impl Fn(Run) -> Outcome {
    move |run| if run.stdout.contains(words) { Ok(()) } else { Err(trouble(format!("no {words:?}: {run:?}"))) }
}

/// The state and what is waited for: all before the history, of which HTTP has the order's own events alone.
fn before_the_history(text: &str) -> String {
    text.split("\n\n").next().unwrap_or_default().to_owned()
}

fn line(id: &str, sku: &str, quantity: i64) -> String {
    let line = format!(r#"{{"sku":"{sku}","quantity":{quantity},"unit_price_minor":50}}"#);
    let head = format!(r#""order_id":"{id}","customer_id":"c","placed_at":"2026-01-01T00:00:00Z","currency":"USD""#);
    format!(r#"{{{head},"lines":[{line}],"fulfilment":"on_command","payment_token":"tok_1"}}"#)
}

async fn count(pipeline: &Pipeline, of: &str) -> Outcome<i64> {
    pipeline.tables().number(&format!("select count(*) from {of}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_that_goes_over_http_says_what_it_says_with_kafka() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let door = Door::open(&pipeline, None).await?;

    // Goods and orders: the file again, whichever way, places nothing twice.
    let received = door.run(&pipeline, &["stock", "receive", "a", "100", "--id", "by-http"]).await?.expect(0)?;
    assert_eq!(received.stdout, "received 100 × a (receipt by-http)\n");
    let received = run(&pipeline, &["stock", "receive", "a", "100", "--id", "by-kafka"]).await?.expect(0)?;
    assert_eq!(received.stdout, "received 100 × a (receipt by-kafka)\n");
    let below = ["stock", "adjust", "a", "-1000", "--id", "count-1"];
    assert!(door.both(&pipeline, &below, all).await?.expect(1)?.stdout.starts_with("refused: "));
    let bad = line("bad/é", "a", 1).replace("\"quantity\":1", "\"quantity\":0");
    let card = line("card", "a", 1).replace("tok_1", "4111 1111 1111 1111");
    let good = [line("w-1", "a", 2), line("w-2", "a", 2), line("w-3", "nowhere", 2)];
    let file = pipeline.folder().join("orders.jsonl");
    std::fs::write(&file, [good.join("\n"), bad, card].join("\n"))?;
    let file = file.display().to_string();
    for _ in 0..2 {
        let ran = door.both(&pipeline, &["publish", "--wait", &file], but_the_first).await?.expect(4)?;
        assert!(ran.stdout.contains("2 ready to ship, 1 cancelled, 1 rejected"), "{ran:?}");
        assert!(ran.stderr.contains("line 5, payment_token") && !ran.stderr.contains("4111"), "{ran:?}");
    }
    let one = pipeline.folder().join("one.jsonl");
    std::fs::write(&one, line("w-1", "a", 2))?;
    let one = one.display().to_string();
    let ran = door.run(&pipeline, &["publish", &one]).await?.expect(0)?;
    assert!(ran.stdout.starts_with("1 order written to Kafka"), "{ran:?}");
    std::fs::write(&one, line("w-1", "a", 3))?;
    let differs = door.run(&pipeline, &["publish", "--wait", &one]).await?.expect(4)?;
    assert!(differs.stdout.contains("w-1  rejected  PlaceOrder: ContentDiffers"), "{differs:?}");
    let differs = door.run(&pipeline, &["publish", &one]).await?.expect(2)?;
    assert!(differs.stdout.contains("PlaceOrder w-1 is refused"), "nobody waits, and it is told: {differs:?}");
    assert_eq!(count(&pipeline, "orders.orders").await?, 3);

    // What is done to orders: the answer is the same event, however it is heard.
    let held = ["hold", "w-1", "--reason", "Fraud", "--note", "looks odd", "--command-id", "h"];
    door.both(&pipeline, &held, all).await?.expect(0).and_then(said("order w-1 is held (Fraud, until "))?;
    let tried = ["ship", "w-1", "--dry-run", "--command-id", "t"];
    door.both(&pipeline, &tried, all).await?.expect(1).and_then(said("would be refused"))?;
    let refused = ["ship", "w-1", "--command-id", "s-0"];
    door.both(&pipeline, &refused, all)
        .await?
        .expect(1)
        .and_then(said("order w-1 is not shipped: ShipOrder: Held ("))?;
    door.both(&pipeline, &["release", "w-1", "--command-id", "r"], all).await?.expect(0)?;
    let ids = pipeline.folder().join("ids");
    std::fs::write(&ids, "w-1\nw-2\nunknown\n")?;
    let ids = ids.display().to_string();
    let ship = ["ship", "--file", &ids, "--carrier", "post", "--command-id", "truck-1"];
    door.both(&pipeline, &ship, all).await?.expect(1).and_then(said("unknown  refused  ShipOrder: OrderUnknown"))?;
    let refund = ["refund", "w-1", "--line", "1=1", "--reason", "DAMAGED", "--command-id", "m"];
    door.both(&pipeline, &refund, all)
        .await?
        .expect(0)
        .and_then(said("w-1 is refunded (refund m of 50 minor units)"))?;
    let too_much = ["refund", "w-1", "--amount", "51", "--command-id", "n"];
    door.both(&pipeline, &too_much, all).await?.expect(1).and_then(said("AmountTooLarge"))?;
    let late = ["cancel", "w-1", "--command-id", "c"];
    door.both(&pipeline, &late, all).await?.expect(1).and_then(said("OrderFinished"))?;

    goods_come_back(&pipeline, &door).await?;
    looks_are_alike(&pipeline, &door).await?;
    pipeline.check_clean().await?;
    Ok(())
}

/// A return, from what is asked for to what is given back.
async fn goods_come_back(pipeline: &Pipeline, door: &Door) -> Outcome {
    let asked = ["return", "request", "w-2", "--command-id", "b"];
    door.both(pipeline, &asked, all).await?.expect(0)?;
    let lines = ["--line", "1=1:restock", "--line", "1=1:write_off", "--note", "one is broken"];
    let receive = |further: &[&'static str]| [&["return", "receive", "w-2"], further, &lines].concat();
    let tried = receive(&["--return", "b", "--dry-run", "--command-id", "g"]);
    door.both(pipeline, &tried, all).await?.expect(0).and_then(said("would be published: ReceiveReturn"))?;
    let other = receive(&["--return", "x", "--command-id", "e"]);
    door.both(pipeline, &other, all).await?.expect(1).and_then(said("ReceiveReturn: ReturnUnknown ("))?;
    let came = receive(&["--return", "b", "--refund", "70", "--command-id", "g"]);
    door.both(pipeline, &came, all)
        .await?
        .expect(0)
        .and_then(said("w-2 is taken back (refund b of 70 minor units)"))?;
    let levels = door.both(pipeline, &["stock", "show", "a", "--json"], all).await?.expect(0)?.json()?;
    assert_eq!((&levels["returned"], &levels["written_off"]), (&json!(2), &json!(1)), "{levels}");
    door.run(pipeline, &["show", "w-2"]).await?.expect(0).and_then(said("one is broken"))
}

/// What only looks.
async fn looks_are_alike(pipeline: &Pipeline, door: &Door) -> Outcome {
    for id in ["w-1", "w-2", "w-3"] {
        let shown = door.both(pipeline, &["show", id], before_the_history).await?.expect(0)?;
        assert!(shown.stdout.contains("OrderPlaced"), "{shown:?}");
    }
    door.both(pipeline, &["show", "unknown-1"], all).await?.expect(1)?;
    let refused = door.run(pipeline, &["show", "bad/é"]).await?.expect(1)?;
    assert!(refused.stderr.contains("quantity"), "{refused:?}");
    door.both(pipeline, &["watch", "w-1"], but_for_refusals).await?.expect(0)?;
    let levels = door.both(pipeline, &["stock", "show"], all).await?.expect(0)?;
    assert!(levels.stdout.contains("200"), "{levels:?}");
    door.both(pipeline, &["stock", "show", "unknown"], all).await?.expect(1)?;
    let reader = pipeline.create_reader().await?;
    let filters: [&[&str]; 6] = [
        &["--all"],
        &[],
        &["--state", "completed"],
        &["--held"],
        &["--all", "--sku", "a"],
        &["--all", "--customer", "x"],
    ];
    for filter in filters {
        let list = [&["list", "--json", "--database-url", &reader], filter].concat();
        door.both(pipeline, &list, all).await?.expect(0)?;
    }
    let first = door.run(pipeline, &["list", "--all", "--limit", "2"]).await?.expect(0)?;
    let after = first.stderr.split('\'').nth(1).ok_or_else(|| trouble(format!("no cursor: {first:?}")))?;
    let rest = ["list", "--all", "--ids", "--after", after, "--database-url", &reader];
    assert_eq!(door.both(pipeline, &rest, all).await?.stdout.lines().count(), 1);

    let by = "the name of the key says who asks";
    for (words, what) in [
        (&["watch"][..], "one order alone can be watched"),
        (&["hold", "w-2", "--reason", "R", "--by", "ann"], by),
        (&["stuck", "retry", "w-3", "--by", "ann"], by),
        (&["stuck", "retry", "w-3", "--by", "ann", "--dry-run"], by),
    ] {
        let said = door.run(pipeline, words).await?.expect(2)?;
        assert!(said.stderr.contains("over HTTP") && said.stderr.contains(what), "{said:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_orders_are_freed_over_http_as_with_kafka() -> Outcome {
    let servers = Servers::shared().await?;
    // No capture succeeds, and what is held cannot be let go of.
    let simulator = SimulatorConfig {
        capture_failure_per_million: 1_000_000,
        void_failure_per_million: 1_000_000,
        ..SimulatorConfig::default()
    };
    let pipeline = Pipeline::start(DAEMON, &servers, Settings { simulator, ..Settings::default() }).await?;
    let door = Door::open(&pipeline, None).await?;
    door.run(&pipeline, &["stock", "receive", "a", "10", "--id", "d"]).await?.expect(0)?;
    let file = pipeline.folder().join("orders.jsonl");
    std::fs::write(&file, ["s-1", "s-2", "s-3", "s-4"].map(|id| line(id, "a", 1)).join("\n"))?;
    let publish = ["publish", "--wait", &file.display().to_string()];
    door.both(&pipeline, &publish, but_the_first).await?.expect(4).and_then(said("4 stuck"))?;

    let reader = pipeline.create_reader().await?;
    for filter in [&["--json"][..], &["--ids"], &["--customer", "x"]] {
        let list = [&["stuck", "list", "--database-url", &reader], filter].concat();
        door.both(&pipeline, &list, all).await?.expect(0)?;
    }
    let shown = door.both(&pipeline, &["stuck", "show", "s-1"], before_the_history).await?.expect(0)?;
    assert!(shown.stdout.contains("waits for a person, at PaymentVoid"), "{shown:?}");

    let ids = pipeline.folder().join("ids");
    std::fs::write(&ids, "s-4\nunknown\n")?;
    let ids = ids.display().to_string();
    let many = ["skip", "--file", &ids, "--step", "PaymentVoid", "--note", "voided by hand", "--command-id", "s"];
    let tried = [&many[..], &["--dry-run"]].concat();
    let skip = ["skip", "s-2", "--note", "voided by hand", "--command-id", "p"];
    let resolve = |id, command| ["resolve", id, "--as", "cancelled", "--note", "settled", "--command-id", command];
    for (words, code, told) in [
        (&["retry", "s-1", "--step", "StockCommit", "--command-id", "o"][..], 1, "RetryOrder: OtherStep ("),
        (&tried, 1, "would be published: SkipOrderStep"),
        (&many, 1, "unknown  refused  SkipOrderStep: OrderUnknown"),
        (&skip, 0, "order s-2 is past its step (CaptureFailed, waiting for StockRelease"),
        (&resolve("s-3", "e"), 0, "order s-3 is resolved (cancelled"),
        (&resolve("s-3", "late"), 1, "ResolveOrder: NotStuck ("),
        (&["retry", "s-1", "--step", "PaymentVoid", "--command-id", "r"], 0, "order s-1 is tried again (PaymentVoid"),
    ] {
        let words = [&["stuck"][..], words].concat();
        door.both(&pipeline, &words, all).await?.expect(code).and_then(said(told))?;
    }
    until("the one that was tried again is stuck once more", LONG, async || {
        let shown = door.run(&pipeline, &["show", "s-1"]).await?.expect(0)?;
        let count = shown.stdout.matches("OrderStuck").count();
        if count == 2 { Ok(()) } else { Err(trouble(format!("{shown:?}"))) }
    })
    .await?;
    let completed = ["stuck", "resolve", "s-1", "--as", "completed", "--note", "delivered", "--command-id", "f"];
    door.both(&pipeline, &completed, all).await?.expect(0).and_then(said("order s-1 is resolved (completed"))?;
    for (id, note) in [("s-1", "delivered"), ("s-2", "voided by hand"), ("s-3", "settled")] {
        door.run(&pipeline, &["show", id]).await?.expect(0).and_then(said(note))?;
    }
    pipeline.await_stage("cancelled", 3).await?;
    pipeline.check_clean().await?;
    Ok(())
}

/// The script by which the container engine makes a key at the first start, with a folder of ours for its volume.
fn script_for_the_key(folder: &Path) -> Outcome<String> {
    let compose = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.kafka.yml"))?;
    let lines = compose.lines().skip_while(|line| line.trim() != "umask 077").take_while(|line| !line.is_empty());
    let script = lines.map(str::trim).collect::<Vec<_>>().join("\n");
    let ours = script.replace("/keys/", &format!("{}/", folder.display())).replace("$$", "$");
    Ok(ours.replace("order-api key", &format!("{API} key")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_that_a_first_start_makes_lets_in_who_has_it_and_nobody_else() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::start(DAEMON, &servers, Settings::default()).await?;
    let folder = pipeline.folder().join("keys");
    std::fs::create_dir_all(&folder)?;
    let script = script_for_the_key(&folder)?;
    let mut made = Vec::new();
    for _ in 0..2 {
        let ran = Command::new("sh").args(["-ec", &script]).output()?;
        assert!(ran.status.success(), "{script}\n{ran:?}");
        made.push(std::fs::read_to_string(folder.join("key"))?);
    }
    let (key, file) = (made[0].trim(), folder.join("keys.toml"));
    assert!(key.starts_with("oak_") && made[0] == made[1], "a second start makes no other: {made:?}");
    assert!(!std::fs::read_to_string(&file)?.contains(key), "the API has its digest alone");

    let door = Door::open(&pipeline, Some(&file)).await?;
    let api = ("ORDERS_API", door.url.as_str());
    let key_file = folder.join("key").display().to_string();
    let receive = ["stock", "receive", "a", "5", "--id", "d"];
    for key in [("ORDERS_API_KEY", key), ("ORDERS_API_KEY_FILE", key_file.as_str())] {
        run_with(&pipeline, &receive, &[api, key]).await?.expect(0)?;
    }
    let orders = pipeline.folder().join("orders.jsonl");
    std::fs::write(&orders, (0..50).map(|n| line(&format!("o-{n}"), "a", 1)).collect::<Vec<_>>().join("\n"))?;
    let publish = ["publish", &orders.display().to_string()];
    for strangers in [&[api][..], &[api, ("ORDERS_API_KEY", "oak_0")]] {
        for verb in [&receive[..], &publish[..], &["show", "w"]] {
            let said = run_with(&pipeline, verb, strangers).await?.expect(2)?;
            assert!(said.stderr.contains("ORDERS_API_KEY") && !said.stderr.contains("oak_0"), "{said:?}");
        }
    }
    let said = run_with(&pipeline, &["show", "w", "--json"], &[api, ("ORDERS_API_KEY", key)]).await?.expect(1)?;
    assert_eq!(said.json().unwrap_or(Value::Null), Value::Null);
    assert_eq!(count(&pipeline, "orders.orders").await?, 0, "no stranger has placed any");
    pipeline.accept();
    Ok(())
}
