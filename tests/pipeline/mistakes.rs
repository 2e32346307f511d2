//! Mistakes of whoever runs a daemon: each is named in words, at the start, and ends it with code 2.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, trouble};

use crate::DAEMON;

/// Runs the order daemon with one thing wrong; it must end by itself, with words.
async fn assert_named(pipeline: &Pipeline, service: ServiceName, arguments: &[&str], words: &[&str]) -> Outcome {
    let finished = pipeline.run(service, arguments).await?;
    assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.output);
    for word in words {
        assert!(finished.output.contains(word), "{arguments:?} should say {word:?}: {}", finished.output);
    }
    let last = finished.output.trim().lines().last().unwrap_or_default();
    assert!(last.len() < 600 && !finished.output.contains("panicked"), "{arguments:?}: {}", finished.output);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_cannot_be_is_named_before_anything_starts() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    let order = ServiceName::Order;
    let missing = pipeline.folder().join("no-such.toml").display().to_string();
    let cases: [(&[&str], &[&str]); 12] = [
        (&["run", "--brokers", ""], &["KAFKA_BROKERS", "--brokers"]),
        (&["run", "--database-url", ""], &["DATABASE_URL", "--database-url"]),
        (
            &["run", "--database-url", "postgres://x@localhost/y?sslmode=sometimes"],
            &["--database-url", "sslmode", "sometimes", "verify-full"],
        ),
        (&["run", "--database-url", "host=localhost sslmod=require"], &["unknown option sslmod", "sslmode"]),
        (&["run", "--topic-prefix", "a b"], &["topic prefix", "a b"]),
        (&["run", "--schema", ""], &["schema"]),
        (&["run", "--schema", "My-Orders"], &["My-Orders", "lower-case", "--schema"]),
        (&["run", "--confirm-within-ms", "0"], &["--confirm-within-ms"]),
        (&["run", "--log", "workers=loud"], &["log filter", "loud"]),
        (&["run", "-X", "no.such.property=1"], &["no.such.property"]),
        (&["run", "-X", "nonsense"], &["-X nonsense", "NAME=VALUE"]),
        (&["run", "--planted-bug", "no-such-bug"], &["no-such-bug", "oversell"]),
    ];
    for (arguments, words) in cases {
        assert_named(&pipeline, order, arguments, words).await?;
    }
    let (key, unknown) = (pipeline.folder().join("unknown.toml"), "brokerz");
    std::fs::write(&key, "brokerz = \"localhost:9092\"\n")?;
    // The last `--config` would be one too many for the parser: this one runs without the pipeline's own file.
    let program = std::process::Command::new(DAEMON).args(["order", "run", "--config"]).arg(&key).output()?;
    let said = String::from_utf8_lossy(&program.stderr).into_owned();
    assert_eq!(program.status.code(), Some(2), "{said}");
    assert!(said.contains(unknown) && said.contains("unknown.toml"), "{said}");
    let program = std::process::Command::new(DAEMON).args(["order", "run", "--config", &missing]).output()?;
    let said = String::from_utf8_lossy(&program.stderr).into_owned();
    assert!(program.status.code() == Some(2) && said.contains("no-such.toml"), "{said}");
    let usage = pipeline.run(order, &["walk"]).await?;
    assert_eq!(usage.code, Some(2), "{}", usage.output);
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_not_prepared_is_named_with_what_to_do() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    let order = ServiceName::Order;
    assert_named(&pipeline, order, &["run", "--schema", "never_made"], &["never_made", "order-worker migrate"]).await?;
    let as_owner = ["migrate", "--database-url", pipeline.database_url()];
    let foreign = [&as_owner[..], &["--schema", "payments"]].concat();
    assert_named(&pipeline, order, &foreign, &["payments", "belongs to the payment"]).await?;
    assert_named(&pipeline, order, &["migrate"], &["orders", "migrate as its owner", "--grants"]).await?;
    let unknown = [&as_owner[..], &["--grants", "no \"body"]].concat();
    assert_named(&pipeline, order, &unknown, &["there is no role no \"body", "create role"]).await?;
    assert_named(
        &pipeline,
        order,
        &["run", "--topic-prefix", "nobodys-"],
        &["nobodys-order.commands.v1", "topics create"],
    )
    .await?;
    assert_named(&pipeline, order, &["topics", "create", "--partitions", "5"], &["has 3 partitions, not 5"]).await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    assert_named(&pipeline, order, &["run", "--listen", &address], &[&address, "--listen"]).await?;
    let nobody = "postgres://postgres@127.0.0.1:1/nothing";
    let late = ["run", "--start-timeout-s", "1", "--database-url", nobody];
    assert_named(&pipeline, order, &late, &["database", "refused", "--start-timeout-s"]).await?;
    let (url, _) = pipeline.database_url().rsplit_once('/').unwrap_or_default();
    let missing = format!("{url}/never_made");
    assert_named(&pipeline, order, &["migrate", "--database-url", &missing], &["never_made", "does not exist"]).await?;
    // Words without TLS where it was asked for: once they connected in the clear.
    let (_, host) = url.rsplit_once('@').unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or_default();
    for encrypted in
        [format!("{url}/postgres?sslmode=require"), format!("host={name} port={port} user=x sslmode=require")]
    {
        let run = ["run", "--start-timeout-s", "600", "--database-url", &encrypted];
        assert_named(&pipeline, order, &run, &["does not support TLS", "sslmode", "DATABASE_URL"]).await?;
    }
    let stranger = format!("postgres://stranger:wrong@{host}/postgres");
    assert_named(&pipeline, order, &["migrate", "--database-url", &stranger], &["stranger"]).await?;
    assert_named(&pipeline, order, &["topics", "check", "--brokers", "127.0.0.1:1"], &["127.0.0.1:1", "KAFKA_BROKERS"])
        .await?;
    let gap = ["accept-gap", "--topic", "inventory.events", "--partition", "0", "--epoch", "1", "--sequence", "1"];
    assert_named(&pipeline, order, &gap, &["\"inventory.events\"", "it reads", "inventory.events.v1"]).await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subcommands_prepare_a_place_twice_and_config_shows_no_secret() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, Settings::default()).await?;
    for service in ServiceName::ALL {
        let done = [
            (&["migrate", "--database-url", pipeline.database_url()][..], "is at version"),
            (&["topics", "create"], "0 made, 16 were there; 3 partitions"),
            (&["topics", "check"], "all 16 are there; 3 partitions"),
        ];
        for (arguments, said) in done {
            let finished = pipeline.run(service, arguments).await?;
            assert_eq!(finished.code, Some(0), "{service} {arguments:?}: {}", finished.output);
            assert!(finished.output.contains(said), "{service} {arguments:?}: {}", finished.output);
        }
        let shown = pipeline.run(service, &["config", "-X", "sasl.password=hush-1"]).await?;
        assert_eq!(shown.code, Some(0), "{}", shown.output);
        let settings: BTreeMap<String, toml::Value> = toml::from_str(&shown.output)?;
        assert_eq!(settings["service"].as_str(), Some(service.as_str()));
        assert_eq!(settings["topic_prefix"].as_str(), Some(pipeline.prefix()));
        let password = pipeline.database_url().split([':', '@']).nth(2).unwrap_or_default();
        assert!(password.len() > 3, "the stack gives a password: {}", pipeline.database_url());
        for secret in ["hush-1", password] {
            assert!(!shown.output.contains(secret), "{}", shown.output);
        }
    }
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_with_one_instance_id_are_told_so_and_one_goes_on() -> Outcome {
    let servers = Servers::shared().await?;
    let settings = Settings { instances: 1, partitions: 1, ..Settings::default() };
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, settings).await?;
    pipeline.start_services(&[ServiceName::Order]).await?;
    let first = pipeline.take(ServiceName::Order, 0)?;
    pipeline.spawn(ServiceName::Order, 0).await?;
    let ended =
        pipeline.until(
            "the first gives way",
            async || {
                if first.is_running() { Err(trouble("it has not yet")) } else { Ok(()) }
            },
        );
    ended.await?;
    let finished = first.finish(Duration::from_secs(1)).await?;
    assert_eq!(finished.code, Some(2), "{}", finished.output);
    assert!(finished.output.contains("another process with this INSTANCE_ID"), "{}", finished.output);
    pipeline.await_all_ready().await?;
    pipeline.accept();
    Ok(())
}
