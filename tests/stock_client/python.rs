//! A Python environment of the workspace's own, with what `requirements.txt` names, made once.
//!
//! It is made under another name and renamed when it is complete, so that a half-made one is never used.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dev_stack::dev_folder;
use tests::{Outcome, Pipeline, trouble};
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/stock_client/client.py");
const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas");
/// From a slow mirror over a slow line.
const LIMIT: Duration = Duration::from_secs(300);

/// The tests of this program make it one after the other: the first makes it, the others find it.
static MAKING: Mutex<()> = Mutex::const_new(());

/// The environment's interpreter.
pub(crate) struct Python(PathBuf);

/// Makes the environment unless it is there.
pub(crate) async fn prepare() -> Outcome<Python> {
    let folder = dev_folder().join("stock-client");
    let _making = MAKING.lock().await;
    let made_for = fs::read_to_string(folder.join("requirements.txt")).unwrap_or_default();
    if made_for != REQUIREMENTS {
        make(&folder).await?;
    }
    Ok(Python(folder.join("bin/python3")))
}

async fn make(folder: &Path) -> Outcome {
    let half = folder.with_file_name(format!("stock-client-{}", std::process::id()));
    fs::create_dir_all(&half)?;
    let advice = "install the Debian packages python3 and python3-venv (apt-get install python3 python3-venv)";
    let made = run("python3", [OsStr::new("-m"), OsStr::new("venv"), half.as_os_str()]).await;
    made.map_err(|error| error.during(&format!("a Python environment cannot be made; {advice}")))?;
    let requirements = half.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"].map(OsStr::new);
    let installed = run(&half.join("bin/python3"), install.into_iter().chain([requirements.as_os_str()])).await;
    installed.map_err(|error| error.during("fastavro and confluent-kafka cannot be installed from PyPI"))?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(&half, folder)?;
    Ok(())
}

/// What a program prints; its errors, if it fails.
async fn run<'a>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = &'a OsStr>) -> Outcome<String> {
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let name = program.as_ref().to_string_lossy().into_owned();
    let ended = timeout(LIMIT, command.output()).await.map_err(|_| trouble(format!("{name} ran for {LIMIT:?}")))?;
    let ended = ended.map_err(|error| match error.kind() == ErrorKind::NotFound {
        true => trouble(format!("{name} was not found")),
        false => trouble(format!("{name}: {error}")),
    })?;
    if !ended.status.success() {
        let said = [ended.stdout, ended.stderr].concat();
        return Err(trouble(format!("{name} failed ({}):\n{}", ended.status, String::from_utf8_lossy(&said))));
    }
    Ok(String::from_utf8(ended.stdout)?)
}

impl Python {
    /// What the client reads in an archive's folder.
    pub(crate) async fn read_archive(&self, folder: &Path) -> Outcome<String> {
        run(&self.0, [OsStr::new(CLIENT), OsStr::new("archive"), folder.as_os_str()]).await
    }

    /// Runs the client against a pipeline: a command, and what it needs further.
    pub(crate) async fn run(&self, pipeline: &Pipeline, arguments: &[&str]) -> Outcome<String> {
        let (command, rest) = arguments.split_first().ok_or_else(|| trouble("no command"))?;
        let brokers = pipeline.servers().stack().brokers();
        let all = [CLIENT, command, SCHEMAS, &brokers, pipeline.prefix()];
        run(&self.0, all.into_iter().chain(rest.iter().copied()).map(OsStr::new)).await
    }
}
