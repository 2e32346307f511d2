//! What the daemons hold and have parked, by their own word, with the lines of the command line that free it.

use maud::{Markup, html};
use workers::status::{HeldLaneStatus, RelayStatus, Status};

use crate::console::{harmless, words};
use crate::daemons::Heard;

/// All sections.
pub(super) fn sections(heard: &[Heard]) -> Markup {
    let told: Vec<(&str, &Status)> =
        heard.iter().filter_map(|one| Some((one.daemon.name.as_str(), one.answer.as_deref().ok()?))).collect();
    html! {
        (silent(heard))
        @if !told.is_empty() {
            h2 { "Held partitions" }
            p.hint { "The next record of a held partition can be neither taken nor skipped; all behind it waits." }
            (feeds(&told))
            h2 { "Held lanes" }
            p.hint { "A relay does not publish a held lane; what its service says there waits in its outbox." }
            (lanes(&told))
            h2 { "Parked keys" }
            p.hint { "The messages of a parked key wait in their order because the first of them cannot be taken; it is tried again by itself, with growing pauses." }
            (parked(&told))
        }
    }
}

/// The daemons that say nothing: what they hold is not known.
fn silent(heard: &[Heard]) -> Markup {
    html! {
        @if heard.is_empty() {
            h2 { "Held and parked" }
            p.empty { "This program was told of no daemon, so what they hold is not known. Start it with " code { "--daemons order=HOST:PORT,…" } "." }
        }
        @for one in heard {
            @if let Err(why) = &one.answer {
                div.notice.warn {
                    p {
                        strong { (harmless::line(&one.daemon.name)) " does not answer" }
                        @if let Some(since) = one.since { " since " (words::time(since)) } ": what it holds is not known."
                    }
                    p.free { (harmless::line(why)) }
                }
            }
        }
    }
}

/// A line to copy, and what it is for.
struct Way {
    when: &'static str,
    line: String,
}

fn ways(ways: &[Way]) -> Markup {
    html! { @for way in ways { p.hint { (way.when) } pre { (way.line) } } }
}

fn feeds(told: &[(&str, &Status)]) -> Markup {
    let held: Vec<_> = told
        .iter()
        .flat_map(|(name, status)| status.feeds.iter().map(move |feed| (name, status, feed)))
        .filter_map(|(name, status, feed)| Some((name, status, feed, feed.held.as_ref()?)))
        .collect();
    html! {
        @if held.is_empty() { p.empty { "No partition is held." } }
        div.cards {
            @for (name, status, feed, held) in held {
                section.card {
                    h3.id { (harmless::line(&feed.topic)) "[" (feed.partition) "]@" (held.offset) }
                    p.free { (harmless::line(&held.why)) }
                    p { "Held by " (harmless::line(name)) " since " (words::time(held.since)) "." }
                    (ways(&ways_out(status, &feed.topic, feed.partition, held.offset)))
                }
            }
        }
    }
}

fn ways_out(status: &Status, topic: &str, partition: i32, offset: i64) -> Vec<Way> {
    let program = format!("{}-worker", status.service);
    let accept =
        |offset: i64| format!("{program} accept-gap --topic {topic} --partition {partition} --offset {offset}");
    let mut ways = vec![
        Way { when: "Messages before it will never come: go on with it.", line: accept(offset) },
        Way {
            when: "It never can be taken: go on behind it. What it says never happens here.",
            line: accept(offset + 1),
        },
        Way { when: "The topic was made anew: from its beginning.", line: accept(0) },
    ];
    if status.parked.keys > 0 {
        let line = format!("{program} parked list");
        ways.insert(0, Way { when: "There is no room for more parked messages: free what is parked.", line });
    }
    ways
}

fn lanes(told: &[(&str, &Status)]) -> Markup {
    let held: Vec<(&str, &Status, &RelayStatus, &HeldLaneStatus)> = told
        .iter()
        .filter_map(|(name, status)| Some((*name, *status, status.relay.as_ref()?)))
        .flat_map(|(name, status, relay)| relay.held.iter().map(move |lane| (name, status, relay, lane)))
        .collect();
    html! {
        @if held.is_empty() { p.empty { "No lane is held." } }
        div.cards {
            @for (name, status, relay, lane) in held {
                section.card {
                    h3.id { (harmless::line(&lane.topic)) "[" (lane.partition) "]" }
                    p.free { (harmless::line(&lane.why)) }
                    p { "Held by the relay of " (harmless::line(name)) ", which leads since " (words::time(relay.since)) ". It tries again by itself." }
                    (ways(&[
                        Way { when: "What keeps the outbox from working:", line: format!("{}-worker topics check", status.service) },
                        Way { when: "What table and topic lack of one another:", line: format!("outbox-relay audit --schema {}", schema(status)) },
                    ]))
                }
            }
        }
    }
}

fn schema(status: &Status) -> &'static str {
    let service = schemas::ServiceName::ALL.into_iter().find(|service| service.as_str() == status.service);
    service.map_or("SCHEMA", schemas::ServiceName::default_schema)
}

fn parked(told: &[(&str, &Status)]) -> Markup {
    let with: Vec<_> = told.iter().filter(|(_, status)| status.parked.keys > 0).collect();
    html! {
        @if with.is_empty() { p.empty { "No key is parked." } }
        @for (name, status) in with {
            @let parked = &status.parked;
            section.card {
                h3 { (harmless::line(name)) ": " (grammar::counted(parked.messages, "message")) " of " (grammar::counted(parked.keys, "key")) }
                p { "The oldest has been parked for " (parked.oldest_s) " s." }
                (keys(status))
                (ways(&[
                    Way { when: "All of them, with why:", line: format!("{}-worker parked list", status.service) },
                    Way { when: "Once the cause is mended:", line: format!("{}-worker parked retry --all", status.service) },
                    Way {
                        when: "Where it never can be taken: its messages become dead letters, and for this service never happened.",
                        line: format!("{0}-worker parked drop KEY --note 'WHY' --dry-run\n{0}-worker parked drop KEY --note 'WHY'", status.service),
                    },
                ]))
            }
        }
    }
}

fn keys(status: &Status) -> Markup {
    let parked = &status.parked;
    let more = parked.keys.saturating_sub(parked.first.len() as u64);
    html! {
        div.table {
            table {
                caption.unseen { "Parked keys, the oldest first" }
                thead { tr { @for name in ["Key", "Since (UTC)", "Messages", "Tried again", "Next (UTC)", "Cause"] { th scope="col" { (name) } } } }
                tbody {
                    @for key in &parked.first {
                        tr {
                            th.id scope="row" { (harmless::line(&key.key)) }
                            td { (words::time(key.since)) }
                            td.number { (key.messages) }
                            td.number { (key.attempts) }
                            td { (words::time(key.next_attempt)) }
                            td.free { (harmless::line(&key.cause)) }
                        }
                    }
                }
            }
        }
        @if more > 0 { p.hint { (more) " more keys are not shown." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemons::addresses;

    fn heard(answer: Result<Status, String>) -> Heard {
        let daemon = addresses("stock=a:1").unwrap().remove(0);
        Heard { daemon, at: None, since: None, answer: answer.map(Box::new) }
    }

    fn documented() -> Status {
        let page = include_str!("../../../../../docs/status.md");
        let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        serde_json::from_str(example).unwrap()
    }

    #[test]
    fn what_is_held_and_parked_is_told_with_the_lines_that_free_it() {
        let mut status = documented();
        status.parked.first[0].key = "<script>k</script>".to_owned();
        let relay = status.relay.as_mut().unwrap();
        relay.held =
            vec![HeldLaneStatus { topic: "stock.events.v1".to_owned(), partition: 3, why: "refused <i>".to_owned() }];
        let text = sections(&[heard(Ok(status))]).into_string();
        for line in [
            "stock.commands.v1[0]@2",
            "inventory-worker accept-gap --topic stock.commands.v1 --partition 0 --offset 3",
            "inventory-worker parked list",
            "inventory-worker parked retry --all",
            "stock.events.v1[3]",
            "outbox-relay audit --schema inventory",
            "2 messages of 1 key",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!text.contains("<script") && !text.contains("<i>"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_told_so() {
        let text = sections(&[heard(Err("Connection <refused>".to_owned()))]).into_string();
        assert!(text.contains("stock does not answer") && text.contains("Connection &lt;refused&gt;"), "{text}");
        assert!(!text.contains("No key is parked"), "{text}");
        assert!(sections(&[]).into_string().contains("--daemons"));
    }

    #[test]
    fn where_nothing_is_held_it_says_so() {
        let mut status = documented();
        status.feeds.clear();
        status.parked = consumer::status::ParkedStatus::default();
        let text = sections(&[heard(Ok(status))]).into_string();
        for words in ["No partition is held.", "No lane is held.", "No key is parked."] {
            assert!(text.contains(words), "{words}");
        }
    }
}
