//! The demo: real orders through three daemons, a part of them by way of the API, on a real Kafka and a real Postgres, with one command.
//!
//! It starts the daemons' own programs, which lie beside it: one build makes them all.
//! A library with one function, so that the test of the README can run it.

mod after_sale;
mod both_ways;
mod cleanup;
mod error;
mod example;
mod farewell;
mod flash_sale;
mod fleet;
mod following;
mod guest;
mod input;
mod keeper;
mod lag;
mod narrator;
mod options;
mod provider;
mod run;
mod scene;
mod show;
mod stage;
mod stock_plan;
mod summary;
mod tally;
mod track;
mod verdict;
mod warehouse;
mod wave;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::DemoError;
use crate::keeper::Keeper;
use crate::narrator::Narrator;
use crate::options::{Options, Staging, Verb};
use crate::scene::Scene;
use crate::show::{Ending, Show};
use crate::stage::Stage;

/// Who holds servers and daemons.
enum Holder {
    /// This process.
    Here(Box<Stage>),
    /// A process in the background.
    Behind(Keeper),
}

impl Holder {
    fn stop(self) -> Result<(), DemoError> {
        match self {
            Holder::Here(stage) => stage.stop(),
            Holder::Behind(keeper) => keeper.stop(),
        }
    }
}

/// The program: its arguments are those of this process.
pub fn main() -> ExitCode {
    let begin = Instant::now();
    let options = Options::parse();
    let ended = match options.verb {
        None => play(Show::Orders(options.run), begin),
        Some(Verb::FlashSale(options)) => play(Show::FlashSale(options), begin),
        Some(Verb::Keeper(options)) => return keeper::main(&options),
        Some(Verb::Env) => env(),
        Some(Verb::Stop) => keeper::stop_all().map(|count| {
            eprintln!("{count} stopped");
            ExitCode::SUCCESS
        }),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("demo: {error}");
        error.exit_code()
    })
}

/// `demo env`: the lines for a shell.
fn env() -> Result<ExitCode, DemoError> {
    let none = || DemoError::Words("no demo is kept running; start one with: cargo demo --keep".to_owned());
    let lines = farewell::exports(&keeper::newest()?.ok_or_else(none)?);
    // A reader that has gone wants nothing more.
    let _ = write!(std::io::stdout().lock(), "{lines}");
    Ok(ExitCode::SUCCESS)
}

fn play(show: Show, begin: Instant) -> Result<ExitCode, DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| DemoError::Words(format!("cannot start the runtime: {error}")))?;
    keeper::remove_old_folders()?;
    let folder = keeper::own_folder()?;
    let keep = show.staging().keep;
    let ended = runtime.block_on(play_in(show, &folder, begin));
    runtime.shutdown_timeout(Duration::from_millis(500));
    let logs = folder.join("logs");
    let nothing_to_see = std::fs::read_dir(&logs).map_or(true, |mut entries| entries.next().is_none());
    match &ended {
        Ok(_) if keep => {}
        Ok(code) if *code == ExitCode::SUCCESS => keeper::remove(&folder)?,
        Err(DemoError::Interrupted) => keeper::remove(&folder)?,
        Ok(_) | Err(_) if nothing_to_see => keeper::remove(&folder)?,
        Ok(_) | Err(_) => eprintln!("demo: the daemons' logs are in {}", logs.display()),
    }
    ended
}

async fn play_in(show: Show, folder: &Path, begin: Instant) -> Result<ExitCode, DemoError> {
    let no_signals = |error: std::io::Error| DemoError::Words(format!("signals cannot be received: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let narrator = Narrator::new(begin);
    let staging = show.staging().clone();
    // Before anything is started: a file that is not there should not cost anybody's time.
    let own_files = folder.to_path_buf();
    let preparing = tokio::task::spawn_blocking(move || show.prepare(&own_files));
    let prepared = tokio::select! {
        prepared = preparing => prepared.map_err(|error| DemoError::Words(error.to_string()))??,
        () = either(&mut interrupt, &mut terminate) => return Err(DemoError::Interrupted),
    };
    narrator.tell(&prepared.words());
    let (holder, scene) = set_up(&staging, folder, begin, &mut interrupt, &mut terminate).await?;
    let ending = tokio::select! {
        ending = prepared.play(&scene, staging.rate, begin, &narrator) => ending,
        () = either(&mut interrupt, &mut terminate) => Err(DemoError::Interrupted),
    };
    narrator.clear();
    let ending = match ending {
        Ok(ending) if staging.keep => run::leave_stock(&scene, &narrator).await.map(|()| ending),
        ending => ending,
    };
    let closing = close(holder, staging.keep && ending.is_ok(), &narrator);
    tokio::select! {
        closed = closing => closed?,
        // The servers and daemons end with this process.
        () = either(&mut interrupt, &mut terminate) => std::process::exit(130),
    }
    let ending = ending?;
    say(&ending, staging.json, staging.keep.then_some(&scene));
    Ok(if ending.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn set_up(
    staging: &Staging,
    folder: &Path,
    begin: Instant,
    interrupt: &mut Signal,
    terminate: &mut Signal,
) -> Result<(Holder, Scene), DemoError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (flag, folder) = (Arc::clone(&cancelled), folder.to_path_buf());
    let Staging { cast, keep, .. } = *staging;
    let mut building = tokio::task::spawn_blocking(move || {
        let narrator = Narrator::new(begin);
        let mut tell = |step: &str| narrator.tell(step);
        if keep {
            let kept = Keeper::start(&folder, cast, &mut tell, &flag);
            return kept.map(|(keeper, scene)| (Holder::Behind(keeper), scene));
        }
        let stage = Stage::build(&folder, cast, &mut tell, &flag)?;
        let scene = stage.scene().clone();
        Ok((Holder::Here(Box::new(stage)), scene))
    });
    let built = tokio::select! {
        built = &mut building => built,
        () = either(interrupt, terminate) => {
            cancelled.store(true, Ordering::Relaxed);
            tokio::select! {
                built = &mut building => built,
                () = either(interrupt, terminate) => std::process::exit(130),
            }
        }
    };
    let built = built.map_err(|error| DemoError::Words(error.to_string()))?;
    if cancelled.load(Ordering::Relaxed) {
        if let Ok((holder, _)) = built {
            holder.stop()?;
        }
        return Err(DemoError::Interrupted);
    }
    built
}

/// Ends everything, or lets it go on.
async fn close(holder: Holder, keep: bool, narrator: &Narrator) -> Result<(), DemoError> {
    let closing = tokio::task::spawn_blocking(move || match holder {
        Holder::Behind(keeper) if keep => keeper.release(),
        Holder::Behind(_) | Holder::Here(_) => holder.stop(),
    });
    closing.await.map_err(|error| DemoError::Words(error.to_string()))??;
    narrator.tell(if keep {
        "the workers and servers go on"
    } else {
        "the workers have drained, the servers are gone"
    });
    Ok(())
}

fn say(ending: &Ending, as_json: bool, kept: Option<&Scene>) {
    let mut page = ending.text.clone();
    if let Some(scene) = kept {
        page.push_str(&farewell::text(scene, ending.sample_order.as_deref()));
    }
    if as_json {
        eprintln!("{page}");
        page = ending.json.to_string();
    }
    // Whoever read it may have gone; the exit code still says how it went.
    let _ = writeln!(std::io::stdout().lock(), "{page}");
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
