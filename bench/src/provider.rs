//! The program `bench-provider`: what a provider over HTTP costs, beside the simulator in the same run.
//!
//! Three questions, each to pipelines of their own on one pair of servers. *Speed*: orders per second with a provider that takes 100 ms to
//! answer, by those with the simulator, in turns; the median of the rounds. Between the two is the simulator that takes 100 ms as well: what
//! is lost there is waiting, and the rest HTTP on this machine. *Down*: orders for which stock is reserved per second while
//! no provider can be reached, by those with the simulator, in turns. *Open*: the memory of payment while so many calls are open at once.
//!
//! The provider is `stripe-server`, in this process. It shares the machine, so what it uses is taken from the pipeline, not added.

mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use domain::simulator::SimulatorConfig;
use jiff::Timestamp;
use schemas::ServiceName;
use stripe_server::{Behaviour, Running};

use crate::api::make_room;
use crate::error::{BenchError, Doing, Result};
use crate::goals::quotient;
use crate::measure::{forget_peak, peak_bytes, resident_of};
use crate::pipeline::{Arrivals, Load, Orders, Pipeline, Workers};
use crate::program::{self, Command, cores};
use crate::report::Machine;
use crate::servers::Servers;
use report::{Opened, Report};

/// How long a provider takes to answer.
const ANSWERS_AFTER_MS: u64 = 100;
/// The same where calls are to stay open: less than a call may take.
const STAYS_OPEN_MS: u64 = 9_000;
/// How long reservations, or open calls, may stand still.
const STANDSTILL: Duration = Duration::from_secs(60);
/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(100);
/// Requests at once, where speed is measured.
const REQUESTS: u64 = 1_024;

/// Measure what a payment provider over HTTP costs the pipeline, beside the simulator in the same run.
#[derive(Debug, Parser)]
#[command(name = "bench-provider", version)]
struct Arguments {
    /// Length of each window of speed in seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Load before each window in seconds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    warm_up: u64,
    /// How often each is measured, in turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Unfinished orders at full speed
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    in_flight: u64,
    /// Orders that are placed while the provider is down, and as many with the simulator
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    orders: u64,
    /// Calls that are open at once
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    calls: u64,
    /// Partitions of every topic; by default one per core
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    partitions: Option<u32>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("bench-provider", arguments.command.as_ref(), || bench(&arguments).map(|()| ExitCode::SUCCESS))
}

fn bench(arguments: &Arguments) -> Result<()> {
    make_room(arguments.calls.max(REQUESTS))?;
    let began = Timestamp::now().to_string();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the runtime")?;
    let mut report = Report { began, machine: Machine::here(), rounds: arguments.rounds, ..Report::default() };
    runtime.block_on(arguments.measure(&mut report))?;
    program::show(&report, Report::text, arguments.json)
}

impl Arguments {
    async fn measure(&self, report: &mut Report) -> Result<()> {
        announce("starting Kafka and Postgres");
        let servers = Servers::start()?;
        let provider = provider(ANSWERS_AFTER_MS).await?;
        let at_provider = told(&provider, REQUESTS);
        let patient = vec![("PIPELINE_CONFIG".to_owned(), patient_simulator(&servers)?)];
        let nowhere = told_of("127.0.0.1:9", REQUESTS);
        // Whoever comes first would pay for what the servers do in their first seconds.
        self.speed(&servers, "warming", Vec::new()).await?;
        for round in 0..self.rounds {
            report.simulator.push(self.speed(&servers, &format!("simulator{round}"), Vec::new()).await?);
            report.patient.push(self.speed(&servers, &format!("patient{round}"), patient.clone()).await?);
            report.provider.push(self.speed(&servers, &format!("provider{round}"), at_provider.clone()).await?);
            report.reserved.push(self.reserved(&servers, &format!("reaching{round}"), Vec::new()).await?);
            report.reserved_down.push(self.reserved(&servers, &format!("down{round}"), nowhere.clone()).await?);
        }
        provider.stop().await;
        report.opened = Some(self.opened(&servers).await?);
        servers.stop()
    }

    async fn start<'s>(&self, servers: &'s Servers, name: &str, told: Vec<(String, String)>) -> Result<Pipeline<'s>> {
        announce(&format!("starting the pipeline: {name}"));
        let partitions = self.partitions.unwrap_or_else(cores);
        let program = std::env::current_exe().doing("finding this program")?;
        let workers = Workers { environment: told, ..Workers::of(program) };
        Pipeline::start_of(workers, servers, name, Orders::Synthetic { lines: 5 }, partitions).await
    }

    /// Completed orders per second.
    async fn speed(&self, servers: &Servers, name: &str, told: Vec<(String, String)>) -> Result<f64> {
        let pipeline = self.start(servers, name, told).await?;
        pipeline.settle().await?;
        let (warm_up, window) = (Duration::from_secs(self.warm_up), Duration::from_secs(self.seconds));
        let pace = Arrivals::InFlight(self.in_flight);
        let run = pipeline.load(&Load { name: name.to_owned(), pace, warm_up, window, with_hops: false }).await?;
        pipeline.stop().await?;
        Ok(run.orders_per_second)
    }

    /// Orders per second that are placed and have their stock reserved.
    async fn reserved(&self, servers: &Servers, name: &str, told: Vec<(String, String)>) -> Result<f64> {
        let pipeline = self.start(servers, name, told).await?;
        pipeline.settle().await?;
        let began = Instant::now();
        pipeline.place(self.orders).await?;
        let (mut seen, mut moved) = (0, Instant::now());
        while seen < self.orders {
            tokio::time::sleep(LOOK).await;
            pipeline.check()?;
            let now = pipeline.reserved().await?;
            if now > seen {
                (seen, moved) = (now, Instant::now());
            } else if moved.elapsed() > STANDSTILL {
                return Err(BenchError::other(format!("stock was reserved for {seen} of {} orders", self.orders)));
            }
        }
        let per_second = quotient(self.orders as f64, began.elapsed().as_secs_f64());
        pipeline.stop().await?;
        Ok(per_second)
    }

    /// The memory of payment while calls are open.
    async fn opened(&self, servers: &Servers) -> Result<Opened> {
        let provider = provider(STAYS_OPEN_MS).await?;
        let mut told = told(&provider, self.calls);
        told.push(("PROVIDER_CALLS".to_owned(), self.calls.to_string()));
        let pipeline = self.start(servers, "open", told).await?;
        let payment = pipeline.daemon(ServiceName::Payment)?;
        let pid = u32::try_from(payment.pid()).map_err(BenchError::other)?;
        let idle_bytes = resident_of(pid);
        forget_peak(pid);
        pipeline.place(self.calls).await?;
        let (mut calls, mut moved) = (0, Instant::now());
        while calls < self.calls && moved.elapsed() < STANDSTILL {
            tokio::time::sleep(LOOK).await;
            pipeline.check()?;
            let now = open_calls(payment)?;
            if now > calls {
                (calls, moved) = (now, Instant::now());
            } else if now < calls {
                // The first ones are answered.
                break;
            }
        }
        let peak_bytes = peak_bytes(pid).unwrap_or_default();
        pipeline.stop().await?;
        provider.stop().await;
        Ok(Opened { asked: self.calls, calls, idle_bytes, peak_bytes })
    }
}

/// A provider that answers so late, on a port of its own.
async fn provider(latency_ms: u64) -> Result<Running> {
    let (latency_min_ms, latency_max_ms) = (latency_ms, latency_ms);
    let simulator = SimulatorConfig { latency_min_ms, latency_max_ms, ..SimulatorConfig::default() };
    let behaviour = Behaviour { simulator, ..Behaviour::default() };
    stripe_server::start(behaviour, ([127, 0, 0, 1], 0).into()).await.map_err(BenchError::other)
}

/// A file of settings with a simulator that answers as late.
fn patient_simulator(servers: &Servers) -> Result<String> {
    let file = servers.logs().join("patient-simulator.toml");
    let text = format!("[simulator]\nlatency_min_ms = {ANSWERS_AFTER_MS}\nlatency_max_ms = {ANSWERS_AFTER_MS}\n");
    std::fs::create_dir_all(servers.logs()).doing("making the folder of logs")?;
    std::fs::write(&file, text).doing("writing the simulator's settings")?;
    Ok(file.display().to_string())
}

/// What makes payment ask it.
fn told(provider: &Running, requests: u64) -> Vec<(String, String)> {
    told_of(&provider.address().to_string(), requests)
}

fn told_of(address: &str, requests: u64) -> Vec<(String, String)> {
    let told = [
        ("PROVIDER", "stripe".to_owned()),
        ("STRIPE_URL", format!("http://{address}")),
        ("STRIPE_KEY", "sk_test_bench".to_owned()),
        ("STRIPE_TEST_TOKEN", "pm_card_visa".to_owned()),
        ("STRIPE_REQUESTS", requests.to_string()),
        ("STRIPE_TIMEOUT_MS", (STAYS_OPEN_MS + 1_000).to_string()),
    ];
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// How many calls payment says that it has under way.
fn open_calls(payment: &dev_stack::Daemon) -> Result<u64> {
    let (_, text) = payment.get("/metrics").map_err(BenchError::other)?;
    let value = text.lines().find_map(|line| line.strip_prefix("payment_provider_calls_open ")?.trim().parse().ok());
    Ok(value.unwrap_or_default())
}

/// Progress goes to standard error; standard output is for the outcome.
fn announce(what: &str) {
    eprintln!("bench-provider: {what}");
}
