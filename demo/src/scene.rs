//! Where everything of a running demo is: servers, names, processes. A plain description that goes into a file.
//!
//! With servers of somebody else, names carry an id of their own, so that two demos never meet and nothing of the owner's is touched.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use client::Connection;
use schemas::{PerService, ServiceName};
use serde::{Deserialize, Serialize};

use crate::error::DemoError;
use crate::guest::Guest;

/// Partitions of every topic, unless there are more instances.
const PARTITIONS: u16 = 6;

/// A running demo.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scene {
    /// Kafka's bootstrap addresses.
    pub(crate) brokers: String,
    /// The database with all schemas; may hold a password.
    pub(crate) database_url: String,
    /// In front of every topic name and group id; empty with private servers.
    pub(crate) topic_prefix: String,
    /// The services' schemas.
    schemas: PerService<String>,
    /// Partitions of every topic.
    pub(crate) partitions: u16,
    /// Whether Kafka belongs to somebody else.
    pub(crate) foreign_kafka: bool,
    /// Whether Postgres belongs to somebody else.
    pub(crate) foreign_postgres: bool,
    /// What the payment simulator says that it did.
    pub(crate) statement: PathBuf,
    /// The logs' folder.
    pub(crate) logs: PathBuf,
    /// The daemons.
    pub(crate) daemons: Vec<DaemonPlace>,
    /// Where the API answers, once it is started.
    pub(crate) api: Option<SocketAddr>,
    /// A service beside them, where one was asked for.
    pub(crate) guest: Option<Guest>,
    /// The schema of a service beside the three.
    guest_schema: String,
    /// The schema of the API's read model.
    view_schema: String,
    /// The process that holds it all.
    pub(crate) keeper_pid: u32,
}

/// One daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DaemonPlace {
    /// Such as `order-1`.
    pub(crate) name: String,
    /// Its service's name.
    pub(crate) service: String,
    /// Of `/livez`, `/readyz` and `/metrics`.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) pid: i32,
}

impl Scene {
    /// Names for these servers; no daemons yet. `run` is unique among the demos of now.
    pub(crate) fn new(servers: Servers, folder: &Path, instances: u16, run: &str) -> Self {
        let Servers { brokers, database_url, foreign_kafka, foreign_postgres } = servers;
        let topic_prefix = if foreign_kafka { format!("demo-{run}-") } else { String::new() };
        let schema = |name: &str| if foreign_postgres { format!("demo_{run}_{name}") } else { name.to_owned() };
        Self {
            brokers,
            database_url,
            topic_prefix,
            schemas: PerService::of(|service| schema(service.default_schema())),
            partitions: PARTITIONS.max(instances),
            foreign_kafka,
            foreign_postgres,
            statement: folder.join("provider-statement.jsonl"),
            logs: folder.join("logs"),
            daemons: Vec::new(),
            api: None,
            guest: None,
            guest_schema: schema("loyalty"),
            view_schema: schema("view"),
            keeper_pid: std::process::id(),
        }
    }

    /// The schema of a service.
    pub(crate) fn schema(&self, service: ServiceName) -> &str {
        &self.schemas[service]
    }

    /// The schema of a service beside the three.
    pub(crate) fn guest_schema(&self) -> &str {
        &self.guest_schema
    }

    /// The schema of the API's read model.
    pub(crate) fn view_schema(&self) -> &str {
        &self.view_schema
    }

    /// The API's address.
    pub(crate) fn api_url(&self) -> Result<String, DemoError> {
        let address = self.api.ok_or_else(|| DemoError::Words("this demo has no API".to_owned()))?;
        Ok(format!("http://{address}/v1"))
    }

    /// Where the console is, where there is an API.
    pub(crate) fn console_url(&self) -> Option<String> {
        self.api.map(|address| format!("http://{address}/console"))
    }

    /// To Kafka, with the prefix.
    pub(crate) fn connection(&self) -> Connection {
        Connection::new(&self.brokers).with_topic_prefix(&self.topic_prefix)
    }

    /// Writes it so that a reader sees all of it or nothing.
    pub(crate) fn write(&self, file: &Path) -> Result<(), DemoError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| DemoError::Words(error.to_string()))?;
        let draft = file.with_extension("draft");
        std::fs::write(&draft, text).map_err(DemoError::file("write", &draft))?;
        std::fs::rename(&draft, file).map_err(DemoError::file("write", file))
    }

    /// Reads it; none where there is no such file, or one that is no scene.
    pub(crate) fn read(file: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
    }
}

/// The servers of a scene.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    /// Kafka's bootstrap addresses.
    pub(crate) brokers: String,
    /// The database.
    pub(crate) database_url: String,
    /// Whether Kafka belongs to somebody else.
    pub(crate) foreign_kafka: bool,
    /// Whether Postgres belongs to somebody else.
    pub(crate) foreign_postgres: bool,
}

/// Whether a process exists and has not ended. Zombies have.
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    !matches!(state, None | Some("Z" | "X"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(foreign: bool) -> Scene {
        let servers = Servers {
            brokers: "b:1".to_owned(),
            database_url: "postgres://x".to_owned(),
            foreign_kafka: foreign,
            foreign_postgres: foreign,
        };
        Scene::new(servers, Path::new("/f"), 9, "7a")
    }

    #[test]
    fn names_are_plain_on_own_servers_and_marked_on_foreign_ones() {
        let own = scene(false);
        assert_eq!((own.topic_prefix.as_str(), own.schema(ServiceName::Payment)), ("", "payments"));
        let foreign = scene(true);
        assert_eq!(foreign.topic_prefix, "demo-7a-");
        assert_eq!(foreign.schema(ServiceName::Order), "demo_7a_orders");
        assert_eq!(foreign.partitions, 9);
    }

    #[test]
    fn processes_are_told_from_no_processes() {
        assert!(is_alive(i32::try_from(std::process::id()).unwrap()));
        assert!(!is_alive(i32::MAX));
    }
}
