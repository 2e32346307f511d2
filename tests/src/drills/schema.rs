//! A service's schema is dropped, by mistake, under its running workers.

use schemas::ServiceName;
use tokio::time::Instant;

use super::Shown;
use super::scene::Scene;
use crate::{LONG, Outcome, Servers, trouble, until};

/// The order service's.
pub(super) async fn dropped(program: &str) -> Outcome<Shown> {
    let service = ServiceName::Order;
    let mut scene = Scene::open(program, &Servers::shared().await?, Scene::settings()).await?;
    let drop = "drop schema orders cascade";
    // Under load it may meet a deadlock, and is the one that gives way.
    until(drop, LONG, async || scene.pipeline.tables().script(drop).await).await?;
    scene.loses(drop);
    scene.sees(&[service], &["somebody changed the schema since"]).await?;
    let begun = Instant::now();
    scene.stop(&[service]).await?;
    let refused = scene.worker(service, &["run"], 2).await?;
    if !refused.contains("run `order-worker migrate`") {
        return Err(trouble(refused));
    }
    let (owner, role) = (scene.pipeline.database_url().to_owned(), scene.pipeline.daemons_role().to_owned());
    scene.worker(service, &["migrate", "--database-url", &owner, "--grants", &role], 0).await?;
    scene.replay_live(&["rebuild", "--service", "order", "--swap"], 0).await?;
    scene.start(&[service]).await?;
    scene.works(begun).await?;
    scene.rests().await?;
    scene.holds("nothing").await
}
