//! The course that a pipeline takes on a secured broker, whichever way its programs prove who they are.

use schemas::ServiceName;

use crate::{Mechanism, Outcome, Pipeline, Servers, Settings, sample, stock_for};

/// Orders end, with no right beyond those that `topics acls` prints; and again after a crash, when the second start reads back
/// what the first has written, which the first never had to.
pub async fn orders_end_also_after_a_crash(program: &str, mechanism: Mechanism) -> Outcome<Pipeline> {
    let servers = Servers::secured(mechanism).await?;
    let settings = Settings { instances: 1, ..Settings::default() };
    let mut pipeline = Pipeline::start(program, &servers, settings).await?;
    let orders = sample(7_000, 30)?;
    let (before, after) = orders.split_at(15);
    pipeline.receive(&stock_for(&orders)).await?;
    pipeline.publish(before).await?;
    pipeline.await_ended(1).await?;
    for service in ServiceName::ALL {
        pipeline.kill9_all(service)?;
    }
    pipeline.publish(after).await?;
    pipeline.start_services(&ServiceName::ALL).await?;
    pipeline.await_terminal(&orders).await?;
    pipeline.check_clean().await?;
    Ok(pipeline)
}
