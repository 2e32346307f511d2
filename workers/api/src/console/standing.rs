//! What stands, out of a sample: each thing with why it does, and what to do about it. What is worse comes first.
//!
//! Deliberately absent: deciding whether a number is bad by what it was before. Whoever wants that has `/metrics` and alerts.

use grammar::{counted, money};
use maud::{Markup, html};
use schemas::ServiceName;

use super::counts::SCARCE;
use super::live::Sample;
use super::words::{age, number};
use crate::daemons::Heard;
use crate::http::escaped;
use workers::status::Status;

/// So many messages that nobody has taken are far behind: some seconds of a busy day.
const FAR_BEHIND: i64 = 5_000;

/// So many orders are named whose money came back.
const OWED_TOLD: usize = 10;

/// Where stuck orders are.
const STUCK: &str = "/console/stuck";

/// Something that stands.
#[derive(Debug, Clone)]
pub(super) struct Stands {
    /// Whether somebody has to act: else it is worth a look.
    pub(super) is_bad: bool,
    /// What.
    pub(super) what: String,
    /// Why, in whose words it is.
    pub(super) why: String,
    /// What to do.
    pub(super) act: Markup,
}

fn bad(what: impl Into<String>, why: impl Into<String>, act: Markup) -> Stands {
    Stands { is_bad: true, what: what.into(), why: why.into(), act }
}

fn warn(what: impl Into<String>, why: impl Into<String>, act: Markup) -> Stands {
    Stands { is_bad: false, ..bad(what, why, act) }
}

/// All that stands, what is bad first.
pub(super) fn standing(sample: &Sample) -> Vec<Stands> {
    let mut all = Vec::new();
    orders(sample, &mut all);
    owed(sample, &mut all);
    for heard in &sample.daemons {
        daemon(sample, heard, &mut all);
    }
    for service in ServiceName::ALL {
        relay(sample, service, &mut all);
    }
    behind(sample, &mut all);
    stock(sample, &mut all);
    all.sort_by_key(|stands| !stands.is_bad);
    all
}

fn orders(sample: &Sample, all: &mut Vec<Stands>) {
    let Some(open) = &sample.open else {
        let act = html! { "See whether Postgres is there, and what " code { "/readyz" } " of order-api says." };
        return all.push(bad("The read model does not answer", "what stands below is older", act));
    };
    if let Some(stuck) = open.iter().find(|open| open.stage == "stuck") {
        let what = match stuck.orders {
            1 => "1 order is stuck".to_owned(),
            orders => format!("{} orders are stuck", number(orders)),
        };
        let why = format!("the oldest was accepted {} ago", age(stuck.oldest, sample.at));
        let act = html! { a href=(STUCK) { "Look at them" } ", and have their step tried again, or end them." };
        all.push(bad(what, why, act));
    }
}

/// What was given back for an order that was undone, and came back: nothing gives it back by itself.
fn owed(sample: &Sample, all: &mut Vec<Stands>) {
    let Some(owed) = sample.known.owed.as_ref().map(|counted| &counted.what) else { return };
    let Some(oldest) = owed.first() else { return };
    let what = format!("Money to give back by hand: {} undone", counted(owed.len() as u64, "order"));
    let why = format!("their refunds came back from the provider, the oldest {} ago", age(oldest.since, sample.at));
    let act = html! {
        "Find another way to each customer: "
        @for (owed, index) in owed.iter().zip(0..OWED_TOLD) {
            @if index > 0 { ", " }
            a href={ "/console/orders/" (escaped(&owed.order_id)) } { (owed.order_id) } " (" (money(owed.amount_minor, &owed.currency)) ")"
        }
        @if owed.len() > OWED_TOLD { ", and " (owed.len() - OWED_TOLD) " more" }
        "."
    };
    all.push(bad(what, why, act));
}

fn daemon(sample: &Sample, heard: &Heard, all: &mut Vec<Stands>) {
    let name = &heard.daemon.name;
    let status = match &heard.answer {
        Ok(status) => status,
        // Nobody has asked it yet.
        Err(_) if heard.at.is_none() => return,
        Err(why) => {
            let since = heard.since.map_or(String::new(), |since| format!(" for {}", age(since.into(), sample.at)));
            let act = html! { "See whether it runs, and what it has logged last; start it again. What it owned goes to the others." };
            return all.push(bad(format!("{name} has not answered{since}"), why, act));
        }
    };
    let reasons = other_reasons(status);
    if !status.ready && !reasons.is_empty() {
        let act = html! { "The runbook has what to do about each reason (docs/runbook.md)." };
        all.push(bad(format!("{name} is not ready"), reasons.join("; "), act));
    }
    feeds(sample, name, status, all);
    // What is parked is told below, with what to do.
    for note in status.notes.iter().filter(|note| status.parked.keys == 0 || !note.contains("are parked")) {
        all.push(warn(
            format!("{name} has something to say"),
            note,
            html! { "The runbook has more (docs/runbook.md)." },
        ));
    }
    if status.parked.keys > 0 {
        let parked = &status.parked;
        let what = format!("{name}: {} messages of {} keys are parked", parked.messages, parked.keys);
        let keys: Vec<&str> = parked.first.iter().map(|key| key.key.as_str()).take(3).collect();
        let why = format!("the oldest for {} s; {}", number(parked.oldest_s), keys.join(", "));
        let act = html! { "Mend the cause, then " a href=(STUCK) { "have them tried again" } "." };
        all.push(bad(what, why, act));
    }
}

/// Why it is not ready, but for what is told below with what to do: partitions that are held.
fn other_reasons(status: &Status) -> Vec<&str> {
    let are_told = status.feeds.iter().any(|feed| feed.held.is_some());
    let reasons = status.reasons.iter().map(String::as_str);
    reasons.filter(|reason| !(are_told && reason.starts_with("held: "))).collect()
}

fn feeds(sample: &Sample, name: &str, status: &Status, all: &mut Vec<Stands>) {
    for feed in &status.feeds {
        let Some(held) = &feed.held else { continue };
        let what = format!(
            "{name} holds {}[{}] at offset {} for {}",
            feed.topic,
            feed.partition,
            held.offset,
            age(held.since.into(), sample.at)
        );
        let act = html! { "Nothing behind it is taken. " a href=(STUCK) { "See what it is" } ", and the runbook (docs/runbook.md)." };
        all.push(bad(what, &held.why, act));
    }
}

/// A relay leads, or nothing of its service is published.
fn relay(sample: &Sample, service: ServiceName, all: &mut Vec<Stands>) {
    let of_service =
        || sample.daemons.iter().filter_map(|heard| heard.answer.as_ref().ok().map(|status| (heard, status)));
    let relays: Vec<_> = of_service()
        .filter(|(_, status)| status.service == service.as_str())
        .filter_map(|(heard, status)| status.relay.as_ref().map(|relay| (heard, relay)))
        .collect();
    if !relays.is_empty() && !relays.iter().any(|(_, relay)| relay.role == "leading") {
        let roles: Vec<String> =
            relays.iter().map(|(heard, relay)| format!("{} is {}", heard.daemon.name, relay.role)).collect();
        let act = html! { "Within a minute one of them leads; else see whether they reach Postgres." };
        all.push(bad(format!("No relay of {service} leads: nothing of it is published"), roles.join(", "), act));
    }
    for (heard, relay) in relays {
        let name = &heard.daemon.name;
        for held in &relay.held {
            let what = format!("{name} does not publish {}[{}]", held.topic, held.partition);
            all.push(bad(what, &held.why, html! { "The runbook has what to do (docs/runbook.md)." }));
        }
        if let Some(error) = &relay.last_error {
            let act = html! { "It tries again by itself. Where it stays: see whether the brokers are there." };
            all.push(warn(format!("{name} could not publish"), error, act));
        }
    }
}

fn behind(sample: &Sample, all: &mut Vec<Stands>) {
    if let Some(waiting) = sample.commands_waiting.filter(|waiting| *waiting > FAR_BEHIND) {
        let act = html! { "Start more instances of the order service, up to one for each partition." };
        all.push(warn(
            format!("{} commands wait for the order service", number(waiting)),
            "it is slower than what comes in, or stands",
            act,
        ));
    }
    if let Some(behind) = sample.view_behind.filter(|behind| *behind > FAR_BEHIND) {
        let what = format!("The read model is {} events behind", number(behind));
        let act = html! { "What the pages show is as old as that. It catches up by itself; more instances of order-api are faster." };
        all.push(warn(what, "it was off, or is made again", act));
    }
}

fn stock(sample: &Sample, all: &mut Vec<Stands>) {
    let Some(scarce) = sample.known.scarce.as_ref().filter(|scarce| !scarce.what.is_empty()) else { return };
    let why = format!("{SCARCE} pieces or fewer are left; counted {} ago", age(scarce.at, sample.at));
    let act = html! {
        @for ((sku, level), index) in scarce.what.iter().zip(0..) {
            @if index > 0 { ", " }
            a href={ "/console/stock/" (escaped(sku.as_str())) } { (sku) } " (" (number(level.available())) ")"
        }
    };
    all.push(warn("Stock runs out", why, act));
}

#[cfg(test)]
mod tests {

    use domain::stock::Level;
    use jiff::Timestamp;
    use schemas::{Sku, Time};

    use super::*;
    use crate::console::counts::{Counted, Known};
    use crate::daemons::addresses;
    use crate::pace::Told;
    use crate::view::Open;

    fn nothing() -> Sample {
        Sample {
            at: Time::from_micros(100_000_000),
            told: Told { placed: 0, confirmed: 0, p50_us: None, p99_us: None },
            open: Some(Vec::new()),
            commands_waiting: Some(0),
            view_behind: None,
            daemons: Vec::new(),
            known: Known::default(),
        }
    }

    fn documented() -> Status {
        let page = include_str!("../../../../docs/status.md");
        serde_json::from_str(page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap()).unwrap()
    }

    fn heard(name: &str, answer: Result<Status, String>) -> Heard {
        let daemon = addresses(&format!("{name}=a:1")).unwrap().remove(0);
        let at = Timestamp::from_second(40).ok();
        Heard { daemon, at, since: at, answer: answer.map(Box::new) }
    }

    fn told(sample: &Sample) -> Vec<String> {
        let line = |stands: Stands| {
            let tone = if stands.is_bad { "bad" } else { "warn" };
            format!("{tone}: {} ({}) {}", stands.what, stands.why, stands.act.into_string())
        };
        standing(sample).into_iter().map(line).collect()
    }

    #[test]
    fn nothing_stands_where_nothing_does_and_a_view_that_is_away_is_told() {
        assert_eq!(told(&nothing()), [""; 0]);
        let found = told(&Sample { open: None, ..nothing() });
        assert!(found.len() == 1 && found[0].starts_with("bad: The read model does not answer"), "{found:?}");
    }

    #[test]
    fn each_daemon_s_trouble_is_told_with_its_reason() {
        let mut status = documented();
        status.ready = true;
        let daemons = vec![heard("pay", Ok(status)), heard("ship", Err("connection refused".to_owned()))];
        let found = told(&Sample { daemons, ..nothing() });
        let has = |words: &[&str]| {
            assert!(found.iter().any(|line| words.iter().all(|word| line.contains(word))), "{words:?} {found:#?}")
        };
        has(&["bad: pay holds stock.commands.v1[0] at offset 2", "no more may be"]);
        has(&["bad: ship has not answered for 1 min 0 s (connection refused)", "start it again"]);
        has(&["bad: pay: ", "are parked"]);
        assert_eq!(
            found.iter().filter(|line| line.contains("are parked")).count(),
            2,
            "the held partition names it too: {found:#?}"
        );
    }

    #[test]
    fn money_that_came_back_is_told_with_whose_it_is() {
        let owed = |number: i64| crate::view::Owed {
            order_id: format!("<o>-{number}"),
            currency: "EUR".to_owned(),
            amount_minor: 500,
            since: Time::from_micros(number * 1_000_000),
        };
        let what = (0..12).map(owed).collect();
        let known = Known { owed: Some(Counted { what, at: Time::from_micros(0) }), ..Known::default() };
        let found = told(&Sample { known, ..nothing() });
        assert!(
            found[0].starts_with("bad: Money to give back by hand: 12 orders undone (their refunds came back"),
            "{found:#?}"
        );
        assert!(found[0].contains("the oldest 1 min 40 s ago") && found[0].contains("and 2 more"), "{found:#?}");
        assert!(found[0].contains("/console/orders/%3Co%3E-0\">&lt;o&gt;-0</a> (EUR 5.00)"), "{found:#?}");
    }

    #[test]
    fn a_partition_that_is_held_is_told_once_and_what_else_is_wrong_too() {
        let mut status = documented();
        (status.ready, status.notes, status.parked.keys) = (false, Vec::new(), 0);
        status.reasons = vec!["held: stock.commands.v1[0] at offset 2: no more may be parked".to_owned()];
        let found = told(&Sample { daemons: vec![heard("pay", Ok(status.clone()))], ..nothing() });
        assert_eq!(found.iter().filter(|line| line.contains("stock.commands.v1[0]")).count(), 1, "{found:#?}");
        assert!(found[0].starts_with("bad: pay holds stock.commands.v1[0] at offset 2"), "{found:#?}");
        status.reasons.push("database: it is away".to_owned());
        let found = told(&Sample { daemons: vec![heard("pay", Ok(status.clone()))], ..nothing() });
        assert!(
            found.iter().any(|line| line.starts_with("bad: pay is not ready (database: it is away)")),
            "{found:#?}"
        );
        // Of a held partition that it does not name, the reason is all there is.
        status.feeds.clear();
        let found = told(&Sample { daemons: vec![heard("pay", Ok(status))], ..nothing() });
        assert!(found.iter().any(|line| line.contains("is not ready (held: ")), "{found:#?}");
    }

    #[test]
    fn a_service_whose_relays_do_not_lead_is_told_and_its_last_error_is_a_warning() {
        let mut status = documented();
        status.service = "payment".to_owned();
        status.feeds.clear();
        status.parked.keys = 0;
        (status.ready, status.notes) = (true, Vec::new());
        let relay = status.relay.as_mut().unwrap();
        (relay.role, relay.held, relay.last_error) = ("standby".to_owned(), Vec::new(), Some("<away>".to_owned()));
        let mut sample = Sample { daemons: vec![heard("pay", Ok(status.clone()))], ..nothing() };
        let found = told(&sample);
        assert!(
            found[0].starts_with("bad: No relay of payment leads") && found[0].contains("pay is standby"),
            "{found:#?}"
        );
        assert!(found[1].starts_with("warn: pay could not publish (<away>)"), "{found:#?}");
        status.relay.as_mut().unwrap().role = "leading".to_owned();
        sample.daemons.push(heard("pay-1", Ok(status)));
        assert!(!told(&sample).iter().any(|line| line.contains("No relay")));
    }

    #[test]
    fn stuck_orders_what_is_far_behind_and_scarce_stock_are_told_the_worst_first() {
        let sku = Sku::new("a/<b>").unwrap();
        let level = Level { received: 3, reserved: 1, ..Level::default() };
        let at = Time::from_micros(90_000_000);
        let known = Known { scarce: Some(Counted { what: vec![(sku, level)], at }), ..Known::default() };
        let open = vec![Open { stage: "stuck".to_owned(), orders: 2, oldest: Time::from_micros(0) }];
        let sample =
            Sample { open: Some(open), view_behind: Some(5_001), commands_waiting: Some(5_000), known, ..nothing() };
        let found = told(&sample);
        assert!(found[0].starts_with("bad: 2 orders are stuck (the oldest was accepted 1 min 40 s ago)"), "{found:#?}");
        assert!(found[1].starts_with("warn: The read model is 5,001 events behind"), "{found:#?}");
        assert!(found[2].contains("href=\"/console/stock/a%2F%3Cb%3E\">a/&lt;b&gt;</a> (2)"), "{found:#?}");
        assert_eq!(found.len(), 3);
    }
}
