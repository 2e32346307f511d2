//! A broker that asks who comes and what they may: the pipeline with the rights that `topics acls` prints and no others, and
//! what its programs say to whom it does not let in.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{ServiceName, TopicName};
use tests::{Mechanism, Outcome, Pipeline, Sent, Servers, Settings, orders_end_also_after_a_crash, trouble};

use crate::DAEMON;

const ORDERS: &str = env!("CARGO_BIN_EXE_orders-program");
const REPLAY: &str = env!("CARGO_BIN_EXE_replay-program");
const SEND_LIMIT: Duration = Duration::from_secs(20);
/// Far less than a start waits for brokers that are away.
const AT_ONCE: Duration = Duration::from_secs(45);

/// Whether the broker takes a record of this user.
async fn may_write(pipeline: &Pipeline, user: &str, topic: &str) -> Outcome<bool> {
    let mut config = pipeline.servers().client_config(user)?;
    config.set("message.timeout.ms", SEND_LIMIT.as_millis().to_string());
    let producer: FutureProducer = config.create()?;
    let topic = format!("{}{topic}", pipeline.prefix());
    match producer.send(FutureRecord::to(&topic).key("k").payload("no message"), SEND_LIMIT).await {
        Ok(_) => Ok(true),
        Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Ok(false),
        Err((error, _)) => Err(error.into()),
    }
}

/// Whether the broker hands a record out to this user, of a topic that has some.
async fn may_read(pipeline: &Pipeline, user: &str, topic: &str) -> Outcome<bool> {
    let mut config = pipeline.servers().client_config(user)?;
    config.set("group.id", "nobody").set("enable.auto.commit", "false").set("auto.offset.reset", "error");
    let topic = format!("{}{topic}", pipeline.prefix());
    let asked = move || -> Outcome<bool> {
        let consumer: BaseConsumer = config.create()?;
        // Who may not even see a topic never gets as far as to be refused its records.
        let metadata = consumer.fetch_metadata(Some(&topic), SEND_LIMIT)?;
        if metadata.topics().iter().any(|told| outbox::kafka::denied_topic(told).is_some()) {
            return Ok(false);
        }
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|told| told.partitions()) {
            list.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let begun = Instant::now();
        while let Some(left) = SEND_LIMIT.checked_sub(begun.elapsed()) {
            match consumer.poll(left) {
                Some(Ok(_)) => return Ok(true),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::TopicAuthorizationFailed) => return Ok(false),
                    // The client looks for its group's coordinator unasked.
                    Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {}
                    Some(_) | None => return Err(error.into()),
                },
                None => {}
            }
        }
        Err(trouble(format!("{topic}: neither a record nor an answer")))
    };
    tokio::task::spawn_blocking(asked).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_end_with_the_printed_rights_and_a_second_start_needs_no_more() -> Outcome {
    let pipeline = orders_end_also_after_a_crash(DAEMON, Mechanism::Scram).await?;
    // What no service may be made to believe by another, or by anybody.
    let foreign = [TopicName::OrderEvents, TopicName::PaymentCommands, TopicName::InventoryEvents];
    for topic in foreign {
        assert!(!may_write(&pipeline, "payment-worker", topic.as_str()).await?, "{topic}");
        assert!(!may_write(&pipeline, "publisher", topic.as_str()).await?, "{topic}");
        assert!(!may_write(&pipeline, "replay-tool", topic.as_str()).await?, "{topic}");
    }
    for topic in TopicName::ALL {
        assert!(!may_write(&pipeline, "stranger", topic.as_str()).await?, "{topic}");
        assert!(!may_read(&pipeline, "stranger", topic.as_str()).await?, "{topic}");
    }
    // The same look by somebody who may.
    for topic in foreign {
        assert!(may_read(&pipeline, "replay-tool", topic.as_str()).await?, "{topic}");
    }
    // Nothing was written: what is there still counts.
    pipeline.check_clean().await
}

/// A program with something to do that ends by itself if it is not let in; the daemon with this subcommand.
fn command(
    pipeline: &Pipeline,
    (program, subcommand): (&str, &[&str]),
    properties: &BTreeMap<String, String>,
) -> Outcome<Command> {
    let mut command = Command::new(program);
    match program {
        DAEMON => {
            command.arg("inventory").args(subcommand).args(["--start-timeout-s", "8", "--listen", "127.0.0.1:0"]);
            command.args(["--database-url", pipeline.database_url()]);
        }
        ORDERS => drop(command.args(["show", "1", "--timeout", "8"])),
        _ => drop(command.args(["dead-letters", "list"])),
    }
    command.args(["--brokers", pipeline.servers().credentials()?.brokers(), "--topic-prefix", pipeline.prefix()]);
    for (name, value) in properties {
        command.arg("-X").arg(format!("{name}={value}"));
    }
    for variable in ["KAFKA_BROKERS", "PIPELINE_CONFIG", "KAFKA_SASL_PASSWORD", "KAFKA_SASL_TOKEN_FILE"] {
        command.env_remove(variable);
    }
    command.current_dir(pipeline.folder());
    Ok(command)
}

/// A program's run with something wrong in the user's properties.
fn run(pipeline: &Pipeline, program: &str, user: &str, wrong: &[(&str, &str)]) -> Outcome<(Output, Duration)> {
    let mut properties = pipeline.servers().credentials()?.properties(user)?;
    for (name, value) in wrong {
        properties.insert((*name).to_owned(), (*value).to_owned());
    }
    let begun = Instant::now();
    Ok((command(pipeline, (program, &["run"]), &properties)?.output()?, begun.elapsed()))
}

/// All that a program has said.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_and_tokens_arrive_on_every_documented_road() -> Outcome {
    let servers = Servers::secured(Mechanism::Scram).await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let access = servers.credentials()?.access();
    for (program, user) in [(DAEMON, "inventory-worker"), (ORDERS, "orders"), (REPLAY, "replay-tool")] {
        let password_file = access.password(user).display().to_string();
        let password = std::fs::read_to_string(&password_file)?;
        let token_file = access.token(user).display().to_string();
        let roads = [
            ("KAFKA_SASL_PASSWORD", password.as_str(), "SCRAM-SHA-512"),
            ("KAFKA_SASL_PASSWORD_FILE", &password_file, "SCRAM-SHA-512"),
            ("KAFKA_SASL_TOKEN_FILE", &token_file, "OAUTHBEARER"),
        ];
        for (variable, value, mechanism) in roads {
            let mut properties = servers.credentials()?.properties(user)?;
            properties.remove("sasl.password");
            properties.insert("sasl.mechanism".to_owned(), mechanism.to_owned());
            let output =
                command(&pipeline, (program, &["topics", "check"]), &properties)?.env(variable, value).output()?;
            // An order that was never placed is an answer, too.
            let code = if program == ORDERS { 1 } else { 0 };
            let said = said(&output);
            assert_eq!(output.status.code(), Some(code), "{program} {variable}: {said}");
            assert!(!said.contains("Kafka at"), "{program} {variable}: {said}");
            assert!(!said.contains(&password), "{program} {variable}: {said}");
        }
    }
    pipeline.accept();
    Ok(())
}

/// Copies, tells the brokers how far it is, and publishes: clients of three kinds, each with a token of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_made_and_restored_by_users_with_tokens() -> Outcome {
    let servers = Servers::secured(Mechanism::Scram).await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let record = Sent { topic: TopicName::OrderCommands.as_str().to_owned(), ..Sent::default() };
    pipeline.broker().send(&record).await?;
    let folder = pipeline.folder().join("archive").display().to_string();
    let (prefix, again) = (pipeline.prefix(), format!("{}again-", pipeline.prefix()));
    let runs: [(&str, &[&str]); 2] = [
        ("replay-tool", &["run", "--to", &folder, "--topic-prefix", prefix]),
        ("admin", &["restore", "--archive", &folder, "--archive-prefix", prefix, "--topic-prefix", &again]),
    ];
    for (user, arguments) in runs {
        let credentials = servers.credentials()?;
        let mut command = Command::new(REPLAY);
        command.arg("archive").args(arguments).args(["--brokers", credentials.brokers()]);
        let mut properties = credentials.properties(user)?;
        properties.remove("sasl.password");
        properties.insert("sasl.mechanism".to_owned(), "OAUTHBEARER".to_owned());
        for (name, value) in properties {
            command.arg("-X").arg(format!("{name}={value}"));
        }
        command.env_remove("KAFKA_BROKERS").env("KAFKA_SASL_TOKEN_FILE", credentials.access().token(user));
        let output = command.output()?;
        assert!(output.status.success(), "{user}: {}", said(&output));
    }
    let restored = pipeline.broker().ends(&[format!("again-{}", record.topic)]).await?;
    assert_eq!(restored.values().map(|(_, end)| end).sum::<i64>(), 1);
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_broker_does_not_let_in_is_told_why_at_once_by_every_program() -> Outcome {
    let servers = Servers::secured(Mechanism::Scram).await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings { partitions: 1, ..Settings::default() }).await?;
    let access = servers.credentials()?.access();
    let other = access.other_authority().display().to_string();
    let faults: [(&[(&str, &str)], &str); 6] = [
        (&[("sasl.password", "hush-hush")], "refuse the credentials"),
        (&[("sasl.username", "nobody")], "refuse the credentials"),
        (&[("sasl.mechanism", "PLAIN")], "SCRAM-SHA-512,OAUTHBEARER"),
        (&[("ssl.ca.location", &other)], "certificate is not trusted"),
        (&[("security.protocol", "PLAINTEXT")], "security.protocol"),
        (&[("sasl.pasword", "hush-hush")], "sasl.pasword"),
    ];
    for (program, user) in [(DAEMON, "inventory-worker"), (ORDERS, "orders"), (REPLAY, "replay-tool")] {
        for (wrong, words) in faults {
            let (output, took) = run(&pipeline, program, user, wrong)?;
            let said = said(&output);
            assert_ne!(output.status.code(), Some(0), "{program} {wrong:?}: {said}");
            assert!(said.contains(words), "{program} {wrong:?} should say {words:?}: {said}");
            assert!(!said.contains("hush-hush") && !said.contains("topics create"), "{program} {wrong:?}: {said}");
            assert!(took < AT_ONCE, "{program} {wrong:?} took {took:?}: {said}");
        }
        // Who is let in and may nothing.
        let stranger = std::fs::read_to_string(access.password("stranger"))?;
        let (output, _) =
            run(&pipeline, program, user, &[("sasl.username", "stranger"), ("sasl.password", stranger.as_str())])?;
        let said = said(&output);
        assert!(said.contains("no permission on the topic"), "{program}: {said}");
        assert!(said.contains("topics acls") && !said.contains("topics create"), "{program}: {said}");
    }
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_missing_for_the_group_is_told_by_readiness() -> Outcome {
    let servers = Servers::secured(Mechanism::Scram).await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, Settings { instances: 1, ..Settings::default() }).await?;
    // The topics of one prefix may be read; a group of another name may not be joined.
    let service = ServiceName::Payment;
    let settings = std::fs::read_to_string(pipeline.folder().join(format!("{service}.toml")))?;
    let as_order = pipeline.servers().credentials()?.properties("order-worker")?;
    let mut file: toml::Table = settings.parse()?;
    let kafka = file.get_mut("kafka").and_then(toml::Value::as_table_mut).ok_or_else(|| trouble("no [kafka]"))?;
    for (name, value) in as_order {
        kafka.insert(name, value.into());
    }
    std::fs::write(pipeline.folder().join(format!("{service}.toml")), file.to_string())?;
    pipeline.spawn(service, 0).await?;
    let said = pipeline
        .until("the group is named", async || {
            let (status, body) = pipeline.daemon(service, 0)?.readiness().await?;
            let words = "-payment-worker: this user has no permission on the consumer group";
            if status == 503 && body.contains(words) { Ok(body) } else { Err(trouble(format!("{status}: {body}"))) }
        })
        .await?;
    assert!(said.contains("topics acls"), "{said}");
    pipeline.accept();
    Ok(())
}
