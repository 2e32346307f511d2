//! Databases that are set back to an older state: one service's, or all of them to one instant; and both roads from there.

use schemas::ServiceName;
use tokio::time::Instant;

use super::Shown;
use super::scene::Scene;
use crate::{LONG, Outcome, Servers, until};

/// How a service goes on from an older state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// It is brought up to what was published.
    Rebuild,
    /// The older state is accepted.
    Accept,
}

/// The order service's tables alone, as from a dump.
pub(super) async fn one(program: &str, road: Road) -> Outcome<Shown> {
    let mut scene = Scene::open(program, &Servers::shared().await?, Scene::settings()).await?;
    scene.pipeline.tables().back_up(ServiceName::Order).await?;
    scene.more_orders_end().await?;
    // Under load it may meet a deadlock, and is the one that gives way.
    until("the dump is put back", LONG, async || scene.pipeline.tables().set_back(ServiceName::Order).await).await?;
    scene.loses("the tables of the order service are those of an older dump");
    go_on(scene, &[ServiceName::Order], road).await
}

/// The whole database, as from a snapshot of its server.
pub(super) async fn all(program: &str, road: Road) -> Outcome<Shown> {
    let mut scene = Scene::open(program, &Servers::shared().await?, Scene::settings()).await?;
    scene.pipeline.take_snapshot().await?;
    scene.more_orders_end().await?;
    scene.pipeline.restore_snapshot().await?;
    scene.loses("the tables of all services are those of an older snapshot");
    go_on(scene, &ServiceName::ALL, road).await
}

async fn go_on(mut scene: Scene, whose: &[ServiceName], road: Road) -> Outcome<Shown> {
    for service in whose {
        let words = format!("the {service} service's database was set back");
        let roads = [format!("rebuild --service {service} --swap"), format!("{service}-worker accept-restore")];
        scene.sees(&[*service], &[&words, &roads[0], &roads[1]]).await?;
        scene.sees_metric(*service, "worker_restored", 1).await?;
    }
    let begun = Instant::now();
    match road {
        Road::Rebuild => {
            scene.stop(whose).await?;
            for service in whose {
                scene.replay_live(&["rebuild", "--service", service.as_str(), "--swap"], 0).await?;
            }
            scene.start(whose).await?;
        }
        Road::Accept => {
            for service in whose {
                scene.worker(*service, &["accept-restore", "--dry-run"], 0).await?;
                scene.worker(*service, &["accept-restore"], 0).await?;
            }
        }
    }
    scene.works(begun).await?;
    scene.rests().await?;
    scene
        .holds(match road {
            Road::Rebuild => "nothing",
            Road::Accept => {
                "nothing that a client was told to be confirmed; the messages that accept-restore names are void"
            }
        })
        .await
}
