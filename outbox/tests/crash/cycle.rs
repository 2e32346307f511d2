//! One cycle: load, a fault at a random moment, load again, rest, and the check when everything has settled.
//!
//! Settled is what is observed: the writers say that they rest, one relay leads and the other stands by, and the check
//! finds nothing any more. What it still finds when patience is over is a violation.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::chance::Chance;
use crate::check::{Evidence, Violation, Wrong};
use crate::fault::Fault;
use crate::inject::inject;
use crate::settings::IN_FLIGHT;
use crate::table::{Table, Taken};
use crate::world::{LIMIT, LOOK, World, connect, wait};

/// What a cycle gave.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) fault: Fault,
    /// Transactions committed, and events of them that count, since the cycle began.
    pub(crate) events: u64,
    pub(crate) duplicates: u64,
    /// Leaders that were replaced because the machine let them look paused.
    pub(crate) silent: u64,
    pub(crate) took: Duration,
    /// Of which for settling, after the writers had come to rest.
    pub(crate) settling: Duration,
    pub(crate) violations: Vec<Violation>,
}

/// Runs one cycle. An error is one of this program or of the machine; what the outbox does wrong is in the report.
pub(crate) fn run(world: &mut World<'_>, fault: Fault, chance: &mut Chance, patience: Duration) -> Outcome<Report> {
    let began = Instant::now();
    let (events, repeated, silent) = (world.logs.taken(), world.logs.repeated(), world.silent_leaders()?);
    world.let_write()?;
    wait(Duration::from_millis(chance.between(80, 300)));
    inject(world, fault, chance)?;
    wait(Duration::from_millis(chance.between(30, 150)));
    rest(world)?;
    let rested = Instant::now();
    let mut violations = settle(world, patience)?;
    let silent = world.silent_leaders()?.saturating_sub(silent + u64::from(fault == Fault::RelayPause));
    let duplicates = world.logs.repeated().saturating_sub(repeated);
    if let Some(zombies) = fault.zombies() {
        // A leader that was replaced although nobody had paused it has its own messages in flight.
        let bound = (zombies + silent) * u64::from(IN_FLIGHT);
        if duplicates > bound {
            let what = format!("{duplicates} duplicates; {fault} explains at most {bound}");
            violations.push(Violation { wrong: Wrong::Doubled, what });
        }
    }
    let events = u64::try_from(world.logs.taken().saturating_sub(events))?;
    let (took, settling) = (began.elapsed(), rested.elapsed());
    Ok(Report { fault, events, duplicates, silent, took, settling, violations })
}

/// Waits until all writers rest.
fn rest(world: &mut World<'_>) -> Outcome<()> {
    world.ask_for_rest()?;
    let until = Instant::now() + LIMIT;
    loop {
        let restless = world.restless()?;
        if restless.is_empty() {
            return Ok(());
        }
        let ended = world.ended();
        if !ended.is_empty() || Instant::now() > until {
            return Err(format!("writers do not come to rest: {restless:?}; {ended:?}").into());
        }
        wait(LOOK);
    }
}

/// Looks until everything is as it should be, or patience is over.
fn settle(world: &mut World<'_>, patience: Duration) -> Outcome<Vec<Violation>> {
    let until = Instant::now() + patience;
    loop {
        let looked = look(world);
        let found = match looked {
            Ok(found) if found.is_empty() => return Ok(found),
            Ok(found) => found,
            Err(error) => {
                world.logs.reopen()?;
                vec![Violation { wrong: Wrong::Broken, what: format!("cannot be looked at: {error}") }]
            }
        };
        if Instant::now() > until {
            return Ok(found);
        }
        wait(LOOK * 2);
    }
}

fn look(world: &mut World<'_>) -> Outcome<Vec<Violation>> {
    let broken = |what: String| Violation { wrong: Wrong::Broken, what };
    let mut found: Vec<Violation> = world.ended().into_iter().map(broken).collect();
    let roles: Vec<String> = world.roles()?.into_values().collect();
    let mut sorted = roles.clone();
    sorted.sort_unstable();
    if sorted != ["leading", "standby"] {
        found.push(broken(format!("the relays are {roles:?}")));
    }
    world.logs.read()?;
    let (writers, reader) = (world.settings.writers_url.clone(), world.settings.reader_url.clone());
    let (table, taken) = world.run(async {
        let table = Table::load(&connect(&writers).await?).await?;
        Ok((table, Taken::load(&connect(&reader).await?).await?))
    })?;
    let evidence = Evidence {
        book: &world.book,
        forgotten: &world.forgotten,
        table: &table,
        logs: &world.logs.partitions,
        taken: &taken,
    };
    found.extend(evidence.check());
    Ok(found)
}
