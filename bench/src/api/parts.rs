//! The parts in which door and bare handlers take their turns, and the goals.

use std::time::Duration;

use super::caller::Kind;
use super::load::{Answered, Rate, at_full_speed, at_rate};
use super::site::Site;
use super::streams::{Streamed, Streams};
use crate::error::{BenchError, Result};
use crate::figures::Figures;
use crate::goals::{Goal, at_least, at_most, mebibytes, median, quotient};

/// How the parts are run.
pub(crate) struct Plan {
    /// The length of each window.
    pub(crate) window: Duration,
    /// How often each side takes its turn.
    pub(crate) rounds: u32,
    /// Requests a second, where they come at a rate.
    pub(crate) rate: u32,
    /// Connections that are kept alive.
    pub(crate) connections: u32,
}

/// One who takes turns: its name in the report, and what is asked of it.
type Side = (&'static str, Kind);

const LATENCY: [Side; 2] = [("202, door", Kind::Place), ("202, bare", Kind::BarePlace)];
const ACCEPT: [Side; 3] = [
    ("accept, door", Kind::Place),
    ("accept, bare", Kind::BareAtOnce),
    ("accept, bare with acknowledgement", Kind::BarePlace),
];
const LOOK: [Side; 2] = [("look, door", Kind::Look), ("look, bare", Kind::BareLook)];
const STREAMS: [&str; 2] = ["streams, none", "streams, all"];
const CONSOLES: [&str; 2] = ["consoles, none", "consoles, open"];

/// What one side's windows came to, value by value.
#[derive(Default)]
struct Turns(Vec<(&'static str, &'static str, Vec<f64>)>);

impl Turns {
    fn note(&mut self, what: &'static str, unit: &'static str, value: f64) {
        match self.0.iter_mut().find(|(known, _, _)| *known == what) {
            Some((_, _, values)) => values.push(value),
            None => self.0.push((what, unit, vec![value])),
        }
    }

    /// Requests a second, and what one of them costs: its server, the callers, and how many cores were busy in all.
    #[expect(clippy::float_arithmetic, reason = "figures for people, not amounts")]
    fn note_window(&mut self, kind: Kind, answered: &Answered) {
        let seconds = answered.usage.elapsed.as_secs_f64();
        self.note("rate", "/s", answered.counted as f64 / seconds);
        let server = if kind.is_bare() { "bare" } else { "order-api" };
        let cpu =
            |name: &str| answered.usage.processes.iter().find(|used| used.name == name).map_or(0, |used| used.cpu_ms);
        let each = |ms: u64| ms as f64 / answered.counted.max(1) as f64;
        self.note("CPU of the server, a request", "ms", each(cpu(server)));
        self.note("CPU of the callers, a request", "ms", each(cpu("publisher")));
        let all: u64 = answered.usage.processes.iter().map(|used| used.cpu_ms).sum();
        self.note("busy cores", "", all as f64 / 1_000.0 / seconds);
    }

    /// The medians.
    fn tell(self, load: &'static str, figures: &mut Figures) {
        for (what, unit, values) in self.0 {
            figures.add(load, what, median(values).unwrap_or_default(), unit);
        }
    }
}

impl Plan {
    /// Orders at a rate, each answered once Kafka has it.
    pub(crate) async fn latency(&self, site: &Site<'_>) -> Result<Figures> {
        let rate = Rate { per_second: self.rate, connections: self.connections };
        let mut turns = LATENCY.map(|_| Turns::default());
        for round in 0..self.rounds {
            for ((load, kind), turns) in LATENCY.into_iter().zip(&mut turns) {
                let work = site.work(kind, tag("rate", kind, round));
                let answered = at_rate(&work, rate, site.window(self.window)?).await?;
                site.settle_after(kind, &answered).await?;
                let found = answered.latencies.quantiles();
                let found = found.ok_or_else(|| BenchError::other(format!("{load}: nothing was measured")))?;
                for (what, value) in [("p50", found.p50), ("p99", found.p99), ("longest", found.max)] {
                    turns.note(what, "ms", value);
                }
                turns.note_window(kind, &answered);
            }
        }
        Ok(tell(LATENCY.map(|(load, _)| load), turns))
    }

    /// As many orders as are accepted.
    pub(crate) async fn accept(&self, site: &Site<'_>) -> Result<Figures> {
        self.at_full_speed(site, "full", ACCEPT).await
    }

    /// As many look-ups as are answered.
    pub(crate) async fn look(&self, site: &Site<'_>) -> Result<Figures> {
        self.at_full_speed(site, "look", LOOK).await
    }

    async fn at_full_speed<const SIDES: usize>(
        &self,
        site: &Site<'_>,
        part: &str,
        sides: [Side; SIDES],
    ) -> Result<Figures> {
        let mut turns = sides.map(|_| Turns::default());
        for round in 0..self.rounds {
            for ((_, kind), turns) in sides.into_iter().zip(&mut turns) {
                turns.note_window(kind, &self.full_window(site, kind, tag(part, kind, round)).await?);
            }
        }
        Ok(tell(sides.map(|(load, _)| load), turns))
    }

    async fn full_window(&self, site: &Site<'_>, kind: Kind, tag: String) -> Result<Answered> {
        let work = site.work(kind, tag);
        let answered = at_full_speed(&work, self.connections, site.window(self.window)?).await?;
        site.settle_after(kind, &answered).await?;
        Ok(answered)
    }

    /// As many orders as are accepted, without streams and with so many, in turns.
    pub(crate) async fn streams(&self, site: &Site<'_>, count: u64) -> Result<Figures> {
        self.beside(site, STREAMS, Streamed::Orders, count).await
    }

    /// The same with open consoles.
    pub(crate) async fn consoles(&self, site: &Site<'_>, count: u64) -> Result<Figures> {
        self.beside(site, CONSOLES, Streamed::Overview, count).await
    }

    async fn beside(
        &self,
        site: &Site<'_>,
        names: [&'static str; 2],
        streamed: Streamed,
        count: u64,
    ) -> Result<Figures> {
        let [mut none, mut all] = names.map(|_| Turns::default());
        let tag = |name: &str, round| tag(&name.replace(", ", "-"), Kind::Place, round);
        for round in 0..self.rounds {
            let answered = self.full_window(site, Kind::Place, tag(names[0], round)).await?;
            none.note_window(Kind::Place, &answered);
            let streams = Streams::open(&site.door, site.door_address, streamed, count).await?;
            let answered = self.full_window(site, Kind::Place, tag(names[1], round)).await?;
            streams.check()?;
            all.note_window(Kind::Place, &answered);
            all.note("memory of order-api", "MiB", mebibytes(site.door_memory()?));
            streams.close(&site.door).await?;
        }
        Ok(tell(names, [none, all]))
    }
}

/// What the door's process has in memory now.
pub(crate) fn memory(site: &Site<'_>) -> Result<Figures> {
    let mut figures = Figures::default();
    figures.add("after the load", "memory of order-api", mebibytes(site.door_memory()?), "MiB");
    Ok(figures)
}

fn tag(part: &str, kind: Kind, round: u32) -> String {
    let side = if kind.is_bare() { "bare" } else { "door" };
    let answer = if kind == Kind::BareAtOnce { "-at-once" } else { "" };
    format!("{part}-{side}{answer}-{round}")
}

fn tell<const SIDES: usize>(loads: [&'static str; SIDES], turns: [Turns; SIDES]) -> Figures {
    let mut figures = Figures::default();
    loads.into_iter().zip(turns).for_each(|(load, turns)| turns.tell(load, &mut figures));
    figures
}

/// How the figures did, goal by goal; goals of loads that were not run are left out.
pub(crate) fn judge(figures: &Figures) -> Vec<Goal> {
    let by = |load: &str, other: &str, what: &str| {
        figures.get(load, what).zip(figures.get(other, what)).map(|(value, by)| quotient(value, by))
    };
    let mut goals = Vec::new();
    let mut least =
        |what: &str, goal, found: Option<f64>| goals.extend(found.map(|found| at_least(what, "", goal, found)));
    // The 202 says that Kafka has the command, and where: so who answers before Kafka has it does less, and is shown beside.
    let acknowledged = by("accept, door", "accept, bare with acknowledgement", "rate");
    least("accepted orders/s, by the bare handler's that waits for the acknowledgement", 0.8, acknowledged);
    least("orders looked up/s, by the bare handler's", 0.5, by("look, door", "look, bare", "rate"));
    least("accepted orders/s with streams, by those without", 0.95, by(STREAMS[1], STREAMS[0], "rate"));
    least("accepted orders/s with open consoles, by those without", 0.95, by(CONSOLES[1], CONSOLES[0], "rate"));
    let mut most = |what: String, unit, goal, found: Option<f64>| {
        goals.extend(found.map(|found| at_most(what, unit, goal, found)))
    };
    for what in ["p50", "p99"] {
        most(format!("202 at a rate, by the bare handler's, {what}"), "", 1.5, by("202, door", "202, bare", what));
        let waited = by("wait, door", "wait, place to confirmed", what);
        most(format!("wait, by place to confirmed, {what}"), "", 1.3, waited);
    }
    let memory = |load| figures.get(load, "memory of order-api");
    most("memory of order-api after the load".to_owned(), "MiB", 64.0, memory("after the load"));
    most("memory of order-api with streams".to_owned(), "MiB", 256.0, memory(STREAMS[1]));
    goals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_needs_both_sides_and_can_be_missed() {
        let mut figures = Figures::default();
        figures.add("accept, door", "rate", 700.0, "/s");
        assert!(judge(&figures).is_empty());
        figures.add("accept, bare with acknowledgement", "rate", 1_000.0, "/s");
        figures.add("202, door", "p50", 3.0, "ms");
        figures.add("202, bare", "p50", 2.0, "ms");
        figures.add("streams, all", "memory of order-api", 300.0, "MiB");
        let met: Vec<(f64, bool)> = judge(&figures).into_iter().map(|goal| (goal.measured, goal.met)).collect();
        assert_eq!(met, [(0.7, false), (1.5, true), (300.0, false)]);
    }

    #[test]
    fn of_turns_the_middle_counts() {
        let (mut turns, mut figures) = (Turns::default(), Figures::default());
        for value in [9.0, 1.0, 2.0] {
            turns.note("rate", "/s", value);
        }
        turns.tell("accept, door", &mut figures);
        assert_eq!(figures.get("accept, door", "rate"), Some(2.0));
    }
}
