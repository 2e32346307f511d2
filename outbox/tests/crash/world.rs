//! The parent's hand on everything: servers, databases, topics, and the processes that it starts, kills and pauses.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dev_stack::{Child, Stack};
use outbox::planted::PlantedBug;
use outbox::{Client, Outbox};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::Outcome;
use crate::book::Book;
use crate::chance::Chance;
use crate::check::Forgotten;
use crate::control::{Control, Wish};
use crate::log::Logs;
use crate::settings::{PARTITIONS, READER_SCHEMA, SCHEMA, Settings};

/// How long anything may take that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
/// How often a condition is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(15);

/// The relays, the writers and the consumer, with the number of writing tasks that each has.
pub(crate) const RELAYS: [&str; 2] = ["r0", "r1"];
pub(crate) const WRITERS: [&str; 2] = ["w0", "w1"];
pub(crate) const CONSUMER: &str = "c0";

/// A process that was started.
pub(crate) struct Process {
    /// Its name with the number of its start: never used twice.
    pub(crate) name: String,
    pub(crate) child: Child,
}

/// The world of one round.
pub(crate) struct World<'s> {
    pub(crate) stack: &'s Stack,
    pub(crate) settings: Settings,
    pub(crate) processes: BTreeMap<&'static str, Process>,
    pub(crate) book: Book,
    pub(crate) logs: Logs,
    pub(crate) forgotten: Vec<Forgotten>,
    pub(crate) control: Control,
    runtime: &'s Runtime,
    /// Name of the writers' database.
    pub(crate) database: String,
    starts: u32,
    asked: u64,
}

/// What a round is made of.
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) folder: PathBuf,
    pub(crate) bug: Option<PlantedBug>,
    pub(crate) chance: Chance,
}

impl<'s> World<'s> {
    /// Fresh databases, fresh topics, all processes started.
    pub(crate) fn new(stack: &'s Stack, runtime: &'s Runtime, mut round: Round) -> Outcome<Self> {
        let (database, reader) = (format!("writers_{}", round.number), format!("reader_{}", round.number));
        let settings = Settings {
            folder: round.folder,
            brokers: stack.brokers(),
            writers_url: stack.new_database(&database)?,
            reader_url: stack.new_database(&reader)?,
            topics: ["a", "b"].map(|name| format!("crash.{name}.{}", round.number)).to_vec(),
            bug: round.bug,
            seed: round.chance.below(u64::MAX),
        };
        fs::create_dir_all(settings.folder.join("journal"))?;
        runtime.block_on(prepare(&settings))?;
        for topic in &settings.topics {
            runtime.block_on(create_topic(&settings, topic))?;
        }
        let control = Control::new(&settings.folder);
        control.set(Wish::Write)?;
        let logs = Logs::open(&settings)?;
        let mut world = Self {
            stack,
            settings,
            processes: BTreeMap::new(),
            book: Book::default(),
            logs,
            forgotten: Vec::new(),
            control,
            runtime,
            database,
            starts: 0,
            asked: 0,
        };
        for name in RELAYS.into_iter().chain(WRITERS).chain([CONSUMER]) {
            world.start(name)?;
        }
        Ok(world)
    }

    /// Starts a process of this name; its role is the name's first letter.
    pub(crate) fn start(&mut self, name: &'static str) -> Outcome<()> {
        self.starts += 1;
        let full = format!("{name}.{}", self.starts);
        let mut command = Command::new(std::env::current_exe()?);
        command.env("CRASH_ROLE", &full);
        self.settings.give(&mut command);
        let log = self.settings.folder.join(format!("{full}.log"));
        let child = Child::spawn(command, full.clone(), &log)?;
        self.processes.insert(name, Process { name: full, child });
        Ok(())
    }

    /// Kills a process and notes nothing: what it knew is in its journal.
    pub(crate) fn kill(&mut self, name: &'static str) -> Outcome<()> {
        if let Some(process) = self.processes.remove(name) {
            process.child.kill9()?;
        }
        Ok(())
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self, name: &'static str) -> Outcome<()> {
        Ok(self.process(name)?.child.stop()?)
    }

    /// SIGCONT.
    pub(crate) fn resume(&self, name: &'static str) -> Outcome<()> {
        Ok(self.process(name)?.child.cont()?)
    }

    pub(crate) fn process(&self, name: &'static str) -> Outcome<&Process> {
        Ok(self.processes.get(name).ok_or_else(|| format!("{name} was not started"))?)
    }

    /// Roles of both relays, as they told.
    pub(crate) fn roles(&mut self) -> Outcome<BTreeMap<&'static str, String>> {
        self.book.read(&self.settings.folder)?;
        let mut roles = BTreeMap::new();
        for name in RELAYS {
            if let Some(process) = self.processes.get(name) {
                let role = self.book.role(&format!("{}.role", process.name)).unwrap_or("starting");
                roles.insert(name, role.to_owned());
            }
        }
        Ok(roles)
    }

    /// The relay that leads, if one says so.
    pub(crate) fn leader(&mut self) -> Outcome<Option<&'static str>> {
        Ok(self.roles()?.into_iter().find(|(_, role)| role == "leading").map(|(name, _)| name))
    }

    /// Waits until one leads.
    pub(crate) fn until_somebody_leads(&mut self) -> Outcome<&'static str> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(leader) = self.leader()? {
                return Ok(leader);
            }
            if Instant::now() > until {
                return Err(format!("no relay leads: {:?}", self.roles()?).into());
            }
            wait(LOOK);
        }
    }

    /// Asks all writers to rest; they do so once their transaction has ended.
    pub(crate) fn ask_for_rest(&mut self) -> Outcome<()> {
        self.asked += 1;
        self.control.set(Wish::Rest(self.asked))
    }

    /// Lets them write.
    pub(crate) fn let_write(&self) -> Outcome<()> {
        self.control.set(Wish::Write)
    }

    /// The writers that do not rest yet.
    pub(crate) fn restless(&mut self) -> Outcome<Vec<String>> {
        self.book.read(&self.settings.folder)?;
        let tasks = self.processes.iter().flat_map(|(name, process)| {
            tasks_of(name).iter().map(|task| format!("{}.{task}", process.name)).collect::<Vec<_>>()
        });
        Ok(tasks.filter(|journal| !self.book.rests(journal, self.asked)).collect())
    }

    /// Processes that ended by themselves, with what they said last.
    pub(crate) fn ended(&self) -> Vec<String> {
        let ended = self.processes.values().filter(|process| !process.child.is_running());
        ended.map(|process| format!("{} ended by itself: {}", process.name, process.child.tail())).collect()
    }

    /// Runs something asynchronous to its end.
    pub(crate) fn run<T>(&self, work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        self.runtime.block_on(work)
    }

    /// A connection of the parent's own to the server's first database.
    pub(crate) fn maintenance(&self) -> Outcome<Client> {
        self.run(connect(&self.stack.database_url()))
    }

    /// Deletes a topic and makes it anew, empty.
    pub(crate) fn make_topic_anew(&mut self, topic: &str) -> Outcome<()> {
        self.run(delete_topic(&self.settings, topic))?;
        let until = Instant::now() + LIMIT;
        let consumer: BaseConsumer = self.settings.consumer().create()?;
        while consumer.fetch_metadata(None, LIMIT)?.topics().iter().any(|found| found.name() == topic) {
            if Instant::now() > until {
                return Err("a deleted topic is still there".into());
            }
            wait(LOOK);
        }
        self.run(create_topic(&self.settings, topic))?;
        self.logs.forget(topic)
    }

    /// Ends the round: no process, no database and no topic stays.
    pub(crate) fn end(mut self) -> Outcome<()> {
        self.processes.clear();
        let client = self.maintenance()?;
        self.run(async {
            for url in [&self.settings.writers_url, &self.settings.reader_url] {
                let name = url.parse::<tokio_postgres::Config>()?.get_dbname().unwrap_or_default().to_owned();
                client.batch_execute(&format!("drop database {name} with (force)")).await?;
            }
            for topic in &self.settings.topics {
                delete_topic(&self.settings, topic).await?;
            }
            Ok(())
        })
    }

    /// How often a relay ended the session of another because it was silent.
    pub(crate) fn silent_leaders(&self) -> Outcome<u64> {
        let mut count = 0;
        for file in fs::read_dir(&self.settings.folder)? {
            let path = file?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('r') && name.ends_with(".log") {
                let text = fs::read_to_string(&path)?;
                count += u64::try_from(text.matches("ended the database session of a silent leader").count())?;
            }
        }
        Ok(count)
    }
}

/// Lets time pass under load. What must have happened is never waited for in this way.
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// Letters of the writing tasks of a process.
pub(crate) fn tasks_of(name: &str) -> &'static [&'static str] {
    match name.chars().next() {
        Some('r') => &["a"],
        Some('w') => &["a", "b"],
        _ => &[],
    }
}

/// A connection of the parent's own.
pub(crate) async fn connect(url: &str) -> Outcome<Client> {
    Ok(outbox::connect(&url.parse()?, NoTls).await?)
}

async fn prepare(settings: &Settings) -> Outcome<()> {
    let mut client = connect(&settings.writers_url).await?;
    outbox::migrate(&mut client, SCHEMA).await?;
    // A row that is doomed makes its transaction fail at COMMIT, after everything else in it has succeeded.
    let own = "create schema app; \
               create table app.transactions (name text primary key, doomed boolean not null); \
               create function app.refuse() returns trigger language plpgsql as $$ begin \
                 if new.doomed then perform shop.outbox_refuse('OB002', 'doomed'); end if; return null; end $$; \
               create constraint trigger refuse after insert on app.transactions deferrable initially deferred \
                 for each row execute function app.refuse()";
    client.batch_execute(own).await?;
    Outbox::open(&client, settings.outbox()).await?;
    let mut client = connect(&settings.reader_url).await?;
    outbox::migrate(&mut client, READER_SCHEMA).await?;
    let own = "create table reader.taken (topic text, partition int, n bigint, epoch bigint not null, \
                 first bigint not null, sequence bigint not null, body text not null, primary key (topic, partition, n)); \
               create table reader.folded (key text primary key, count bigint not null, chain bigint not null)";
    client.batch_execute(own).await?;
    Outbox::open(&client, settings.reader()).await?;
    Ok(())
}

fn admin(settings: &Settings) -> Outcome<(AdminClient<DefaultClientContext>, AdminOptions)> {
    Ok((settings.kafka().create()?, AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)))))
}

async fn create_topic(settings: &Settings, topic: &str) -> Outcome<()> {
    let (admin, options) = admin(settings)?;
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let mut created = admin.create_topics([&new], &options).await?;
    match created.pop() {
        Some(Err((topic, code))) => Err(format!("topic {topic} cannot be created: {code}").into()),
        Some(Ok(_)) | None => Ok(()),
    }
}

async fn delete_topic(settings: &Settings, topic: &str) -> Outcome<()> {
    let (admin, options) = admin(settings)?;
    let mut deleted = admin.delete_topics(&[topic], &options).await?;
    match deleted.pop() {
        Some(Err((topic, code))) => Err(format!("topic {topic} cannot be deleted: {code}").into()),
        Some(Ok(_)) | None => Ok(()),
    }
}
