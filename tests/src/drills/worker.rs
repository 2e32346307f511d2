//! A worker dies, and is started again with the same arguments.

use schemas::ServiceName;
use tokio::time::Instant;

use super::Shown;
use super::scene::Scene;
use crate::{LONG, Outcome, Servers, Settings, trouble, until};

/// One of two instances of the order service.
pub(super) async fn dies(program: &str) -> Outcome<Shown> {
    let service = ServiceName::Order;
    let settings = Settings { instances: 2, ..Scene::settings() };
    let mut scene = Scene::open(program, &Servers::shared().await?, settings).await?;
    scene.pipeline.kill9(service, 0)?;
    scene.loses("kill -9 of order-0");
    scene.sees_that("order-0 has ended, and nobody answers at its /livez");
    let other = scene.pipeline.daemon(service, 1)?;
    until("the other instance takes its lanes", LONG, async || {
        let lanes = other.lanes().await?;
        if lanes.len() == 2 { Ok(()) } else { Err(trouble(format!("it has {lanes:?}"))) }
    })
    .await?;
    scene.sees_that("order-1 has taken the lanes of order-0");
    let begun = Instant::now();
    scene.does("start order-0 with the same arguments");
    scene.pipeline.spawn(service, 0).await?;
    scene.works(begun).await?;
    scene.rests().await?;
    scene.holds("nothing").await
}
