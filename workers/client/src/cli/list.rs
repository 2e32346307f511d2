//! `orders list` and `orders stuck list`: which orders stand where, page by page from the order service's tables; over HTTP from
//! the read model, all that match at once, in the same order.
//!
//! Read with any role that may select; the ids alone feed a verb: `orders list --state ready_to_ship --ids | orders ship -`.

use clap::{Args, ValueEnum};
use grammar::{DatabaseOptions, Table, harmless, terminal_width};
use listing::{Cursor, Only, OrderFilter, OrderList};
use outbox::ConnectionString;
use schemas::{CustomerId, ServiceName, Sku, Time};
use serde_json::{Value, json};

mod over_http;
mod row;

use super::output::{Failure, spinner};
use super::way::Way;
use super::{End, Session};
use crate::HttpDoor;

use self::row::Row;

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
    let (listing, filter) = (&options.listing, options.filter(now));
    // One more than are shown tells whether there are more.
    let mut page = match &session.way {
        Way::Kafka(_) => of_tables(session, listing, filter, now).await?,
        Way::Http(door) => of_api(door, listing, filter, now).await?,
    };
    let is_more = page.len() > listing.limit();
    page.truncate(listing.limit());
    tell(session, listing, &page, now)?;
    if let Some(last) = page.last().filter(|_| is_more) {
        eprintln!("there are more: --after '{}'", harmless(&last.cursor.to_string()));
    }
    Ok(End::DONE)
}

async fn of_tables(session: &Session, listing: &Listing, filter: OrderFilter, now: Time) -> Result<Vec<Row>, Failure> {
    let (database, after) = (database(&listing.database)?, listing.after.clone());
    let mut list = OrderList::open(&database, &listing.schema, filter, after, now, session.patience).await?;
    let bar = spinner("{spinner} {pos} orders found  {elapsed}");
    let mut page = Vec::new();
    while page.len() <= listing.limit() {
        let Some(listed) = list.next().await? else { break };
        page.push(Row::from(listed));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(page)
}

async fn of_api(door: &HttpDoor, listing: &Listing, filter: OrderFilter, now: Time) -> Result<Vec<Row>, Failure> {
    let mut found = over_http::matching(door, &filter, now).await?;
    found.retain(|row| listing.after.as_ref().is_none_or(|after| row.is_behind(after)));
    found.truncate(listing.limit() + 1);
    Ok(found)
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

fn tell(session: &Session, listing: &Listing, page: &[Row], now: Time) -> Result<(), Failure> {
    if listing.ids {
        for row in page {
            let id = &row.order_id;
            session.output.say(|| json!({ "order_id": id }), || id.to_string())?;
        }
        return Ok(());
    }
    if session.output.json {
        return page.iter().try_for_each(|row| session.output.say(|| row.json(), String::new));
    }
    let mut table = Table::new(["order", "since", "until", "customer", "total", "state"]);
    page.iter().for_each(|row| table.row(row.texts(now)));
    session.output.say(|| Value::Null, || table.text(terminal_width()))
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
}
