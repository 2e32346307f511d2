//! The broker is away for a while.

use schemas::ServiceName;
use tokio::time::Instant;

use super::Shown;
use super::scene::Scene;
use crate::{Outcome, Servers};

/// Killed, and started again once every worker has said so.
pub(super) async fn away(program: &str) -> Outcome<Shown> {
    let servers = Servers::own().await?;
    let mut scene = Scene::open(program, &servers, Scene::settings()).await?;
    let stack = servers.clone();
    tokio::task::spawn_blocking(move || Outcome::Ok(stack.stack().kafka()?.kill()?)).await??;
    scene.loses("kill -9 of the broker");
    scene.sees(&ServiceName::ALL, &[]).await?;
    scene.does("start the broker");
    tokio::task::spawn_blocking(move || Outcome::Ok(servers.stack().kafka()?.restart()?)).await??;
    let back = Instant::now();
    scene.works(back).await?;
    scene.rests().await?;
    scene.holds("nothing").await
}
