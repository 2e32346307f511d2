//! A writer: one task, one connection, one transaction after the other, each announced in its journal first.
//!
//! Transactions of every kind: one lane or many, rolled back, dropped, refused at COMMIT after their messages were
//! appended, held open for long, and plain SQL with savepoints. Whatever breaks, the writer notes what it knows, connects again and goes on.

use std::collections::HashMap;
use std::time::Duration;

use outbox::{Class, Client, Outbox, OutboxError, OutboxMessage};
use tokio_postgres::NoTls;

use crate::Outcome;
use crate::body::{Body, Name};
use crate::chance::Chance;
use crate::control::{Control, Wish};
use crate::foreign::{self, Ended};
use crate::journal::Journal;
use crate::settings::Settings;

/// Keys per topic: few, so that transactions meet.
const KEYS: u64 = 8;
const LOOK: Duration = Duration::from_millis(5);

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    OneKey,
    ManyLanes,
    RolledBack,
    Dropped,
    /// A constraint raises at COMMIT, after the messages were appended.
    Doomed,
    /// Open for longer than most things take.
    Long,
    /// Plain SQL and no word of this crate, with savepoints.
    Foreign,
}

/// Weighted: most transactions are plain.
const COURSES: [Course; 14] = [
    Course::OneKey,
    Course::OneKey,
    Course::OneKey,
    Course::OneKey,
    Course::ManyLanes,
    Course::ManyLanes,
    Course::ManyLanes,
    Course::RolledBack,
    Course::Dropped,
    Course::Doomed,
    Course::Long,
    Course::OneKey,
    Course::Foreign,
    Course::Foreign,
];

pub(crate) struct Writer {
    name: String,
    settings: Settings,
    outbox: Outbox,
    journal: Journal,
    control: Control,
    chance: Chance,
    number: u64,
    counters: HashMap<String, u64>,
    rested: Option<u64>,
}

impl Writer {
    /// `name` is the journal's, and never used twice.
    pub(crate) fn new(settings: &Settings, outbox: &Outbox, name: &str) -> Outcome<Self> {
        Ok(Self {
            name: name.to_owned(),
            journal: Journal::create(&settings.folder, name)?,
            control: Control::new(&settings.folder),
            chance: Chance::of(settings.seed, name),
            settings: settings.clone(),
            outbox: outbox.clone(),
            number: 0,
            counters: HashMap::new(),
            rested: None,
        })
    }

    /// Writes until the process ends, or until something is wrong with this program itself.
    pub(crate) async fn run(mut self) -> Outcome<()> {
        let database: tokio_postgres::Config = self.settings.writers_url.parse()?;
        loop {
            self.rest_if_asked().await?;
            match outbox::connect(&database, NoTls).await {
                Ok(mut client) => self.session(&mut client).await?,
                Err(_) => tokio::time::sleep(LOOK * 4).await,
            }
        }
    }

    /// Transactions on one connection until it breaks.
    async fn session(&mut self, client: &mut Client) -> Outcome<()> {
        // A paused writer must not hold what it has locked for longer than a cycle.
        if client.batch_execute("set idle_in_transaction_session_timeout = '1500ms'").await.is_err() {
            return Ok(());
        }
        while !client.is_closed() {
            self.rest_if_asked().await?;
            self.transaction(client).await?;
            let pause = self.chance.between(1, 25);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    async fn rest_if_asked(&mut self) -> Outcome<()> {
        while let Wish::Rest(asked) = self.control.get()? {
            if self.rested != Some(asked) {
                self.journal.rests(asked)?;
                self.rested = Some(asked);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn transaction(&mut self, client: &mut Client) -> Outcome<()> {
        let course = self.chance.pick(&COURSES).copied().unwrap_or(Course::OneKey);
        self.number += 1;
        let number = self.number;
        let bodies = self.bodies(course);
        if course == Course::Foreign {
            return self.foreign(client, bodies).await;
        }
        let commits = matches!(course, Course::OneKey | Course::ManyLanes | Course::Long);
        let (will, never) = if commits { (&bodies[..], &[][..]) } else { (&[][..], &bodies[..]) };
        self.journal.begin(number, will, never)?;
        let messages = bodies.iter().map(|body| self.message(body)).collect();
        let pause = Duration::from_millis(self.chance.between(50, 400));
        let name = Name { writer: self.name.clone(), number }.to_string();
        let outbox = self.outbox.clone();
        let ended = carry_out(&outbox, client, course, &name, messages, pause).await;
        self.note(number, course, ended)
    }

    async fn foreign(&mut self, client: &Client, bodies: Vec<Body>) -> Outcome<()> {
        let bodies: Vec<(Body, bool)> = bodies.into_iter().map(|body| (body, !self.chance.once_in(3))).collect();
        let those = |kept: bool| bodies.iter().filter(|one| one.1 == kept).map(|one| one.0.clone()).collect::<Vec<_>>();
        self.journal.begin(self.number, &those(true), &those(false))?;
        let name = Name { writer: self.name.clone(), number: self.number }.to_string();
        match foreign::carry_out(client, &name, &self.settings.topics, &bodies).await {
            Ended::Committed => self.journal.committed(self.number),
            Ended::Undone => self.journal.undone(self.number),
            Ended::Unknown => self.journal.unknown(self.number),
            Ended::Refused(why) => {
                self.journal.broken(&format!("transaction {} was refused: {why}", self.number))?;
                self.journal.undone(self.number)
            }
        }
    }

    /// Notes how it ended; what should not have ended so is an error of the outbox.
    fn note(&mut self, number: u64, course: Course, ended: Result<(), OutboxError>) -> Outcome<()> {
        match ended {
            Ok(()) if matches!(course, Course::RolledBack | Course::Dropped) => self.journal.undone(number),
            Ok(()) => {
                if course == Course::Doomed {
                    self.journal.broken(&format!("transaction {number} was to be refused at COMMIT and was not"))?;
                }
                self.journal.committed(number)
            }
            Err(error) => {
                match error.class() {
                    Class::Unknown => return self.journal.unknown(number),
                    Class::Permanent => self.journal.broken(&format!("transaction {number} failed: {error}"))?,
                    Class::Conflict if course == Course::Doomed => {}
                    Class::Conflict => self.journal.broken(&format!("transaction {number} was refused: {error}"))?,
                    Class::Retry => {}
                }
                self.journal.undone(number)
            }
        }
    }

    fn bodies(&mut self, course: Course) -> Vec<Body> {
        let count = match course {
            Course::OneKey => self.chance.between(1, 3),
            Course::ManyLanes
            | Course::RolledBack
            | Course::Dropped
            | Course::Doomed
            | Course::Long
            | Course::Foreign => self.chance.between(2, 6),
        };
        let key = self.key();
        let mut bodies = Vec::new();
        for number in (0..).take(usize::try_from(count).unwrap_or(1)) {
            let key = if course == Course::OneKey { key.clone() } else { self.key() };
            let counter = self.counters.entry(key.clone()).or_default();
            *counter += 1;
            let transaction = Name { writer: self.name.clone(), number: self.number };
            bodies.push(Body { transaction, number, counter: *counter, key });
        }
        bodies
    }

    /// The key's first letter says its topic.
    fn key(&mut self) -> String {
        let topic = if self.chance.once_in(3) { 'b' } else { 'a' };
        format!("{topic}{}", self.chance.below(KEYS))
    }

    fn message(&self, body: &Body) -> OutboxMessage {
        let topic = &self.settings.topics[usize::from(body.key.starts_with('b'))];
        OutboxMessage::event(topic.as_str(), "crash.Event.v1").key(body.key.clone()).payload(body.to_string())
    }
}

/// The transaction itself: a row of the writer's own table, and the messages.
async fn carry_out(
    outbox: &Outbox,
    client: &mut Client,
    course: Course,
    name: &str,
    messages: Vec<OutboxMessage>,
    pause: Duration,
) -> Result<(), OutboxError> {
    let transaction = outbox.begin(client).await?;
    let insert = "insert into app.transactions (name, doomed) values ($1, $2)";
    transaction.execute(insert, &[&name, &(course == Course::Doomed)]).await?;
    match course {
        Course::OneKey | Course::ManyLanes | Course::Doomed | Course::Foreign => {
            transaction.commit(messages).await.map(|_| ())
        }
        Course::Long => {
            tokio::time::sleep(pause).await;
            transaction.commit(messages).await.map(|_| ())
        }
        // Its answer does not matter: without COMMIT nothing is committed.
        Course::RolledBack => transaction.rollback().await.or(Ok(())),
        Course::Dropped => {
            drop(transaction);
            Ok(())
        }
    }
}
