//! A stranger's service beside the workers, on demand: `loyalty-service`, the example of `outbox/examples/loyalty`.
//!
//! What is known of it here is what anybody who runs it knows: its program, its verbs, the names that it takes. Blocking, but
//! for the one question at the end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dev_stack::Child;
use schemas::TopicName;
use serde::{Deserialize, Serialize};

use crate::error::DemoError;
use crate::fleet;
use crate::lag::LagGauge;
use crate::narrator::Narrator;
use crate::scene::{Scene, is_alive};

/// The program, which lies beside this one when the demo was asked for it.
const PROGRAM: &str = "loyalty-service";
/// How long it may be behind the workers once they are done.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks how far it is.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// Its process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) pid: i32,
}

/// What it says at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// A line each: its points, and whether its tables are as its events say.
    pub(crate) lines: Vec<String>,
    pub(crate) is_good: bool,
}

/// Makes its tables and topics, and starts it.
pub(crate) fn start(scene: &Scene) -> Result<(Child, Guest), DemoError> {
    let setup = Child::spawn(command(scene, "setup")?, "loyalty-setup", &scene.logs.join("loyalty-setup.log"))?;
    setup.wait_success(fleet::COMMAND_LIMIT)?;
    let child = Child::spawn(command(scene, "run")?, "loyalty-1", &scene.logs.join("loyalty-1.log"))?;
    let pid = child.pid();
    Ok((child, Guest { pid }))
}

/// Waits until it has read all that the order service said, and asks it what it has made of that.
pub(crate) async fn ask(scene: &Scene, guest: &Guest, narrator: &Narrator) -> Result<Told, DemoError> {
    narrator.tell("asking the loyalty service for its points, and its events for its tables");
    let (scene, guest) = (scene.clone(), guest.clone());
    let asking = tokio::task::spawn_blocking(move || {
        let gauge = LagGauge::of(&scene, vec![(group(&scene), vec![TopicName::OrderEvents])])?;
        let deadline = Instant::now() + CATCH_UP_LIMIT;
        loop {
            let lag = gauge.measure()?;
            if lag == 0 {
                break;
            }
            if !is_alive(guest.pid) || Instant::now() >= deadline {
                let words = format!("the loyalty service has {lag} events to read; see {}", scene.logs.display());
                return Err(DemoError::Words(words));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
        let asked = command(&scene, "rebuild")?.stdin(Stdio::null()).output();
        let output = asked.map_err(|error| DemoError::Words(format!("{PROGRAM} cannot be asked: {error}")))?;
        let text = [output.stdout, output.stderr].concat();
        let lines = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        Ok(Told { lines, is_good: output.status.success() })
    });
    asking.await.map_err(|error| DemoError::Words(error.to_string()))?
}

/// Its topics, without the prefix.
pub(crate) const TOPICS: [&str; 2] = ["loyalty.events.v1", "loyalty.order.events.v1-dlt"];

/// Its consumer group.
pub(crate) fn group(scene: &Scene) -> String {
    format!("{}loyalty", scene.topic_prefix)
}

fn command(scene: &Scene, verb: &str) -> Result<Command, DemoError> {
    let mut command = fleet::program(scene, PROGRAM)?;
    command.args(["--schema", scene.guest_schema(), "--topic-prefix", &scene.topic_prefix, verb]);
    Ok(command)
}
