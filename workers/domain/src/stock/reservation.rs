//! A reservation: what is held for an order, and what became of it.
//!
//! Its first event is its outcome: reserved, rejected, or released before it came (a tombstone that refuses it then).
//! What was reserved is later committed or released, once. A repeated command gets the recorded outcome again, word for
//! word; so the state keeps all that the events said.

use std::collections::BTreeMap;

use schemas::{
    CommandId, CommitStock, InventoryCommand, InventoryEvent, OrderId, ReleaseStock, ReserveStock, ReturnedStock,
    Shortage, Sku, StockCommitRefused, StockCommitted, StockLine, StockRejected, StockReleased, StockReserved, Time,
    limits,
};
use serde::{Deserialize, Serialize};

use super::level::{Level, LevelChange};
use super::returned;
use crate::decision::{Contradiction, Decision, Follows, Inconsistent, Transition};

/// What is held for an order, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// For which order.
    pub order_id: OrderId,
    /// The number of its events: one for its outcome, one for what became of it, and one for each return.
    pub version: i64,
    /// What became of it.
    pub status: ReservationStatus,
    /// What was reserved: one line per SKU, ascending; none where nothing was.
    pub lines: Vec<StockLine>,
    /// What was missing, where it was rejected.
    pub shortages: Vec<Shortage>,
    /// The time of version 1.
    pub decided_at: Time,
    /// The time when it was settled; until then, that of version 1.
    pub changed_at: Time,
    /// What came back of it.
    pub returns: Vec<Returned>,
}

/// Goods that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Which return.
    pub return_id: CommandId,
    /// The reservation's version that says so.
    pub version: i64,
    /// When it was decided.
    pub at: Time,
    /// What came: one line per SKU, ascending.
    pub lines: Vec<ReturnedStock>,
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReservationStatus {
    /// Its lines are held.
    Reserved,
    /// There was too little.
    Rejected,
    /// Its lines have left.
    Committed,
    /// Its lines are free again, or (version 1) it was refused before it came.
    Released,
}

impl ReservationStatus {
    /// The status' name, for a column or a label.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReservationStatus::Reserved => "reserved",
            ReservationStatus::Rejected => "rejected",
            ReservationStatus::Committed => "committed",
            ReservationStatus::Released => "released",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Reserved, Self::Rejected, Self::Committed, Self::Released].into_iter().find(|one| one.as_str() == name)
    }
}

/// What an event made of a reservation and of levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolved {
    /// The reservation after the event.
    pub reservation: Option<Reservation>,
    /// What is to be added to levels, at most once per SKU, ascending; nothing for a repeated event.
    pub changes: Vec<LevelChange>,
}

/// The SKUs whose levels a decision about this command reads or changes: the caller locks and loads them.
pub fn skus_touched<'a>(
    state: Option<&'a Reservation>,
    command: &'a InventoryCommand,
) -> impl Iterator<Item = &'a Sku> {
    let reserved = state.map_or(&[][..], |reservation| &reservation.lines);
    // What comes back was reserved; anything else is refused without a look at its level.
    let lines = match command {
        InventoryCommand::ReserveStock(command) => &command.lines,
        InventoryCommand::CommitStock(_) | InventoryCommand::ReleaseStock(_) | InventoryCommand::ReturnStock(_) => {
            reserved
        }
    };
    lines.iter().map(|line| &line.sku)
}

/// What inventory does about a command. `level_of` gives the current level of each of [`skus_touched`].
pub fn decide(
    state: Option<&Reservation>,
    command: &InventoryCommand,
    level_of: impl Fn(&Sku) -> Level,
    now: Time,
) -> Decision<InventoryEvent> {
    match command {
        InventoryCommand::ReserveStock(command) => match state {
            None => reserve(command, level_of, now),
            Some(reservation) => Decision::repeated(reservation.first_event()),
        },
        InventoryCommand::CommitStock(command) => commit(state, command, now),
        InventoryCommand::ReleaseStock(command) => release(state, command, now),
        InventoryCommand::ReturnStock(command) => returned::take_back(state, command, now),
    }
}

fn reserve(command: &ReserveStock, level_of: impl Fn(&Sku) -> Level, now: Time) -> Decision<InventoryEvent> {
    let wanted = summed(&command.lines);
    let shortages = shortages(&wanted, level_of);
    let order_id = command.order_id.clone();
    if wanted.is_empty() || !shortages.is_empty() {
        return Decision::applied(StockRejected { order_id, version: 1, at: now, shortages }, Vec::new());
    }
    let lines = wanted.into_iter().map(|(sku, wanted)| StockLine { sku: sku.clone(), quantity: wanted.pieces() });
    Decision::applied(StockReserved { order_id, version: 1, at: now, lines: lines.collect() }, Vec::new())
}

/// How many pieces of a SKU an order wants; none where the sum does not fit into 64 bits.
#[derive(Clone, Copy)]
struct Wanted(Option<i64>);

impl Wanted {
    fn pieces(self) -> i64 {
        self.0.unwrap_or(i64::MAX)
    }

    fn is_covered_by(self, available: i64) -> bool {
        self.0.is_some_and(|pieces| pieces > 0 && pieces <= available)
    }
}

fn summed(lines: &[StockLine]) -> BTreeMap<&Sku, Wanted> {
    let mut sums = BTreeMap::new();
    for line in lines {
        let Wanted(sum) = sums.entry(&line.sku).or_insert(Wanted(Some(0)));
        *sum = sum.and_then(|sum| sum.checked_add(line.quantity));
    }
    sums
}

fn shortages(wanted: &BTreeMap<&Sku, Wanted>, level_of: impl Fn(&Sku) -> Level) -> Vec<Shortage> {
    let shortage = |(sku, wanted): (&&Sku, &Wanted)| {
        let available = level_of(sku).available();
        let is_short = !wanted.is_covered_by(available);
        is_short.then(|| Shortage { sku: (*sku).clone(), requested: wanted.pieces(), available })
    };
    wanted.iter().filter_map(shortage).take(limits::MAX_REASONS).collect()
}

fn commit(state: Option<&Reservation>, command: &CommitStock, now: Time) -> Decision<InventoryEvent> {
    let refuse = |what: &str| {
        let detail = limits::detail(format!("there is nothing to commit: the reservation {what}"));
        Decision::rejected(StockCommitRefused { order_id: command.order_id.clone(), at: now, detail })
    };
    let Some(reservation) = state else { return refuse("is unknown") };
    match reservation.status {
        ReservationStatus::Reserved => {
            let version = reservation.version + 1;
            let order_id = command.order_id.clone();
            Decision::applied(StockCommitted { order_id, version, at: now }, Vec::new())
        }
        ReservationStatus::Committed => Decision::repeated(reservation.last_event()),
        ReservationStatus::Rejected => refuse("was rejected"),
        ReservationStatus::Released => refuse("is released"),
    }
}

fn release(state: Option<&Reservation>, command: &ReleaseStock, now: Time) -> Decision<InventoryEvent> {
    let order_id = command.order_id.clone();
    let Some(reservation) = state else {
        return Decision::applied(StockReleased { order_id, version: 1, at: now }, Vec::new());
    };
    match reservation.status {
        ReservationStatus::Reserved => {
            let version = reservation.version + 1;
            Decision::applied(StockReleased { order_id, version, at: now }, Vec::new())
        }
        // Rejected: there is nothing to release. Committed: it is too late. Either way the recorded outcome says so.
        ReservationStatus::Rejected | ReservationStatus::Committed | ReservationStatus::Released => {
            Decision::repeated(reservation.last_event())
        }
    }
}

impl Reservation {
    /// The outcome of the reservation, as it was first said.
    fn first_event(&self) -> InventoryEvent {
        let (order_id, at) = (self.order_id.clone(), self.decided_at);
        match (self.status, self.version) {
            (ReservationStatus::Rejected, _) => {
                StockRejected { order_id, version: 1, at, shortages: self.shortages.clone() }.into()
            }
            (ReservationStatus::Released, 1) => StockReleased { order_id, version: 1, at }.into(),
            (ReservationStatus::Reserved | ReservationStatus::Committed | ReservationStatus::Released, _) => {
                StockReserved { order_id, version: 1, at, lines: self.lines.clone() }.into()
            }
        }
    }

    /// What was said when it was settled, or, until then, first.
    fn last_event(&self) -> InventoryEvent {
        // Returns come after it, and count further.
        let (order_id, version, at) = (self.order_id.clone(), self.version.min(SETTLED_VERSION), self.changed_at);
        match self.status {
            ReservationStatus::Reserved | ReservationStatus::Rejected => self.first_event(),
            ReservationStatus::Committed => StockCommitted { order_id, version, at }.into(),
            ReservationStatus::Released => StockReleased { order_id, version, at }.into(),
        }
    }

    fn begun(order_id: &OrderId, at: Time, status: ReservationStatus) -> Self {
        let order_id = order_id.clone();
        Reservation {
            order_id,
            version: 1,
            status,
            lines: vec![],
            shortages: vec![],
            decided_at: at,
            changed_at: at,
            returns: vec![],
        }
    }

    fn settled(self, status: ReservationStatus, at: Time) -> Self {
        Reservation { version: self.version + 1, status, changed_at: at, ..self }
    }
}

/// The version that settles a reservation.
const SETTLED_VERSION: i64 = 2;

/// The reservation after the event, and what the event adds to levels. A repeated event (its version is not above the
/// state's) and `StockCommitRefused` change nothing.
///
/// # Errors
/// Versions are missing, the event belongs to another order, or what it says cannot be of such a reservation.
pub fn evolve(state: Option<Reservation>, event: &InventoryEvent) -> Result<Evolved, Inconsistent> {
    let Some(event_version) = event.version() else {
        return Ok(Evolved { reservation: state, changes: Vec::new() });
    };
    let transition = Transition {
        aggregate: "reservation",
        id: event.key().as_str(),
        state: state.as_ref().map(|reservation| (reservation.order_id.as_str(), reservation.version)),
        event: event.name(),
        event_version,
    };
    if transition.judge()? == Follows::Old {
        return Ok(Evolved { reservation: state, changes: Vec::new() });
    }
    let status = state.as_ref().map(|reservation| reservation.status);
    if !may_follow(status, event) {
        let stage = status.map_or("none", ReservationStatus::as_str);
        return Err(transition.contradicts(Contradiction::Impossible(stage)));
    }
    Ok(apply(state, event))
}

fn may_follow(status: Option<ReservationStatus>, event: &InventoryEvent) -> bool {
    match event {
        InventoryEvent::StockReserved(_) | InventoryEvent::StockRejected(_) => status.is_none(),
        InventoryEvent::StockCommitted(_) => status == Some(ReservationStatus::Reserved),
        InventoryEvent::StockReleased(_) => matches!(status, None | Some(ReservationStatus::Reserved)),
        InventoryEvent::StockReturned(_) => status == Some(ReservationStatus::Committed),
        InventoryEvent::StockCommitRefused(_) | InventoryEvent::StockReturnRefused(_) => true,
    }
}

fn apply(state: Option<Reservation>, event: &InventoryEvent) -> Evolved {
    let (order_id, at) = (event.key(), event.at());
    let begun = |status| Reservation::begun(order_id, at, status);
    let unchanged = |reservation| Evolved { reservation: Some(reservation), changes: Vec::new() };
    match event {
        InventoryEvent::StockReserved(event) => Evolved {
            changes: changes(&event.lines, |pieces| (pieces, 0)),
            reservation: Some(Reservation { lines: event.lines.clone(), ..begun(ReservationStatus::Reserved) }),
        },
        InventoryEvent::StockRejected(event) => {
            unchanged(Reservation { shortages: event.shortages.clone(), ..begun(ReservationStatus::Rejected) })
        }
        InventoryEvent::StockCommitted(_) => match state {
            Some(reservation) => Evolved {
                changes: changes(&reservation.lines, |pieces| (pieces.saturating_neg(), pieces)),
                reservation: Some(reservation.settled(ReservationStatus::Committed, at)),
            },
            None => Evolved { reservation: None, changes: Vec::new() },
        },
        InventoryEvent::StockReleased(_) => match state {
            Some(reservation) => Evolved {
                changes: changes(&reservation.lines, |pieces| (pieces.saturating_neg(), 0)),
                reservation: Some(reservation.settled(ReservationStatus::Released, at)),
            },
            None => unchanged(begun(ReservationStatus::Released)),
        },
        InventoryEvent::StockReturned(event) => returned::apply(state, event),
        InventoryEvent::StockCommitRefused(_) | InventoryEvent::StockReturnRefused(_) => {
            Evolved { reservation: state, changes: Vec::new() }
        }
    }
}

fn changes(lines: &[StockLine], of: impl Fn(i64) -> (i64, i64)) -> Vec<LevelChange> {
    let change = |line: &StockLine| {
        let (reserved, shipped) = of(line.quantity);
        LevelChange { reserved, shipped, ..LevelChange::none(line.sku.clone()) }
    };
    lines.iter().map(change).collect()
}
