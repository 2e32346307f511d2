//! Where a drill takes place: a pipeline under a small load, with an operator who looks, stops, starts and runs programs.

use std::process::Command;
use std::time::Duration;

use schemas::{PlaceOrder, ServiceName, TopicName};
use tokio::time::Instant;

use super::Shown;
use super::story::Story;
use crate::{
    LONG, Load, OrderRow, Outcome, Pipeline, Run, Servers, Settings, is_sound, run_command, sample, stock_for,
};
use crate::{trouble, until};

/// Orders that a drill may place, more than any does.
const ORDERS: usize = 600;
/// Orders per second.
const PACE: u32 = 10;
/// Orders that must end before work counts as going on: enough for every partition.
const PROBES: usize = 12;
/// Orders that have ended when something is lost.
const BEFORE: usize = 20;

/// The scene.
pub(super) struct Scene {
    pub(super) pipeline: Pipeline,
    pub(super) story: Story,
    program: String,
    probes: Vec<PlaceOrder>,
    unplaced: Vec<PlaceOrder>,
    placed: Vec<PlaceOrder>,
    load: Option<Load>,
    noticed: Option<Duration>,
    back: Duration,
}

impl Scene {
    /// A pipeline at work, with some orders ended and others under way.
    pub(super) async fn open(program: &str, servers: &Servers, settings: Settings) -> Outcome<Self> {
        let pipeline = Pipeline::start(program, servers, settings).await?;
        let mut unplaced = sample(3_000, ORDERS)?;
        unplaced.retain(is_sound);
        pipeline.receive(&stock_for(&unplaced)).await?;
        let mut scene = Scene {
            pipeline,
            story: Story::begin(),
            program: program.to_owned(),
            probes: unplaced.split_off(unplaced.len() - PROBES),
            unplaced,
            placed: Vec::new(),
            load: None,
            noticed: None,
            back: Duration::ZERO,
        };
        scene.begin_load();
        scene.more_orders_end().await?;
        Ok(scene)
    }

    /// What most drills have: one instance of each service, a provider that takes its time, so that orders are under way.
    pub(super) fn settings() -> Settings {
        let mut settings = Settings { instances: 1, partitions: 2, ..Settings::default() };
        (settings.simulator.latency_min_ms, settings.simulator.latency_max_ms) = (100, 900);
        settings
    }

    // ---------------------------------------------------------------- the load

    pub(super) fn begin_load(&mut self) {
        let orders = self.unplaced.clone();
        self.load = Some(self.pipeline.load(orders, PACE));
    }

    /// Stops the clients.
    pub(super) async fn end_load(&mut self) -> Outcome {
        if let Some(load) = self.load.take() {
            let confirmed = load.stop().await?;
            self.unplaced.drain(..confirmed.len());
            self.placed.extend(confirmed);
        }
        Ok(())
    }

    /// Waits until more orders have ended than now.
    pub(super) async fn more_orders_end(&self) -> Outcome {
        let before = ended(&self.pipeline).await?;
        until("orders end", LONG, async || {
            let now = ended(&self.pipeline).await?;
            if now >= before + BEFORE { Ok(()) } else { Err(trouble(format!("{} have", now - before))) }
        })
        .await
    }

    /// Those that Kafka has confirmed and the order service has no row of.
    pub(super) async fn untaken(&self) -> Outcome<Vec<PlaceOrder>> {
        let rows = self.pipeline.tables().orders().await?;
        Ok(self.placed.iter().filter(|order| !rows.contains_key(order.order_id.as_str())).cloned().collect())
    }

    /// Those that it has a row of.
    pub(super) async fn taken(&self) -> Outcome<Vec<PlaceOrder>> {
        let rows = self.pipeline.tables().orders().await?;
        Ok(self.placed.iter().filter(|order| rows.contains_key(order.order_id.as_str())).cloned().collect())
    }

    /// All that Kafka has confirmed.
    pub(super) fn confirmed(&self) -> Vec<PlaceOrder> {
        self.placed.clone()
    }

    /// Waits until clients have sent something to partitions from this number on, which nobody reads.
    pub(super) async fn waits_in_new_partitions(&self, first: i32) -> Outcome {
        let topic = [TopicName::OrderCommands.as_str().to_owned()];
        until("clients send to the new partitions", LONG, async || {
            let ends = self.pipeline.broker().ends(&topic).await?;
            let has_some = ends.iter().any(|((_, partition), (_, end))| *partition >= first && *end > 0);
            if has_some { Ok(()) } else { Err(trouble(format!("{ends:?}"))) }
        })
        .await
    }

    /// Clients send these again.
    pub(super) async fn send_again(&self, orders: &[PlaceOrder]) -> Outcome {
        self.story.tell("do", &format!("clients send {} orders again", orders.len()));
        self.pipeline.publish(orders).await
    }

    // ---------------------------------------------------------------- what is seen

    /// Something is lost now.
    pub(super) fn loses(&mut self, what: &str) {
        self.story.begin_anew();
        self.story.tell("loss", what);
    }

    /// Waits until `/readyz` of every instance of these services is 503 with all of these words in one line.
    pub(super) async fn sees(&mut self, services: &[ServiceName], words: &[&str]) -> Outcome {
        for daemon in self.pipeline.daemons() {
            if !services.iter().any(|service| daemon.name().starts_with(service.as_str())) {
                continue;
            }
            let line = until(&format!("{} says {words:?}", daemon.name()), LONG, async || {
                let (status, body) = daemon.readiness().await?;
                // A library's own words say nothing to an operator.
                let tells = |line: &&str| words.iter().all(|word| line.contains(word)) && !line.contains("hook");
                let found = body.lines().find(tells);
                found.filter(|_| status == 503).map(str::to_owned).ok_or_else(|| trouble(format!("{status}: {body}")))
            })
            .await?;
            self.noticed.get_or_insert(self.story.elapsed());
            self.story.tell("seen", &format!("{} /readyz 503: {line}", daemon.name()));
        }
        Ok(())
    }

    /// A metric that must have this value on every instance of a service.
    pub(super) async fn sees_metric(&self, service: ServiceName, metric: &str, value: u32) -> Outcome {
        for daemon in self.pipeline.daemons().filter(|daemon| daemon.name().starts_with(service.as_str())) {
            let found = until(&format!("{metric} is {value}"), LONG, async || {
                let found = daemon.metric(metric, &[]).await?;
                let is_it = found.total_cmp(&f64::from(value)).is_eq();
                if is_it { Ok(found) } else { Err(trouble(format!("{found}"))) }
            })
            .await?;
            self.story.tell("seen", &format!("{} {metric} {found}", daemon.name()));
        }
        Ok(())
    }

    /// Something else that shows the loss.
    pub(super) fn sees_that(&mut self, what: &str) {
        self.noticed.get_or_insert(self.story.elapsed());
        self.story.tell("seen", what);
    }

    // ---------------------------------------------------------------- what is done

    /// Something is done by other means than a program of ours.
    pub(super) fn does(&self, what: &str) {
        self.story.tell("do", what);
    }

    /// SIGTERM to all instances of these services that run.
    pub(super) async fn stop(&mut self, services: &[ServiceName]) -> Outcome {
        let names: Vec<&str> = services.iter().map(|service| service.as_str()).collect();
        self.does(&format!("stop the workers of {}", names.join(", ")));
        self.pipeline.stop_services(services).await
    }

    /// Starts all instances that do not run, and waits until they are ready.
    pub(super) async fn start(&mut self, services: &[ServiceName]) -> Outcome {
        let names: Vec<&str> = services.iter().map(|service| service.as_str()).collect();
        self.does(&format!("start the workers of {}", names.join(", ")));
        self.pipeline.start_services(services).await
    }

    /// A subcommand of a worker, which must end with this code; what it printed.
    pub(super) async fn worker(&self, service: ServiceName, words: &[&str], code: i32) -> Outcome<String> {
        self.does(&shown(&format!("{service}-worker"), &self.pipeline.arguments(service, words)));
        let finished = self.pipeline.run(service, words).await?;
        self.story.tell("", &finished.output);
        if finished.code == Some(code) { Ok(finished.output) } else { Err(trouble(format!("{finished:?}"))) }
    }

    /// `replay-tool`, which must end with this code.
    pub(super) async fn replay(&self, words: &[&str], code: i32) -> Outcome<Run> {
        let line: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.does(&shown("replay-tool", &line));
        let mut command = self.replay_command(words);
        command.env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS");
        let run = run_command(command).await?;
        self.story.tell("", &format!("{}{}", run.stdout, run.stderr));
        run.expect(code)
    }

    /// The command line of a `replay-tool`.
    pub(super) fn replay_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("replay-tool").args(words).env_remove("DATABASE_URL").env_remove("KAFKA_BROKERS");
        command
    }

    /// The same, on the pipeline's topics and tables.
    pub(super) async fn replay_live(&self, words: &[&str], code: i32) -> Outcome<Run> {
        let (brokers, url) = (self.pipeline.servers().stack().brokers(), self.pipeline.database_url());
        let place = ["--brokers", &brokers, "--topic-prefix", self.pipeline.prefix(), "--database-url", url];
        self.replay(&[words, &place].concat(), code).await
    }

    // ---------------------------------------------------------------- the end

    /// Waits until everything works: every instance is ready, and orders that are placed from now on have ended.
    pub(super) async fn works(&mut self, since: Instant) -> Outcome {
        if self.load.is_none() {
            self.begin_load();
        }
        let probes = std::mem::take(&mut self.probes);
        self.pipeline.publish(&probes).await?;
        self.pipeline.await_all_ready().await?;
        self.pipeline.await_terminal(&probes).await?;
        self.back = since.elapsed();
        self.story.tell("works", &format!("every worker is ready, and {PROBES} new orders have ended"));
        self.placed.extend(probes);
        Ok(())
    }

    /// The load goes on from clients that look at the topics now; those that run look every five minutes.
    pub(super) async fn clients_start_anew(&mut self) -> Outcome {
        self.end_load().await?;
        self.pipeline.renew_publisher()?;
        self.begin_load();
        Ok(())
    }

    /// Stops the load, and waits until everything that was placed has ended.
    pub(super) async fn rests(&mut self) -> Outcome {
        self.end_load().await?;
        self.pipeline.await_terminal(&self.taken().await?).await?;
        self.pipeline.await_quiet().await
    }

    /// `verify`, which must find that everything holds; nothing that was confirmed may be lost.
    pub(super) async fn holds(self, lost: &str) -> Outcome<Shown> {
        let statement = self.pipeline.statement_path().display().to_string();
        let verified = self.replay_live(&["verify", "--quiescent", "--statement", &statement], 0).await?;
        if !verified.stdout.contains("Everything holds") {
            return Err(trouble(verified.stdout));
        }
        match self.untaken().await?.as_slice() {
            [] => self.ends(lost),
            untaken => {
                Err(trouble(format!("{} confirmed orders are in no table: {:?}", untaken.len(), untaken[0].order_id)))
            }
        }
    }

    /// The drill has shown what it should.
    pub(super) fn ends(self, lost: &str) -> Outcome<Shown> {
        self.story.tell("lost", lost);
        self.pipeline.accept();
        Ok(Shown { noticed: self.noticed.unwrap_or_default(), back: self.back, lost: lost.to_owned() })
    }

    /// How many orders have been confirmed so far.
    pub(super) fn placed(&self) -> usize {
        self.placed.len()
    }
}

async fn ended(pipeline: &Pipeline) -> Outcome<usize> {
    Ok(pipeline.tables().orders().await?.values().filter(|row| OrderRow::has_ended(row)).count())
}

/// A command line as it is run, without the password and the folder of the workspace.
fn shown(program: &str, words: &[String]) -> String {
    let workspace = format!("{}/", dev_stack::workspace().display());
    let shown = words.iter().map(|word| match (word.split_once("://"), word.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ if word.is_empty() => "''".to_owned(),
        _ => word.replace(&workspace, ""),
    });
    shown.fold(format!("$ {program}"), |line, word| line + " " + &word)
}
