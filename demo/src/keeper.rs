//! `--keep`: a background process that holds servers and daemons, so that they can outlive the demo.
//!
//! It watches its standard input until it reads `keep`: when the demo ends before, however it ends, so does everything.
//! Afterwards it holds the stage until SIGTERM, which `cargo demo stop` sends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::DemoError;
use crate::options::{Cast, KeeperOptions};
use crate::scene::{Scene, is_alive};
use crate::stage::Stage;

/// The description of a kept demo in its folder.
pub(crate) const SCENE_FILE: &str = "scene.json";

/// How long a keeper may take to end.
const END_LIMIT: Duration = Duration::from_secs(60);

/// A keeper that this process started and has not let go.
pub(crate) struct Keeper {
    process: Child,
    watch: Option<ChildStdin>,
}

impl Keeper {
    /// Starts a keeper and waits until its stage is up. `tell` hears of its steps.
    pub(crate) fn start(
        folder: &Path,
        cast: Cast,
        tell: &mut dyn FnMut(&str),
        cancelled: &AtomicBool,
    ) -> Result<(Self, Scene), DemoError> {
        let program = std::env::current_exe().map_err(|error| DemoError::Words(format!("where am I? {error}")))?;
        let log = folder.join("keeper.log");
        let errors = File::create(&log).map_err(DemoError::file("create", &log))?;
        let mut command = Command::new(program);
        command.arg("keeper").arg("--folder").arg(folder).args(["--instances", &cast.instances.to_string()]);
        command.args(["--decline-percent", &cast.decline_percent.to_string()]);
        command.args(["--provider", cast.provider.as_str()]);
        if cast.with_loyalty {
            command.arg("--with-loyalty");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).process_group(0);
        let mut process = command.spawn().map_err(|e| DemoError::Words(format!("cannot start the keeper: {e}")))?;
        let (watch, words) = (process.stdin.take(), process.stdout.take());
        let keeper = Self { process, watch };
        let mut last = String::new();
        for line in words.into_iter().flat_map(|words| BufReader::new(words).lines()) {
            last = line.map_err(|error| DemoError::Words(format!("the keeper cannot be heard: {error}")))?;
            if cancelled.load(Ordering::Relaxed) {
                keeper.stop()?;
                return Err(DemoError::Interrupted);
            }
            if last == "ready" {
                break;
            }
            if let Some(step) = last.strip_prefix("tell ") {
                tell(step);
            }
        }
        match Scene::read(&folder.join(SCENE_FILE)) {
            Some(scene) if last == "ready" => Ok((keeper, scene)),
            Some(_) | None => {
                let words = fs::read_to_string(&log).unwrap_or_default();
                keeper.stop()?;
                Err(DemoError::Words(words.trim().to_owned()))
            }
        }
    }

    /// Lets it go on without us.
    pub(crate) fn release(mut self) -> Result<(), DemoError> {
        let told = self.watch.as_mut().map_or(Ok(()), |watch| watch.write_all(b"keep\n").and_then(|()| watch.flush()));
        told.map_err(|error| DemoError::Words(format!("the keeper has gone: {error}")))
    }

    /// Ends it and all it holds.
    pub(crate) fn stop(mut self) -> Result<(), DemoError> {
        drop(self.watch.take());
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.map_err(|error| DemoError::Words(format!("the keeper cannot be stopped: {error}")))?;
        Err(DemoError::Words(format!("the keeper did not end within {END_LIMIT:?} and was killed")))
    }
}

/// The keeper's own work.
pub(crate) fn main(options: &KeeperOptions) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() else {
        eprintln!("the keeper cannot start a runtime");
        return ExitCode::FAILURE;
    };
    let outcome = runtime.block_on(hold(options));
    // The thread that reads standard input may wait for ever.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            error.exit_code()
        }
    }
}

async fn hold(options: &KeeperOptions) -> Result<(), DemoError> {
    let no_signals = |error: std::io::Error| DemoError::Words(format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    // A closed terminal is no reason to end.
    let _hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let mut abandoned = Box::pin(abandoned());
    let cancelled = Arc::new(AtomicBool::new(false));
    let (options_of_stage, flag) = (options.clone(), Arc::clone(&cancelled));
    let mut building = tokio::task::spawn_blocking(move || {
        let KeeperOptions { folder, cast } = options_of_stage;
        Stage::build(&folder, cast, &mut |step| say(&format!("tell {step}")), &flag)
    });
    let built = tokio::select! {
        built = &mut building => built,
        () = &mut abandoned => { cancelled.store(true, Ordering::Relaxed); building.await }
        _ = terminate.recv() => { cancelled.store(true, Ordering::Relaxed); building.await }
        _ = interrupt.recv() => { cancelled.store(true, Ordering::Relaxed); building.await }
    };
    let stage = built.map_err(|error| DemoError::Words(error.to_string()))??;
    stage.scene().write(&options.folder.join(SCENE_FILE))?;
    say("ready");
    tokio::select! {
        () = abandoned => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let stopped = tokio::task::spawn_blocking(move || stage.stop()).await;
    stopped.map_err(|error| DemoError::Words(error.to_string()))?
}

/// Whoever listens may have gone; then the end of standard input says so.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    drop(writeln!(stdout, "{line}").and_then(|()| stdout.flush()));
}

/// Ends when standard input ends without `keep`; never after `keep`.
async fn abandoned() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let watch = move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        // Nobody waits any more when the keeper is ending anyhow.
        let _ = sender.send(matches!(read, Ok(bytes) if bytes > 0) && line.trim() == "keep");
    };
    let started = std::thread::Builder::new().name("watch-the-demo".to_owned()).spawn(watch);
    let released = started.is_ok() && receiver.await.unwrap_or(false);
    if released {
        std::future::pending::<()>().await;
    }
}

/// `demo stop`: ends every kept demo of this workspace. Says how many there were.
pub(crate) fn stop_all() -> Result<usize, DemoError> {
    let mut stopped = 0;
    for folder in folders()? {
        let Some(scene) = Scene::read(&folder.join(SCENE_FILE)) else { continue };
        let Some(pid) = keeper_of(&scene) else { continue };
        eprintln!("stopping the demo at {} (process {pid})", scene.brokers);
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|errno| DemoError::Words(format!("process {pid} cannot be stopped: {errno}")))?;
        let deadline = Instant::now() + END_LIMIT;
        while is_alive(pid) {
            if Instant::now() >= deadline {
                return Err(DemoError::Words(format!("process {pid} did not end within {END_LIMIT:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        remove(&folder)?;
        stopped += 1;
    }
    Ok(stopped)
}

/// The kept demo that was started last.
pub(crate) fn newest() -> Result<Option<Scene>, DemoError> {
    let kept = |folder: PathBuf| {
        let file = folder.join(SCENE_FILE);
        let since = fs::metadata(&file).and_then(|data| data.modified()).ok()?;
        Some((since, Scene::read(&file).filter(|scene| keeper_of(scene).is_some())?))
    };
    Ok(folders()?.into_iter().filter_map(kept).max_by_key(|(since, _)| *since).map(|(_, scene)| scene))
}

/// Removes folders of demos that have ended: logs of failed runs, and what a killed one left.
pub(crate) fn remove_old_folders() -> Result<(), DemoError> {
    for folder in folders()? {
        let kept = Scene::read(&folder.join(SCENE_FILE)).is_some_and(|scene| keeper_of(&scene).is_some());
        if !kept && !owner_of(&folder).is_some_and(is_alive) {
            remove(&folder)?;
        }
    }
    Ok(())
}

/// The folder of the demo that runs in this process.
pub(crate) fn own_folder() -> Result<PathBuf, DemoError> {
    let folder = dev_stack::dev_folder().join(format!("demo-{}", std::process::id()));
    fs::create_dir_all(folder.join("logs")).map_err(DemoError::file("create", &folder))?;
    Ok(folder)
}

/// Removes a folder of the demo.
pub(crate) fn remove(folder: &Path) -> Result<(), DemoError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(DemoError::file("remove", folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn folders() -> Result<Vec<PathBuf>, DemoError> {
    let dev = dev_stack::dev_folder();
    let entries = match fs::read_dir(&dev) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DemoError::file("read", &dev)(error)),
    };
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| owner_of(path).is_some()).collect())
}

/// The process whose folder it is, by its name.
fn owner_of(folder: &Path) -> Option<i32> {
    folder.file_name()?.to_str()?.strip_prefix("demo-")?.parse().ok()
}

/// The keeper's process, if it lives and is one: ids are given again.
fn keeper_of(scene: &Scene) -> Option<i32> {
    let pid = i32::try_from(scene.keeper_pid).ok().filter(|pid| is_alive(*pid))?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    arguments.split(|byte| *byte == 0).any(|argument| argument == b"keeper").then_some(pid)
}
