//! Servers, schemas, topics and daemons, brought up in this order and taken down in the reverse one.
//!
//! Blocking code, for a blocking thread of a runtime: it starts processes and waits for them. Whoever holds the stage holds everything; when that process
//! ends, however it ends, so do they.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dev_stack::{Stack, StackConfig};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::cleanup::remove_traces;
use crate::error::DemoError;
use crate::fleet::Fleet;
use crate::guest;
use crate::options::Cast;
use crate::scene::{Scene, Servers};

/// The name of the database in private servers.
const DATABASE: &str = "pipeline";

/// Everything that runs.
pub(crate) struct Stage {
    fleet: Fleet,
    stack: Stack,
    scene: Scene,
}

impl Stage {
    /// Brings everything up. `tell` hears of every step; `cancelled` is looked at between them.
    pub(crate) fn build(
        folder: &Path,
        cast: Cast,
        tell: &mut dyn FnMut(&str),
        cancelled: &AtomicBool,
    ) -> Result<Self, DemoError> {
        let go_on = || if cancelled.load(Ordering::Relaxed) { Err(DemoError::Interrupted) } else { Ok(()) };
        Stack::fetch_missing(tell)?;
        go_on()?;
        tell("starting the servers that are not given: Kafka, Postgres");
        let stack = Stack::from_env_or_start(StackConfig::in_project())?;
        let servers = servers(&stack)?;
        tell(&format!("{} are up", servers_text(&servers)));
        go_on()?;
        let run = run_id();
        let Cast { instances, with_loyalty, .. } = cast;
        let mut scene = Scene::new(servers, folder, instances, &run);
        let mut start = || {
            let partitions = scene.partitions;
            tell(&format!("migrating the schemas, creating the topics with {partitions} partitions each"));
            Fleet::prepare(&scene)?;
            go_on()?;
            tell(&format!("starting {}, and the API", daemons_text(instances)));
            let mut fleet = Fleet::start(&mut scene, cast)?;
            tell(&format!("{} are ready", daemons_text(instances)));
            if with_loyalty {
                tell("starting the loyalty service, a stranger's, with tables and topics of its own");
                let (child, guest) = guest::start(&scene)?;
                fleet.take_in(child);
                scene.guest = Some(guest);
            }
            go_on()?;
            Ok(fleet)
        };
        match start() {
            Ok(fleet) => Ok(Self { fleet, stack, scene }),
            Err(error) => {
                // The first failure is the one to tell.
                let _ = Handle::current().block_on(remove_traces(&scene));
                Err(error)
            }
        }
    }

    /// Where everything is.
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Drains the daemons, removes what they left on servers of somebody else, and ends the own ones. All of it is tried;
    /// the first failure is told.
    pub(crate) fn stop(self) -> Result<(), DemoError> {
        let drained = self.fleet.stop();
        let removed = Handle::current().block_on(remove_traces(&self.scene));
        let ended = self.stack.stop();
        drained.and(removed)?;
        Ok(ended?)
    }
}

fn servers(stack: &Stack) -> Result<Servers, DemoError> {
    let (foreign_kafka, foreign_postgres) = (stack.kafka().is_err(), stack.postgres().is_err());
    let database_url = if foreign_postgres { stack.database_url() } else { stack.new_database(DATABASE)? };
    Ok(Servers { brokers: stack.brokers(), database_url, foreign_kafka, foreign_postgres })
}

fn servers_text(servers: &Servers) -> String {
    let whose = |foreign: bool| if foreign { "yours" } else { "a private one" };
    let brokers = &servers.brokers;
    format!("Kafka ({}, {brokers}) and Postgres ({})", whose(servers.foreign_kafka), whose(servers.foreign_postgres))
}

fn daemons_text(instances: u16) -> String {
    let workers = "order, inventory and payment";
    if instances == 1 { format!("the {workers} workers") } else { format!("{instances} each of {workers} workers") }
}

/// Unique among the demos of all machines that share a server.
fn run_id() -> String {
    let text = Uuid::now_v7().simple().to_string();
    text.chars().rev().take(8).collect()
}
