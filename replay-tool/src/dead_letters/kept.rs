//! Dead letters kept in memory: a thread reads the ends of the dead-letter topics on and on, in no group's name, and whoever looks is
//! told at once what it has read.
//!
//! What goes wrong is told beside what is known, and all is read anew; until that has come to the end, the letters that were known
//! stay. Deliberately absent: what is older than there is room for, which an office reads on request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use outbox::Backoff;
use rdkafka::{ClientConfig, Message as _};
use schemas::TopicName;
use tokio::sync::watch;

use super::office::Listed;
use super::reading::newest;
use super::shelf::Filed;
use super::window::Window;
use crate::error::ReplayError;
use crate::interrupt::{Interrupt, RaiseOnDrop};
use crate::log::{Bounds, Channel, Fed, Feed, KafkaLog, Record, Spot};

/// How often it is looked where the topics begin and end.
const LOOK: Duration = Duration::from_secs(30);

/// How soon after a complaint of the client's.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon a stop is noticed while nothing is read.
const NOTICE: Duration = Duration::from_millis(50);

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// At most so many letters of a topic: the newest.
    pub letters: u32,
    /// At most about so many bytes of a topic.
    pub bytes: usize,
    /// Of a letter that takes more, its contents are not kept.
    pub letter_bytes: usize,
}

/// Why the topics are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// In words.
    pub why: String,
}

/// What is known of all letters.
#[derive(Debug, Clone)]
pub struct Standing {
    /// By topic.
    pub listed: Vec<Listed>,
    /// How many records that are there are not read yet.
    pub behind: i64,
    /// What is in the way.
    pub trouble: Option<Trouble>,
}

/// What is known of the newest letters; cheap to clone.
#[derive(Debug, Clone)]
pub struct Kept(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// None until the topics were read to their end once.
    window: Option<Window>,
    trouble: Option<Trouble>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept(Arc::new(Shared { state: Mutex::default(), changed: watch::Sender::new(()) }))
    }
}

impl Kept {
    /// All that is known; none until the topics were read to their end.
    pub fn standing(&self) -> Option<Standing> {
        let state = self.locked();
        let window = state.window.as_ref()?;
        let listed = TopicName::ALL.into_iter().map(|topic| window.listed(topic)).collect();
        Some(Standing { listed, behind: window.behind(), trouble: state.trouble.clone() })
    }

    /// One letter, where all of it is kept.
    pub fn letter(&self, spot: Spot) -> Option<Arc<Filed>> {
        self.locked().window.as_ref()?.letter(spot).cloned()
    }

    /// What is in the way of knowing more than what is kept.
    pub fn trouble(&self) -> Option<Trouble> {
        self.locked().trouble.clone()
    }

    /// Waits until a letter is known so, or is not kept; whether that was within the limit.
    pub async fn shows(&self, spot: Spot, limit: Duration, is_meant: impl Fn(&Filed) -> bool) -> bool {
        let mut changed = self.0.changed.subscribe();
        let shown = async {
            while self.letter(spot).is_some_and(|filed| !is_meant(&filed)) {
                // The sender is here.
                drop(changed.changed().await);
            }
        };
        tokio::time::timeout(limit, shown).await.is_ok()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.locked());
        self.0.changed.send_replace(());
    }

    fn is_in_trouble(&self, why: String) {
        self.change(|state| {
            let since = state.trouble.take().map_or_else(Timestamp::now, |trouble| trouble.since);
            state.trouble = Some(Trouble { since, why });
        });
    }
}

/// Reads the dead-letter topics for [`Kept`].
#[derive(Debug)]
pub struct Keeper {
    kafka: ClientConfig,
    prefix: String,
    patience: Duration,
    room: Room,
    kept: Kept,
}

impl Keeper {
    pub(super) fn new(kafka: ClientConfig, prefix: &str, patience: Duration, room: Room, kept: Kept) -> Self {
        Keeper { kafka, prefix: prefix.to_owned(), patience, room, kept }
    }

    /// Keeps them until `stop` is done; its thread has ended then.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let reading = RaiseOnDrop::default();
        let interrupt = reading.0.clone();
        let thread = tokio::task::spawn_blocking(move || self.keep(&interrupt));
        stop.await;
        drop(reading);
        if let Err(error) = thread.await {
            tracing::error!(%error, "keeping the dead letters has ended abnormally");
        }
    }

    fn keep(&self, interrupt: &Interrupt) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        while !interrupt.is_raised() {
            let begun = Instant::now();
            let Err(error) = self.follow(interrupt);
            backoff.worked_for(begun.elapsed());
            if interrupt.is_raised() {
                return;
            }
            tracing::warn!(%error, "the dead letters are not kept up");
            self.kept.is_in_trouble(error.to_string());
            let until = Instant::now() + backoff.wait();
            while Instant::now() < until && !interrupt.is_raised() {
                thread::sleep(NOTICE);
            }
        }
    }

    /// Reads the newest letters, then what comes.
    fn follow(&self, interrupt: &Interrupt) -> Result<Infallible, ReplayError> {
        let log = KafkaLog::new(&self.kafka, &self.prefix, self.patience, interrupt)?.for_following();
        let (mut window, mut places) = (Window::new(self.room), Vec::new());
        for topic in TopicName::ALL {
            let channel = Channel::DeadLetters(topic);
            let bounds = log.bounds(channel)?;
            let newest = newest(&bounds, i64::from(self.room.letters));
            for ((partition, bounds), newest) in (0..).zip(bounds).zip(newest) {
                window.begin(topic, partition, bounds, newest.first);
                places.push((channel, partition, newest.first));
            }
        }
        let following = Following { feed: log.feed(&places)?, log, kept: &self.kept };
        following.catch_up(window, interrupt)?;
        following.go_on(interrupt)
    }
}

/// The topics, open.
struct Following<'k> {
    log: KafkaLog,
    feed: Feed,
    kept: &'k Kept,
}

/// What has come of one look at the feed.
enum Came {
    Something,
    Complaint(String),
    Nothing,
}

impl Following<'_> {
    /// Reads to where the topics ended; what was known is known until then.
    fn catch_up(&self, mut window: Window, interrupt: &Interrupt) -> Result<(), ReplayError> {
        let names = self.names();
        while window.unread().next().is_some() {
            interrupt.check()?;
            match self.next(&names, |take| take(&mut window))? {
                Came::Something => {}
                // The client mends it by itself.
                Came::Complaint(why) => self.kept.is_in_trouble(why),
                Came::Nothing => self.step(&mut window)?,
            }
        }
        self.kept.change(|state| *state = State { window: Some(window), trouble: None });
        Ok(())
    }

    /// Reads what comes, and looks now and then where the topics are.
    fn go_on(&self, interrupt: &Interrupt) -> Result<Infallible, ReplayError> {
        let names = self.names();
        let mut due = Instant::now() + LOOK;
        loop {
            interrupt.check()?;
            let came = self.next(&names, |take| self.kept.change(|state| state.window.iter_mut().for_each(take)));
            if let Came::Complaint(why) = came? {
                self.kept.is_in_trouble(why);
                due = due.min(Instant::now() + LOOK_AGAIN);
            }
            if Instant::now() >= due {
                self.look()?;
                due = Instant::now() + LOOK;
            }
        }
    }

    fn names(&self) -> HashMap<String, TopicName> {
        TopicName::ALL.into_iter().map(|topic| (self.log.topic(Channel::DeadLetters(topic)), topic)).collect()
    }

    /// What comes next, given to the window that `with` has.
    fn next(
        &self,
        names: &HashMap<String, TopicName>,
        with: impl FnOnce(&mut dyn FnMut(&mut Window)),
    ) -> Result<Came, ReplayError> {
        Ok(match self.feed.poll()? {
            Fed::Message(message) => {
                if let Some(topic) = names.get(message.topic()) {
                    let record = Record::of(&message);
                    with(&mut |window| window.take(*topic, &record));
                }
                Came::Something
            }
            Fed::Unreadable(why) => {
                let mut unread = Vec::new();
                with(&mut |window| unread = window.unread().collect());
                self.unreadable(&unread)?;
                Came::Complaint(why)
            }
            Fed::Complaint(why) => Came::Complaint(why),
            Fed::Nothing => Came::Nothing,
        })
    }

    /// An error where one of these partitions goes on with what the client cannot read.
    fn unreadable(&self, unread: &[(TopicName, i32, i64, i64)]) -> Result<(), ReplayError> {
        for (topic, partition, next, end) in unread {
            if let Some(run) = self.log.unreadable_run(Channel::DeadLetters(*topic), *partition, *next, *end)? {
                return Err(ReplayError::Unreadable(run));
            }
        }
        Ok(())
    }

    /// Behind the last record there may be marks of transactions, which the client steps over.
    fn step(&self, window: &mut Window) -> Result<(), ReplayError> {
        let unread: Vec<_> = window.unread().collect();
        for (topic, partition, _, _) in unread {
            let name = self.log.topic(Channel::DeadLetters(topic));
            if let Some(position) = self.feed.position(&name, partition) {
                window.pass(topic, partition, position);
            }
        }
        Ok(())
    }

    /// Where the topics begin and end now: whoever can be asked that, is there.
    fn look(&self) -> Result<(), ReplayError> {
        let mut looked = Vec::new();
        for topic in TopicName::ALL {
            looked.push((topic, self.log.bounds(Channel::DeadLetters(topic))?));
        }
        let mut found = Ok(());
        self.kept.change(|state| {
            let Some(window) = &mut state.window else { return };
            found = self.compare(window, looked);
            if found.is_ok() {
                state.trouble = None;
            }
        });
        found
    }

    fn compare(&self, window: &mut Window, looked: Vec<(TopicName, Vec<Bounds>)>) -> Result<(), ReplayError> {
        for (topic, all) in looked {
            let name = self.log.topic(Channel::DeadLetters(topic));
            for (partition, bounds) in (0..).zip(all) {
                if let Some(position) = self.feed.position(&name, partition) {
                    window.pass(topic, partition, position);
                }
                let shrunk = |until| ReplayError::LogShrunk { topic: name.clone(), partition, end: bounds.end, until };
                window.look(topic, partition, bounds).map_err(shrunk)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use schemas::ServiceName;

    use super::*;
    use crate::log::{ACTION_HEADER, Written};

    const TOPIC: TopicName = TopicName::OrderCommands;

    #[tokio::test]
    async fn who_waits_for_a_note_is_told_when_it_has_come_and_not_before() {
        let (kept, limit) = (Kept::default(), Duration::from_secs(5));
        let spot = Spot { channel: Channel::DeadLetters(TOPIC), partition: 0, offset: 0 };
        let mut window = Window::new(Room { letters: 9, bytes: 9_999, letter_bytes: 9_999 });
        window.begin(TOPIC, 0, Bounds { first: 0, end: 0 }, 0);
        let letter = Written { payload: Some(vec![b'x']), ..Written::default() }.at(ServiceName::Order, (1, 1, 1));
        window.take(TOPIC, &letter.record());
        kept.change(|state| state.window = Some(window));
        let mut waiting = pin!(kept.shows(spot, limit, |filed| !filed.notes.is_empty()));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut waiting).await.is_err(), "nothing has come");
        let note = br#"{"action":"discarded","letter_offset":0,"by":"kim","at":"2026-11-30T12:00:00Z"}"#;
        let note = Written { offset: 1, payload: Some(note.to_vec()), ..Written::default() };
        let note = note.with(ACTION_HEADER, "discarded");
        kept.change(|state| state.window.iter_mut().for_each(|window| window.take(TOPIC, &note.record())));
        assert!(waiting.await);
        assert!(!kept.shows(spot, Duration::from_millis(1), |_| false).await, "no longer than the limit");
    }
}
