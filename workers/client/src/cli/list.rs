//! `orders list` and `orders stuck list`: which orders stand where, page by page from the order service's tables.
//!
//! Read with any role that may select; the ids alone feed a verb: `orders list --state ready_to_ship --ids | orders ship -`.

use clap::{Args, ValueEnum};
use domain::saga::Order;
use grammar::{DatabaseOptions, Table, harmless, money, terminal_width};
use listing::{Cursor, Listed, Only, OrderFilter, OrderList};
use outbox::ConnectionString;
use schemas::{CustomerId, ServiceName, Sku, Time};
use serde_json::{Value, json};

use super::output::{Failure, spinner};
use super::{End, Session};
use crate::stage_in_words;

/// Orders that a page for people has.
const PAGE: usize = 100;

/// Orders that a list of ids has: as many as a verb takes at once.
const IDS: usize = 100_000;

/// Of `list`.
#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Only orders of this state; may be repeated. Without it, all that are neither completed nor cancelled.
    #[arg(long = "state", value_enum, value_name = "STATE")]
    states: Vec<State>,

    /// Completed and cancelled orders too.
    #[arg(long)]
    all: bool,

    /// Only orders that somebody holds, those first whose hold ends first.
    #[arg(long, conflicts_with_all = ["overdue", "all"])]
    held: bool,

    /// Only orders that should have been shipped by now.
    #[arg(long, conflicts_with = "all")]
    overdue: bool,

    #[command(flatten)]
    pub(super) listing: Listing,
}

/// What `list` and `stuck list` have alike.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// Only orders to which nothing has happened for so long, such as 90s, 15m, 2h or 3d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<i64>,

    /// Only this customer's.
    #[arg(long)]
    customer: Option<CustomerId>,

    /// Only orders that have a line of it.
    #[arg(long)]
    sku: Option<Sku>,

    /// At most so many; else 100, or with --ids 100000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Go on behind this place: what the list before it ended with.
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,

    /// Print the ids alone, one on each line, for another verb.
    #[arg(long)]
    ids: bool,

    /// The order service's schema.
    #[arg(long, value_name = "NAME", default_value = ServiceName::Order.default_schema())]
    schema: String,

    #[command(flatten)]
    database: DatabaseOptions,
}

/// Stages of an order, by the names that the tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum State {
    Placed,
    StockReserved,
    Authorized,
    Confirmed,
    PaymentCaptured,
    ReadyToShip,
    Shipped,
    StockCommitted,
    Completed,
    Cancelling,
    Cancelled,
    Stuck,
}

/// `90s`, `15m`, `2h`, `3d`, in milliseconds.
fn age(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no age; give one such as 90s, 15m, 2h or 3d");
    let unit_ms = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        Some(_) | None => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit_ms).filter(|ms| *ms >= 0).ok_or_else(wrong)
}

impl ListOptions {
    /// All that are stuck.
    pub(super) fn stuck(listing: Listing) -> Self {
        ListOptions { states: vec![State::Stuck], all: false, held: false, overdue: false, listing }
    }

    fn filter(&self, now: Time) -> OrderFilter {
        let name = |state: &State| state.to_possible_value().map(|value| value.get_name().to_owned());
        OrderFilter {
            stages: self.states.iter().filter_map(name).collect(),
            with_finished: self.all,
            unchanged_since: self.listing.older_than.map(|ms| now.plus_ms(-ms)),
            customer: self.listing.customer.clone(),
            sku: self.listing.sku.clone(),
            only: match (self.held, self.overdue) {
                (true, _) => Some(Only::Held),
                (false, true) => Some(Only::Overdue),
                (false, false) => None,
            },
        }
    }
}

impl Listing {
    fn limit(&self) -> usize {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        limit.unwrap_or(if self.ids { IDS } else { PAGE })
    }
}

pub(super) async fn run(session: &Session, options: ListOptions) -> Result<End, Failure> {
    let now: Time = jiff::Timestamp::now().into();
    let listing = &options.listing;
    let (database, after) = (database(&listing.database)?, listing.after.clone());
    let filter = options.filter(now);
    let mut list = OrderList::open(&database, &listing.schema, filter, after, now, session.patience).await?;
    let bar = spinner("{spinner} {pos} orders found  {elapsed}");
    let mut page: Vec<Listed> = Vec::new();
    // One more than are shown tells whether there are more.
    while page.len() <= listing.limit() {
        let Some(listed) = list.next().await? else { break };
        page.push(listed);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let is_more = page.len() > listing.limit();
    page.truncate(listing.limit());
    tell(session, listing, &page, now)?;
    if let Some(last) = page.last().filter(|_| is_more) {
        eprintln!("there are more: --after '{}'", harmless(&last.cursor.to_string()));
    }
    Ok(End::DONE)
}

/// With the password from wherever it was given; one connection, and not through a pool.
fn database(options: &DatabaseOptions) -> Result<outbox::Database, Failure> {
    let words = |error: String| Failure::Words(format!("the database cannot be used: {error}"));
    let mut connection = ConnectionString::parse(options.url()?.expose()).map_err(|error| words(error.to_string()))?;
    if let Some(password) = options.password()? {
        connection = connection.with_password(password.expose());
    }
    let tls = connection.tls().map_err(|error| words(error.to_string()))?;
    Ok(outbox::Database::new(connection.config().clone(), tls))
}

fn tell(session: &Session, listing: &Listing, page: &[Listed], now: Time) -> Result<(), Failure> {
    if listing.ids {
        for listed in page {
            let id = &listed.order.order_id;
            session.output.say(|| json!({ "order_id": id }), || id.to_string())?;
        }
        return Ok(());
    }
    if session.output.json {
        return page.iter().try_for_each(|listed| session.output.say(|| row_json(listed), String::new));
    }
    let mut table = Table::new(["order", "since", "until", "customer", "total", "state"]);
    page.iter().for_each(|listed| table.row(row(&listed.order, now)));
    session.output.say(|| Value::Null, || table.text(terminal_width()))
}

/// Until when it waits, whatever happens then.
fn until(order: &Order) -> Option<Time> {
    order.deadline().or(order.ship_by)
}

fn row_json(listed: &Listed) -> Value {
    let Listed { order, cursor } = listed;
    json!({
        "order_id": order.order_id,
        "state": order.stage.as_str(),
        "in_words": stage_in_words(order),
        "stuck_at": order.stuck_at().map(domain::saga::Step::as_str),
        "hold": order.hold().map(|hold| json!({ "reason_code": hold.reason_code, "until": hold.until.to_string() })),
        "since": order.changed_at.to_string(),
        "until": until(order).map(|until| until.to_string()),
        "accepted_at": order.accepted_at.to_string(),
        "customer_id": order.customer_id,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "cursor": cursor.to_string(),
    })
}

/// What is long comes last: a terminal may be too narrow for it.
fn row(order: &Order, now: Time) -> [String; 6] {
    [
        harmless(order.order_id.as_str()),
        in_short(now.as_micros().saturating_sub(order.changed_at.as_micros())),
        until(order).map_or_else(String::new, |until| until.to_string()),
        harmless(order.customer_id.as_str()),
        money(order.total_minor, &order.currency),
        harmless(&stage_in_words(order)),
    ]
}

/// How long ago, in the two largest units.
fn in_short(micros: i64) -> String {
    let seconds = micros.max(0) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::story::{Story, on_command, place_order};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        list: ListOptions,
    }

    fn parse(words: &str) -> Result<ListOptions, String> {
        let line = Line::try_parse_from(std::iter::once("list").chain(words.split_whitespace()));
        line.map(|line| line.list).map_err(|error| error.to_string())
    }

    #[test]
    fn filters_are_what_the_words_say() {
        let now = Time::from_micros(7_200_000_000);
        let words = "--state stuck --state ready_to_ship --older-than 2h --customer 9 --sku a";
        let expected = OrderFilter {
            stages: vec!["stuck".to_owned(), "ready_to_ship".to_owned()],
            unchanged_since: Some(Time::from_micros(0)),
            customer: Some(CustomerId::new("9").unwrap()),
            sku: Some(Sku::new("a").unwrap()),
            ..OrderFilter::default()
        };
        assert_eq!(parse(words).unwrap().filter(now), expected);
        assert_eq!(parse("--held").unwrap().filter(now).only, Some(Only::Held));
        assert_eq!(parse("--overdue").unwrap().filter(now).only, Some(Only::Overdue));
        assert!(parse("--all").unwrap().filter(now).with_finished);
        let stuck = ListOptions::stuck(parse("").unwrap().listing).filter(now);
        assert_eq!(stuck, OrderFilter { stages: vec!["stuck".to_owned()], ..OrderFilter::default() });
    }

    #[test]
    fn a_page_for_people_is_short_and_one_of_ids_is_what_a_verb_takes() {
        let limit = |words: &str| parse(words).unwrap().listing.limit();
        assert_eq!([limit(""), limit("--ids"), limit("--ids --limit 5")], [100, 100_000, 5]);
    }

    #[test]
    fn what_does_not_go_together_or_is_none_is_wrong_usage() {
        for words in
            ["--held --overdue", "--held --all", "--state lost", "--older-than 2", "--older-than -2h", "--after x"]
        {
            assert!(parse(words).is_err(), "{words}");
        }
        assert!(parse("--limit 0").is_err());
    }

    /// A stage of the core that is none here could not be asked for.
    #[test]
    fn every_stage_that_an_order_shows_can_be_asked_for() {
        for story in [Story::of(place_order()), Story::paid(on_command()), Story::completed()] {
            let stage = story.order.unwrap().stage;
            assert!(parse(&format!("--state {}", stage.as_str())).is_ok(), "{stage:?}");
        }
        assert_eq!(State::value_variants().len(), 12);
    }

    #[test]
    fn a_row_says_since_when_and_until_when() {
        let order = Story::paid(on_command()).order.unwrap();
        let told = row(&order, Time::from_micros(4_000_000 + 93_784_000_000));
        assert_eq!(told, ["o-1", "1d 2h", "1970-01-04T00:00:04.000000Z", "900", "USD 1.70", "ready to ship"]);
        let shorts = [0, 59, 60, 3_661].map(|seconds| in_short(seconds * 1_000_000));
        assert_eq!(shorts, ["0s", "59s", "1m 0s", "1h 1m"]);
    }
}
