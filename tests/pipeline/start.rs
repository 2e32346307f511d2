//! A daemon that is started before its servers waits for them, says for what, and can be asked to end meanwhile; what waiting
//! cannot mend ends it at once.

use std::time::Duration;

use schemas::ServiceName;
use tests::{Outcome, Pipeline, Pooler, Servers, Settings, trouble};

use crate::DAEMON;

const SERVICE: ServiceName = ServiceName::Inventory;
const SMALL: fn() -> Settings = || Settings { instances: 1, partitions: 1, ..Settings::default() };

/// Does something to a server, on a thread that may wait.
async fn with_servers(servers: &Servers, act: impl FnOnce(&Servers) -> Outcome + Send + 'static) -> Outcome {
    let servers = servers.clone();
    tokio::task::spawn_blocking(move || act(&servers)).await?
}

/// Starts the daemon while a server is down: it is live, and says what it waits for.
async fn starts_and_waits_for(pipeline: &mut Pipeline, server: &str) -> Outcome {
    pipeline.spawn(SERVICE, 0).await?;
    let said = pipeline.until("it says what it waits for", async || {
        let daemon = pipeline.daemon(SERVICE, 0)?;
        let (live, _) = daemon.get("/livez").await?;
        let (ready, body) = daemon.readiness().await?;
        let waits = ready == 503 && body.contains("waits for") && body.contains(server);
        if live == 200 && waits { Ok(()) } else { Err(trouble(format!("{live}, {ready}: {body}"))) }
    });
    said.await?;
    pipeline.daemon(SERVICE, 0)?.await_log(&format!("waiting for {server}")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_late_is_waited_for_and_a_signal_ends_the_wait() -> Outcome {
    let servers = Servers::own().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, SMALL()).await?;
    with_servers(&servers, |servers| Ok(servers.stack().postgres()?.stop()?)).await?;
    starts_and_waits_for(&mut pipeline, "Postgres").await?;
    let ended = pipeline.stop(SERVICE, 0).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("asked to end before the work began"), "{}", ended.output);

    starts_and_waits_for(&mut pipeline, "Postgres").await?;
    with_servers(&servers, |servers| Ok(servers.stack().postgres()?.restart()?)).await?;
    pipeline.daemon(SERVICE, 0)?.await_ready().await?;
    let ended = pipeline.stop(SERVICE, 0).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.output);

    with_servers(&servers, |servers| Ok(servers.stack().kafka()?.stop()?)).await?;
    let gave_up = pipeline.run(SERVICE, &["run", "--start-timeout-s", "1"]).await?;
    assert_eq!(gave_up.code, Some(2), "{}", gave_up.output);
    for words in ["Kafka at", "KAFKA_BROKERS", "--start-timeout-s"] {
        assert!(gave_up.output.contains(words), "{words}: {}", gave_up.output);
    }
    starts_and_waits_for(&mut pipeline, "Kafka").await?;
    with_servers(&servers, |servers| Ok(servers.stack().kafka()?.restart()?)).await?;
    pipeline.daemon(SERVICE, 0)?.await_ready().await?;
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_cannot_mend_ends_the_start_at_once() -> Outcome {
    let servers = Servers::shared().await?;
    let pipeline = Pipeline::prepare(DAEMON, &servers, SMALL()).await?;
    let (url, _) = pipeline.database_url().rsplit_once('/').unwrap_or_default();
    let (_, host) = url.rsplit_once('@').unwrap_or_default();
    let stranger = format!("postgres://stranger:wrong@{host}/postgres");
    let cases: [(&[&str], &str); 3] = [
        (&["--database-url", &stranger], "stranger"),
        (&["--database-url", &format!("{url}/never_made")], "never_made"),
        (&["--schema", "never_made"], "inventory-worker migrate"),
    ];
    for (arguments, words) in cases {
        // A wait of that length would outlast the test's own limit for a program that ends by itself.
        let all = [&["run", "--start-timeout-s", "600"], arguments].concat();
        let finished = pipeline.run(SERVICE, &all).await?;
        assert_eq!(finished.code, Some(2), "{arguments:?}: {}", finished.output);
        assert!(finished.output.contains(words), "{arguments:?}: {}", finished.output);
    }
    pipeline.accept();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_pooler_is_named_at_the_start() -> Outcome {
    let servers = Servers::own().await?;
    let mut pipeline = Pipeline::prepare(DAEMON, &servers, SMALL()).await?;
    let row = pipeline.tables().query("select current_setting ('hba_file')", &[]).await?;
    let file: String = row[0].get(0);
    // The double cannot log in for its clients.
    pipeline.tables().execute(&format!("copy (select 'host all all 127.0.0.1/32 trust') to '{file}'"), &[]).await?;
    pipeline.tables().query("select pg_reload_conf ()", &[]).await?;
    let server = servers.stack().postgres()?.address();
    let pooler = Pooler::start(server).await?;
    let pooled = pipeline.database_url().replace(&server.to_string(), &pooler.address().to_string());
    assert_ne!(pooled, pipeline.database_url());
    for service in ServiceName::ALL {
        let all = ["run", "--start-timeout-s", "600", "--database-url", &pooled];
        let finished = pipeline.run(service, &all).await?;
        assert_eq!(finished.code, Some(2), "{}", finished.output);
        assert!(finished.output.contains("transaction pooler"), "{}", finished.output);
        assert!(!finished.output.contains("migrate"), "{}", finished.output);
    }
    drop(pooler);
    // The server itself is none.
    pipeline.start_services(&[SERVICE]).await?;
    let finished = tokio::time::timeout(Duration::from_secs(60), pipeline.stop(SERVICE, 0)).await??;
    assert_eq!(finished.code, Some(0), "{}", finished.output);
    pipeline.accept();
    Ok(())
}
