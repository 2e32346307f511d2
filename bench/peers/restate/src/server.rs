//! Restate's server: fetched from npm once, started in a folder of its own, told of the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use work::{Result, Task, say};

use crate::ingress::Ingress;

const PACKAGE: &str = "@restatedev/restate-server@1.7.12";
/// How long the server may take until it knows the service.
const START: Duration = Duration::from_secs(60);

/// A running server; it is killed when dropped.
pub(crate) struct Server {
    /// Where orders are placed.
    pub(crate) ingress: SocketAddr,
    /// What it says of itself.
    pub(crate) version: String,
    admin: SocketAddr,
    _process: Child,
}

impl Server {
    /// Starts it, fetching it first where it is not there.
    pub(crate) async fn start(task: &Task) -> Result<Self> {
        let program = fetch(&task.cache).await?;
        let version = Command::new(&program).arg("--version").output().await?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let (ingress, admin, node) = (free_address()?, free_address()?, free_address()?);
        let log = std::fs::File::create(task.folder.join("restate-server.log"))?;
        let process = Command::new(&program)
            .args(["--no-logo", "--listen-mode", "tcp", "--bind-ip", "127.0.0.1"])
            .env("RESTATE_BIND_PORT", node.port().to_string())
            .env("RESTATE_BASE_DIR", task.folder.join("restate"))
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .env("RESTATE_INGRESS__BIND_PORT", ingress.port().to_string())
            .env("RESTATE_ADMIN__BIND_PORT", admin.port().to_string())
            .env("RESTATE_LOG_FILTER", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let id = process.id().ok_or("the server ended at once")?;
        say(&format!("process: restate-server {id}"));
        Ok(Server { ingress, version, admin, _process: process })
    }

    /// Tells it where the service is; waits until the server is there.
    pub(crate) async fn register(&self, service: SocketAddr) -> Result<()> {
        let admin = Ingress::new(self.admin);
        let telling = async {
            loop {
                match admin.post("/deployments", &json!({ "uri": format!("http://{service}") })).await {
                    Ok(()) => return,
                    // It is not there yet; whatever else it is, it is said when time is over.
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        };
        if timeout(START, telling).await.is_err() {
            let last = admin.post("/deployments", &json!({ "uri": format!("http://{service}") })).await;
            return Err(format!("the server does not take the service: {last:?}").into());
        }
        Ok(())
    }
}

async fn fetch(cache: &Path) -> Result<PathBuf> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("{PACKAGE} has nothing for {other}").into()),
    };
    let folder = cache.join("restate");
    let program =
        folder.join(format!("node_modules/@restatedev/restate-server-linux-{architecture}/bin/restate-server"));
    if !program.is_file() {
        std::fs::create_dir_all(&folder)?;
        let npm = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(PACKAGE)
            .stdout(Stdio::null())
            .output()
            .await
            .map_err(|error| format!("npm: {error}"))?;
        if !npm.status.success() || !program.is_file() {
            return Err(format!("npm did not bring {PACKAGE}: {}", String::from_utf8_lossy(&npm.stderr).trim()).into());
        }
    }
    Ok(program)
}

/// An address that nobody listens on; another could take it before it is used, and then the start fails.
fn free_address() -> Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
