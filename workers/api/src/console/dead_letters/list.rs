//! The list: how many there are of each topic, and which ones are meant, the newest first, a page at a time.

use std::collections::BTreeSet;

use maud::{Markup, html};
use replay_tool::dead_letters::{Filed, Listed, Spot, State};
use serde::{Deserialize, Serialize};

use super::path;
use crate::console::{harmless, words};

/// Letters of one page.
const PAGE: usize = 50;

/// Which letters are meant; what is empty is not asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::console) struct Search {
    /// Sent to this topic.
    #[serde(default)]
    topic: String,
    /// Set aside for this cause.
    #[serde(default)]
    cause: String,
    /// With this in their key.
    #[serde(default)]
    key: String,
    /// Which nobody has redriven or discarded, where it is `yes`.
    #[serde(default)]
    open: String,
    /// Behind this letter.
    #[serde(default)]
    behind: String,
    /// Of what the topics say, and not of what is kept, where it is `yes`.
    #[serde(default)]
    fresh: String,
}

impl Search {
    /// Whether the topics are to be read for it.
    pub(super) fn is_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    fn takes(&self, filed: &Filed) -> bool {
        let letter = &filed.letter;
        (self.topic.is_empty() || letter.topic.as_str() == self.topic)
            && (self.cause.is_empty() || letter.cause == self.cause)
            && (self.key.is_empty() || letter.key_in_words().contains(&self.key))
            && (self.open.is_empty() || !filed.state().is_handled())
    }

    fn link(&self) -> String {
        // Names and texts alone: there is nothing that has no such form.
        format!("/console/dead-letters?{}", serde_urlencoded::to_string(self).unwrap_or_default())
    }
}

/// A letter's place in the list: when it was set aside, in milliseconds, and where it lies.
type Place = (i64, Spot);

fn place(filed: &Filed) -> Place {
    (filed.letter.set_aside_at.map_or(0, |at| at.as_millisecond()), filed.letter.spot)
}

fn place_in_words((at, spot): &Place) -> String {
    format!("{at} {spot}")
}

fn read_place(words: &str) -> Option<Place> {
    let (at, spot) = words.split_once(' ')?;
    Some((at.parse().ok()?, spot.parse().ok()?))
}

/// The page.
pub(super) fn body(listed: &[Listed], asked: &Search) -> Markup {
    let all = listed.iter().flat_map(|listed| &listed.letters).map(|filed| &**filed);
    let mut meant: Vec<(Place, &Filed)> =
        all.filter(|filed| asked.takes(filed)).map(|filed| (place(filed), filed)).collect();
    meant.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
    let count = meant.len();
    let behind = read_place(&asked.behind);
    let mut rest = meant.into_iter().filter(|(place, _)| behind.is_none_or(|behind| *place < behind));
    let page: Vec<(Place, &Filed)> = rest.by_ref().take(PAGE).collect();
    let next = rest.next().and(page.last());
    let next = next.map(|(place, _)| Search { behind: place_in_words(place), ..asked.clone() });
    html! {
        (topics(listed, asked))
        h2 { "Letters" }
        (filters(listed, asked))
        p.hint { (grammar::counted(count as u64, "letter")) ", the newest first" }
        @if page.is_empty() {
            p.empty { @if count_all(listed) == 0 { "No record was ever set aside." } @else { "No letter is like that." } }
        } @else {
            (letters(&page))
        }
        @if let Some(next) = next { p { a.button.quiet href=(next.link()) { "Older letters" } } }
    }
}

fn count_all(listed: &[Listed]) -> usize {
    listed.iter().map(|listed| listed.letters.len()).sum()
}

fn topics(listed: &[Listed], asked: &Search) -> Markup {
    html! {
        p { "A record that no service could take is set aside with its cause. It stays there until its topic's retention; what is done about it is noted behind it." }
        div.table {
            table {
                caption.unseen { "Letters by topic" }
                thead { tr {
                    th scope="col" { "Sent to" }
                    th.number scope="col" { "Letters" }
                    th.number scope="col" { "Unsettled" }
                } }
                tbody {
                    @for one in listed {
                        @let open = one.letters.iter().filter(|filed| !filed.state().is_handled()).count();
                        tr {
                            th scope="row" {
                                a href=(Search { topic: one.topic.as_str().to_owned(), ..Search::default() }.link()) { (one.topic.as_str()) }
                                @if one.left > 0 { p.hint { "The newest alone, without " (grammar::counted(one.left.unsigned_abs(), "older record")) "." } }
                            }
                            td.number { (one.letters.len()) }
                            td.number { @if open > 0 { span.badge.warn { (open) } } @else { "0" } }
                        }
                    }
                }
            }
        }
        @if !asked.is_fresh() && listed.iter().any(|one| one.left > 0) {
            p { a.button.quiet href=(Search { fresh: "yes".to_owned(), ..asked.clone() }.link()) { "Read older ones, too" } }
        }
    }
}

fn filters(listed: &[Listed], asked: &Search) -> Markup {
    let letters = listed.iter().flat_map(|listed| &listed.letters);
    let causes: BTreeSet<&str> = letters.map(|filed| filed.letter.cause.as_str()).collect();
    html! {
        form.card.filters method="get" action="/console/dead-letters" {
            div {
                label for="topic" { "Sent to" }
                select #topic name="topic" {
                    option value="" { "any topic" }
                    @for one in listed {
                        option value=(one.topic.as_str()) selected[one.topic.as_str() == asked.topic] { (one.topic.as_str()) }
                    }
                }
            }
            div {
                label for="cause" { "Cause" }
                select #cause name="cause" {
                    option value="" { "any cause" }
                    @for cause in causes { option value=(cause) selected[cause == asked.cause] { (harmless::line(cause)) } }
                }
            }
            div { label for="key" { "Key has" } input #key name="key" value=(asked.key); }
            div.tick {
                input #open type="checkbox" name="open" value="yes" checked[!asked.open.is_empty()];
                label for="open" { "Unsettled alone" }
            }
            @if asked.is_fresh() { input type="hidden" name="fresh" value="yes"; }
            div { button type="submit" { "Show" } }
        }
    }
}

fn letters(page: &[(Place, &Filed)]) -> Markup {
    html! {
        div.table {
            table {
                caption.unseen { "Letters" }
                thead { tr {
                    @for name in ["Set aside (UTC)", "Letter", "Key", "Cause", "What is wrong", "State"] { th scope="col" { (name) } }
                } }
                tbody {
                    @for (_, filed) in page {
                        @let letter = &filed.letter;
                        tr {
                            td { @if let Some(at) = letter.set_aside_at { (words::time(at)) } @else { "unknown" } }
                            th scope="row" { a.id href=(path(filed)) { (letter.spot.to_string()) } }
                            td.id { (harmless::line(&letter.key_in_words())) }
                            td { (harmless::line(&letter.cause)) }
                            td.free { (harmless::line(&letter.detail)) }
                            td { (state(filed.state())) }
                        }
                    }
                }
            }
        }
    }
}

/// Where a letter stands, in a word.
pub(super) fn state(state: State) -> Markup {
    let (tone, word) = match state {
        State::Open => ("warn", "Unsettled"),
        State::Begun => ("bad", "Redrive not ended"),
        State::Redriven => ("good", "Redriven"),
        State::Discarded => ("good", "Discarded"),
    };
    html! { span.badge.(tone) { (word) } }
}
