//! What happened to an order, as a lane for each service, with the time from one to the next; and each message as it was said.
//!
//! A list for whoever hears it or has a narrow screen: its entries name their service. The style sheet lays it out as lanes.

use client::{Manner, detail_in};
use maud::{Markup, html};
use schemas::{Time, TopicName};

use super::history::Hop;
use crate::console::words;

/// So many of the newest are shown unless all are asked for.
pub(super) const SHOWN: usize = 60;

/// From one to the next at which somebody may wonder: a second.
const LONG_MICROS: i64 = 1_000_000;

/// The lanes.
pub(super) fn lanes(hops: &[Hop], manner: &Manner<'_>, is_whole: bool, whole_path: &str) -> Markup {
    let hidden = if is_whole { 0 } else { hops.len().saturating_sub(SHOWN) };
    let before = hops.iter().take(hidden).next_back().map(|hop| hop.told.at);
    html! {
        @if hidden > 0 {
            p { (hidden) " earlier messages are not shown. " a href=(whole_path) { "Show all of them" } }
        }
        p.hint { "Times are in UTC, by each service's clock; beside them how long after the message before." }
        div.lanes aria-hidden="true" { span {} span.order { "Order" } span.inventory { "Inventory" } span.payment { "Payment" } }
        ol.hops { (each(&hops[hidden..], before, manner)) }
    }
}

fn each(hops: &[Hop], before: Option<Time>, manner: &Manner<'_>) -> Markup {
    let times = std::iter::once(before).chain(hops.iter().map(|hop| Some(hop.told.at)));
    html! { @for (hop, before) in hops.iter().zip(times) { (entry(hop, before, manner)) } }
}

fn entry(hop: &Hop, before: Option<Time>, manner: &Manner<'_>) -> Markup {
    let said = &hop.told.said;
    let (lane, id) = (lane(hop.topic()), format!("{}-{}", hop.topic(), said.position.offset));
    let told = hop.message.as_ref().map(|message| detail_in(message, manner)).filter(|told| !told.is_empty());
    let is_refusal = hop.told.said.version.is_none();
    html! {
        li.hop.(lane) #{ "hop-" (id) } {
            p.when { (words::exact_time(hop.told.at)) @if let Some(before) = before { " " (since(before, hop.told.at)) } }
            div.what.refusal[is_refusal] {
                p {
                    span.lane { (lane) ": " }
                    strong { (in_words(&said.name)) }
                    @if let Some(version) = said.version { " " span.version { "v" (version) } }
                }
                @if let Some(told) = told { p.told { (told) } }
                details.raw #{ "raw-" (id) } {
                    summary { "Message " span.place { (hop.place()) } }
                    p.hint { code { (said.name) } " of " code { (hop.place()) } }
                    pre tabindex="0" { (words::pretty(&said.body)) }
                }
            }
        }
    }
}

fn since(before: Time, at: Time) -> Markup {
    let is_long = at.as_micros().saturating_sub(before.as_micros()) >= LONG_MICROS;
    html! { span.since.long[is_long] { (words::how_long(before, at)) } }
}

/// The lane of a topic: its service's name, which is a class as well.
pub(super) const fn lane(topic: TopicName) -> &'static str {
    match topic {
        TopicName::OrderEvents | TopicName::OrderCommands => "order",
        TopicName::PaymentEvents | TopicName::PaymentCommands => "payment",
        TopicName::InventoryEvents
        | TopicName::InventoryCommands
        | TopicName::StockEvents
        | TopicName::StockCommands => "inventory",
    }
}

/// `OrderStockReserved` as people write it.
pub(in crate::console) fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}
