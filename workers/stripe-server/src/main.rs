//! `stripe-server`: the server as a program, for the demo and for tests of whole daemons. It logs its address, and ends at SIGTERM.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use stripe_server::{Behaviour, start};
use tokio::signal::unix::{SignalKind, signal};

/// A server of the shape of Stripe's: it holds no money, and whoever reaches it may do everything.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// How to behave (TOML); what can be set is in workers/stripe-server/src/behaviour.rs.
    #[arg(long, value_name = "FILE")]
    behaviour: Option<PathBuf>,
    /// Where to write what was done, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    statement: Option<PathBuf>,
    /// Where webhooks go; may be repeated.
    #[arg(long, value_name = "URL")]
    webhook: Vec<String>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_ansi(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended =
        runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(Arguments::parse())));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { listen, behaviour, statement, webhook } = arguments;
    let mut behaviour = match behaviour {
        Some(file) => read(&file)?,
        None => Behaviour::default(),
    };
    behaviour.statement = statement.or(behaviour.statement);
    behaviour.webhooks.extend(webhook);
    let (mut terminated, mut interrupted) = (listener(SignalKind::terminate())?, listener(SignalKind::interrupt())?);
    let running = start(behaviour, listen).await.map_err(|error| error.to_string())?;
    tracing::info!(address = %running.address(), "listening");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    running.stop().await;
    Ok(())
}

fn read(file: &std::path::Path) -> Result<Behaviour, String> {
    let wrong = |error: String| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn listener(kind: SignalKind) -> Result<tokio::signal::unix::Signal, String> {
    signal(kind).map_err(|error| format!("signals cannot be received: {error}"))
}
