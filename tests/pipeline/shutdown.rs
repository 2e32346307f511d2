//! SIGTERM: an instance drains and ends with 0, and the others take over.

use std::time::Duration;

use domain::simulator::SimulatorConfig;
use schemas::ServiceName;
use tests::{Outcome, Pipeline, Servers, Settings, sample, stock_for};

use crate::DAEMON;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_asked_to_end_drains_and_another_takes_over() -> Outcome {
    let servers = Servers::shared().await?;
    let simulator = SimulatorConfig { latency_max_ms: 100, ..SimulatorConfig::default() };
    let settings = Settings { simulator, session_timeout_ms: 3_000, ..Settings::default() };
    let mut pipeline = Pipeline::start(DAEMON, &servers, settings).await?;
    let orders = sample(5_000, 240)?;
    pipeline.receive(&stock_for(&orders)).await?;
    let publishing = pipeline.trickle(&orders, 80);
    for (round, service) in ServiceName::ALL.into_iter().enumerate() {
        pipeline.await_ended(20 + round * 20).await?;
        // Each time the leader of the outbox too, which is the one that was started first.
        let finished = pipeline.stop(service, 0).await?;
        assert_eq!(finished.code, Some(0), "{}", finished.output);
        assert!(finished.output.contains("draining"), "{}", finished.output);
        assert!(finished.output.contains("drained"), "{}", finished.output);
    }
    publishing.await??;
    pipeline.await_terminal(&orders).await?;
    for service in ServiceName::ALL {
        assert_eq!(pipeline.daemon(service, 1)?.lanes().await?, [0, 1, 2], "{service}");
    }
    pipeline.check_clean().await?;
    // The last ones, with nobody to take over, and asked twice as `timeout` does: the process, then its group.
    for service in ServiceName::ALL {
        let asked = pipeline.take(service, 1)?;
        asked.terminate()?;
        asked.terminate()?;
        let finished = asked.finish(Duration::from_secs(60)).await?;
        assert!(!finished.output.contains("second signal"), "{}", finished.output);
        assert_eq!(finished.code, Some(0), "{}", finished.output);
    }
    Ok(())
}
