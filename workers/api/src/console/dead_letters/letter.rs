//! One letter: what is wrong with it, where it came from, what was done about it, what it brought, and what may be done.

use client::body_json;
use maud::{Markup, html};
use replay_tool::dead_letters::{DeadLetter, Filed, Note, State, dump, header_text, open_kinds};
use schemas::{Codec, ServiceName};

use super::asking::order_of;
use super::{list, path};
use crate::console::trouble::notice;
use crate::console::visit::Visit;
use crate::console::{harmless, words};
use crate::http::Problem;
use crate::keys::Role;

/// The most headers that are shown, and characters of a body.
const HEADERS: usize = 100;
const BODY: usize = 32 * 1024;

/// A longer body is corrected by the command line: a form of it would not come back whole.
pub(super) const EDITABLE: usize = 256 * 1024;

/// What is told above a letter, and what stood in the form that it answers.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is in the way.
    pub(super) problem: Option<Problem>,
    /// What would be done.
    pub(super) rehearsal: Option<String>,
    /// What was given.
    pub(super) given: Given,
}

/// What stands in the forms of a letter.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// The type's name.
    pub(super) name: Option<String>,
    /// The body, as JSON.
    pub(super) body: Option<String>,
    /// Why.
    pub(super) note: String,
}

/// The page.
pub(super) fn body(visit: &Visit, filed: &Filed, codec: &Codec, told: &Told) -> Markup {
    let letter = &filed.letter;
    html! {
        p { a href="/console/dead-letters" { "All dead letters" } }
        @if let Some(problem) = &told.problem { (notice(problem)) }
        @if let Some(words) = &told.rehearsal {
            div.notice.good role="status" { p { strong { "Dry run: nothing was changed" } } p { (words) } }
        }
        (facts(filed, codec))
        (done(filed))
        (headers(letter))
        (contents(letter, codec))
        h2 { "What to do" }
        @if visit.may(Role::OpsAct) {
            (acts(visit, filed, codec, &told.given))
        } @else {
            p { "Who acts on a letter needs the role " code { (Role::OpsAct.as_str()) } "." }
        }
    }
}

fn facts(filed: &Filed, codec: &Codec) -> Markup {
    let letter = &filed.letter;
    let when = |at: Option<jiff::Timestamp>| at.map_or_else(|| html! { "unknown" }, words::time);
    html! {
        dl.points {
            div { dt { "State" } dd { (list::state(filed.state())) } }
            div { dt { "Cause" } dd { (harmless::line(&letter.cause)) } }
            div { dt { "What is wrong" } dd.free { (harmless::line(&letter.detail)) } }
            @if let Some(fault) = letter.fault(codec) { div { dt { "As it is, it would come back" } dd.free { (harmless::line(&fault)) } } }
            div { dt { "Letter" } dd.id { (letter.spot.to_string()) } }
            div { dt { "Record" } dd.id { (letter.original.map_or_else(|| "unknown".to_owned(), |spot| spot.to_string())) } }
            div { dt { "Key" } dd.id { (harmless::line(&letter.key_in_words())) } }
            div { dt { "Sent (UTC)" } dd { (when(letter.sent_at)) } }
            div { dt { "Set aside (UTC)" } dd { (when(letter.set_aside_at)) } }
            div { dt { "Set aside by" } dd.id { (harmless::line(&letter.group)) } }
            @if letter.redrives() > 0 { div { dt { "Redriven before it came here" } dd { (letter.redrives()) } } }
        }
    }
}

fn done(filed: &Filed) -> Markup {
    let words = |note: &Note| harmless::line(&note.in_words());
    html! {
        h2 { "What was done" }
        @if filed.notes.is_empty() { p.empty { "Nothing yet." } } @else {
            ol.notes {
                @for note in &filed.notes { li { (words::time(note.at)) " " strong { (note.action.as_str()) } " " (words(note)) } }
            }
        }
    }
}

fn headers(letter: &DeadLetter) -> Markup {
    let more = letter.headers.len().saturating_sub(HEADERS);
    html! {
        h2 { "Headers" }
        @if letter.headers.is_empty() { p.empty { "It had none." } } @else {
            div.table {
                table {
                    caption.unseen { "The headers that it had when it was sent" }
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                    tbody {
                        @for (name, value) in letter.headers.iter().take(HEADERS) {
                            tr {
                                th.id scope="row" { (harmless::line(name)) }
                                td.id { (harmless::line(&header_text(value.as_deref()))) }
                            }
                        }
                    }
                }
            }
        }
        @if more > 0 { p.hint { (more) " more headers are not shown." } }
        @if let Some(count) = &letter.headers_left_out { p.hint { (harmless::line(count)) " more could not be kept." } }
    }
}

fn contents(letter: &DeadLetter, codec: &Codec) -> Markup {
    let all = format!("replay-tool dead-letters show '{}' --json", letter.spot);
    html! {
        h2 { "Body" }
        @match (letter.decode(codec), letter.payload.as_deref()) {
            (Ok(message), _) => {
                @let text = pretty(&body_json(&message));
                @let (shown, more) = harmless::cut(&text, BODY);
                p { code { (message.name()) } }
                pre tabindex="0" role="region" aria-label="Body" { (harmless::json(shown)) }
                @if more > 0 { p.hint { (more) " more characters are not shown; " code { (all) } " has them all." } }
            }
            (Err(reason), Some(payload)) => {
                p.free { (payload.len()) " bytes that cannot be read: " (harmless::line(&reason)) }
                @let dumped = dump(payload);
                pre.dump tabindex="0" role="region" aria-label="Body as bytes" { (dumped) }
                @let more = payload.len().saturating_sub(16 * dumped.lines().count());
                @if more > 0 { p.hint { (more) " more bytes are not shown; " code { (all) } " has them all." } }
            }
            (Err(reason), None) => p.empty { (harmless::line(&reason)) },
        }
    }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn acts(visit: &Visit, filed: &Filed, codec: &Codec, given: &Given) -> Markup {
    let letter = &filed.letter;
    let is_handled = filed.state().is_handled();
    html! {
        @if let Some(writer) = letter.topic.written_by() {
            (of_a_service(letter, writer))
            @if !is_handled && order_of(letter).is_some() { (asks(visit, filed, given)) }
        } @else if is_handled {
            details {
                summary { "It is settled. Redrive it once more" }
                (redrives(visit, filed, codec, given))
            }
        } @else {
            (redrives(visit, filed, codec, given))
        }
        @if !is_handled {
            form.card method="post" action=(path(filed)) {
                h3 { "Discard" }
                p.hint { "It is settled, and nothing is published or deleted." }
                (always(visit, filed))
                label for="why-discarded" { "Why" }
                input #why-discarded name="note" required maxlength=(super::act::LONGEST_NOTE) value=(given.note);
                div.actions { button.danger type="submit" name="act" value="discard" { "Discard" } }
            }
        }
    }
}

/// What every form of a letter has: that it is ours, and how much had been done about the letter when it was made.
fn always(visit: &Visit, filed: &Filed) -> Markup {
    html! {
        (visit.signature())
        input type="hidden" name="seen" value=(filed.notes.len());
    }
}

fn asks(visit: &Visit, filed: &Filed, given: &Given) -> Markup {
    html! {
        form.card method="post" action=(path(filed)) {
            h3 { "Have it said again" }
            p.hint {
                "Where the order still waits for it, the order service makes its request again, from its own tables. The letter is settled then."
            }
            (always(visit, filed))
            label for="why-asked" { "Why" }
            input #why-asked name="note" required maxlength=(super::act::LONGEST_NOTE) value=(given.note);
            div.actions {
                button type="submit" name="act" value="ask" { "Ask again" }
                button.quiet type="submit" name="act" value="rehearse-asking" { "Dry run" }
            }
        }
    }
}

fn redrives(visit: &Visit, filed: &Filed, codec: &Codec, given: &Given) -> Markup {
    let letter = &filed.letter;
    html! {
        @if filed.state() == State::Begun {
            p { "A redrive has begun and not ended. The next one looks whether it was published, and ends it." }
        }
        @if letter.fault(codec).is_none() {
            form.card method="post" action=(path(filed)) {
                h3 { "Send it again as it is" }
                p.hint { "To " code { (letter.topic.as_str()) } ", with its key and its headers." }
                (always(visit, filed))
                (buttons("why-again", given))
            }
        }
        (correction(visit, filed, codec, given))
    }
}

fn buttons(id: &str, given: &Given) -> Markup {
    html! {
        label for=(id) { "Why" }
        input id=(id) name="note" required maxlength=(super::act::LONGEST_NOTE) value=(given.note);
        div.actions {
            button type="submit" name="act" value="redrive" { "Redrive" }
            button.quiet type="submit" name="act" value="rehearse" { "Dry run" }
        }
    }
}

fn correction(visit: &Visit, filed: &Filed, codec: &Codec, given: &Given) -> Markup {
    let letter = &filed.letter;
    let decoded = letter.decode(codec).ok();
    let name = given.name.as_deref().or(decoded.as_ref().map(schemas::Message::name)).unwrap_or_default();
    let text = given.body.clone().or_else(|| decoded.as_ref().map(|message| pretty(&body_json(message))));
    let text = text.unwrap_or_else(|| "{\n}".to_owned());
    if text.len() > EDITABLE {
        let spot = letter.spot;
        return html! {
            p { "Its body is too long for a form. Correct it with the command line:" }
            pre { (format!("replay-tool dead-letters show '{spot}' --json > letter.json\nreplay-tool dead-letters redrive '{spot}' --edited letter.json")) }
        };
    }
    html! {
        form.card method="post" action=(path(filed)) {
            h3 { "Correct it and send it" }
            p.hint { "What is sent is encoded by its schema: a new message, caused by this one, under the key that it names." }
            (always(visit, filed))
            label for="type" { "Type" }
            select #type name="type" {
                @for kind in open_kinds(letter.topic) { option value=(kind.name()) selected[kind.name() == name] { (kind.name()) } }
            }
            label for="body" { "Body (JSON)" }
            textarea #body name="body" rows="16" spellcheck="false" { "\n" (harmless::json(&text)) }
            (buttons("why-corrected", given))
        }
    }
}

/// Why nobody but the service may publish it, and what to do instead.
fn of_a_service(letter: &DeadLetter, writer: ServiceName) -> Markup {
    let harm = match letter.topic.carries_commands() {
        true => "a request that no order has made",
        false => "an event that is not in the service's tables",
    };
    html! {
        div.notice.warn {
            p { "Only the " (writer.as_str()) " service writes " code { (letter.topic.as_str()) } ", in order and through its outbox." }
            @if letter.was_given_up() {
                p { "This record came from there, and an operator gave it up with " code { "parked drop" } ": for whoever reads the topic it \
                     never happened. Have it said again, or see what its order waits for and free it." }
            } @else {
                p { "This record came from nobody's outbox: published again it would be " (harm) ". See above who sent it, and stop that. \
                     Where an order waits, see what it waits for, and let what the service has said and the topic lacks be published; then \
                     discard this letter." }
            }
            pre { (format!(
                "replay-tool trace ORDER\noutbox-relay audit --schema {schema}\noutbox-relay audit --schema {schema} --repair",
                schema = writer.default_schema(),
            )) }
        }
    }
}
