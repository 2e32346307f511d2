//! What each fault does, and how it is healed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::chance::Chance;
use crate::check::Forgotten;
use crate::fault::Fault;
use crate::journal::now;
use crate::log::Partition;
use crate::table::At;
use crate::world::{CONSUMER, LIMIT, LOOK, RELAYS, WRITERS, World, connect, wait};

/// The consumer that takes a paused one's place.
const SUBSTITUTE: &str = "c1";

fn millis(chance: &mut Chance, from: u64, to: u64) -> Duration {
    Duration::from_millis(chance.between(from, to))
}

/// Does it, and heals it: afterwards everything runs again.
pub(crate) fn inject(world: &mut World<'_>, fault: Fault, chance: &mut Chance) -> Outcome<()> {
    match fault {
        Fault::RelayKill => relay_kill(world, chance),
        Fault::RelayPause => relay_pause(world, chance),
        Fault::WriterKill => writer_kill(world, chance),
        Fault::WriterPause => writer_pause(world, chance),
        Fault::ConsumerKill => {
            world.kill(CONSUMER)?;
            wait(millis(chance, 0, 100));
            world.start(CONSUMER)
        }
        Fault::ConsumerPause => consumer_pause(world, chance),
        Fault::Backends => backends(world, chance),
        Fault::BrokerKill => {
            world.stack.kafka()?.kill()?;
            wait(millis(chance, 0, 200));
            Ok(world.stack.kafka()?.restart()?)
        }
        Fault::PostgresKill => {
            world.stack.postgres()?.kill()?;
            wait(millis(chance, 0, 200));
            Ok(world.stack.postgres()?.restart()?)
        }
        Fault::InFlight => in_flight(world, chance),
        Fault::Restore => restore(world, chance),
        Fault::TopicAnew => topic_anew(world, chance),
    }
}

fn relay_kill(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let leader = world.until_somebody_leads()?;
    let killed: Vec<&'static str> = match chance.below(6) {
        0 => RELAYS.to_vec(),
        1 => RELAYS.into_iter().filter(|name| *name != leader).collect(),
        _ => vec![leader],
    };
    for name in &killed {
        world.kill(name)?;
    }
    wait(millis(chance, 0, 150));
    killed.into_iter().try_for_each(|name| world.start(name))
}

fn relay_pause(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let leader = world.until_somebody_leads()?;
    // Half of the time so that it surely has something in flight.
    let loaded = chance.once_in(2);
    if loaded {
        world.stack.kafka()?.pause()?;
        wait(millis(chance, 40, 120));
    }
    world.pause(leader)?;
    if loaded {
        world.stack.kafka()?.resume()?;
    }
    let other = RELAYS.into_iter().find(|name| *name != leader);
    let until = Instant::now() + LIMIT;
    loop {
        let roles = world.roles()?;
        if other.is_some_and(|other| roles.get(other).is_some_and(|role| role == "leading")) {
            break;
        }
        if Instant::now() > until {
            return Err(format!("nobody took over from a paused leader: {roles:?}").into());
        }
        wait(LOOK);
    }
    wait(millis(chance, 0, 100));
    world.resume(leader)
}

fn some_writers(chance: &mut Chance) -> Vec<&'static str> {
    if chance.once_in(3) {
        return WRITERS.to_vec();
    }
    chance.pick(&WRITERS).copied().into_iter().collect()
}

fn writer_kill(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    for _ in 0..chance.between(1, 3) {
        for name in some_writers(chance) {
            world.kill(name)?;
            world.start(name)?;
        }
        wait(millis(chance, 50, 150));
    }
    Ok(())
}

fn writer_pause(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let paused = some_writers(chance);
    paused.iter().try_for_each(|name| world.pause(name))?;
    wait(millis(chance, 50, 400));
    paused.iter().try_for_each(|name| world.resume(name))
}

fn consumer_pause(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    world.pause(CONSUMER)?;
    wait(millis(chance, 0, 50));
    world.start(SUBSTITUTE)?;
    wait(millis(chance, 200, 400));
    world.resume(CONSUMER)?;
    // Both consume now; the inbox lets each step be taken once.
    wait(millis(chance, 50, 200));
    if chance.once_in(2) {
        return world.kill(SUBSTITUTE);
    }
    world.kill(CONSUMER)?;
    world.start(CONSUMER)?;
    world.kill(SUBSTITUTE)
}

fn backends(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let which = match chance.below(3) {
        0 => "a.pid in (select l.pid from pg_locks l where l.locktype = 'advisory' and l.objid = 0 and l.granted)",
        1 => "random() < 0.5",
        _ => "true",
    };
    let sql = format!(
        "select pg_terminate_backend(a.pid) from pg_stat_activity a \
         where (a.datname like 'writers%' or a.datname like 'reader%') and {which}"
    );
    let client = world.maintenance()?;
    for _ in 0..chance.between(1, 2) {
        world.run(async { Ok(client.query(&sql, &[]).await?) })?;
        wait(millis(chance, 0, 60));
    }
    Ok(())
}

fn in_flight(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let leader = world.until_somebody_leads()?;
    world.stack.kafka()?.pause()?;
    wait(millis(chance, 80, 250));
    world.kill(leader)?;
    wait(millis(chance, 0, 80));
    world.stack.kafka()?.resume()?;
    world.start(leader)
}

/// Ends all sessions of the writers' database and lets nobody in.
async fn close(client: &outbox::Client, database: &str) -> Outcome<()> {
    client.batch_execute(&format!("alter database {database} allow_connections false")).await?;
    end_sessions(client, database).await
}

async fn end_sessions(client: &outbox::Client, database: &str) -> Outcome<()> {
    let until = Instant::now() + LIMIT;
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1";
    while client.query_one(sql, &[&database]).await?.get::<_, i64>(0) > 0 {
        if Instant::now() > until {
            return Err("sessions of a closed database do not end".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn restore(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let client = world.maintenance()?;
    let database = world.database.clone();
    let from = now();
    world.run(async {
        close(&client, &database).await?;
        client.batch_execute(&format!("create database {database}_old template {database}")).await?;
        Ok(client.batch_execute(&format!("alter database {database} allow_connections true")).await?)
    })?;
    let url = world.settings.writers_url.clone();
    let kept = world.run(heads(&url.replace(&database, &format!("{database}_old"))))?;
    // Until something was published that the copy does not hold.
    until_published(world, &kept, i64::try_from(chance.between(5, 60))?)?;
    let dead = chance.once_in(2);
    if dead {
        RELAYS.into_iter().try_for_each(|name| world.kill(name))?;
    }
    world.run(async {
        close(&client, &database).await?;
        client.batch_execute(&format!("drop database {database}")).await?;
        Ok(client.batch_execute(&format!("alter database {database}_old rename to {database}")).await?)
    })?;
    world.forgotten.push(Forgotten { from, until: now() });
    if dead {
        // The writers are back before the relays, and append more than the topics have seen.
        until_a_lane_is_longer(world, &kept)?;
        RELAYS.into_iter().try_for_each(|name| world.start(name))?;
    }
    Ok(())
}

/// Waits until the topics hold so many events that were committed after the copy was made.
fn until_published(world: &mut World<'_>, kept: &BTreeMap<At, i64>, more: i64) -> Outcome<()> {
    let until = Instant::now() + LIMIT;
    loop {
        world.logs.read()?;
        let beyond = |(at, log): (&At, &Partition)| log.highest() - kept.get(at).copied().unwrap_or(0);
        if world.logs.partitions.iter().map(beyond).filter(|beyond| *beyond > 0).sum::<i64>() >= more {
            return Ok(());
        }
        if Instant::now() > until {
            return Err("nothing is published".into());
        }
        wait(LOOK);
    }
}

/// The highest sequence of every lane.
async fn heads(url: &str) -> Outcome<BTreeMap<At, i64>> {
    let sql = "select t.name, l.partition, coalesce(max(m.sequence), 0) from shop.outbox_lanes l \
               join shop.outbox_topics t on t.id = l.topic_id left join shop.outbox_messages m using (lane) group by 1, 2";
    let rows = connect(url).await?.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// Waits until a lane that lost something goes on in the table beyond what its topic partition has seen.
fn until_a_lane_is_longer(world: &mut World<'_>, kept: &BTreeMap<At, i64>) -> Outcome<()> {
    world.logs.read()?;
    let url = world.settings.writers_url.clone();
    let until = Instant::now() + LIMIT;
    loop {
        let now = world.run(heads(&url))?;
        let mut lanes = world.logs.partitions.iter();
        let longer = lanes.any(|(at, log)| {
            let seen = log.highest();
            kept.get(at).is_some_and(|kept| *kept < seen) && now.get(at).is_some_and(|head| *head > seen)
        });
        if longer {
            return Ok(());
        }
        if Instant::now() > until {
            return Err("the writers do not come back after a restore".into());
        }
        wait(LOOK);
    }
}

fn topic_anew(world: &mut World<'_>, chance: &mut Chance) -> Outcome<()> {
    let Some(topic) = chance.pick(&world.settings.topics).cloned() else { return Ok(()) };
    let dead = chance.once_in(3);
    if dead {
        RELAYS.into_iter().try_for_each(|name| world.kill(name))?;
    }
    world.make_topic_anew(&topic)?;
    // What an operator does then: offsets of the old log mean nothing in the new one.
    let reader = world.settings.reader_url.clone();
    world.run(async {
        let sql = "update reader.inbox_offsets set next_offset = null where topic = $1";
        connect(&reader).await?.execute(sql, &[&topic]).await?;
        Ok(())
    })?;
    if dead {
        RELAYS.into_iter().try_for_each(|name| world.start(name))?;
    }
    Ok(())
}
