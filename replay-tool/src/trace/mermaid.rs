//! A trace as a Mermaid sequence diagram: who said what to whom.

use client::stage_in_words;
use schemas::ServiceName;

use super::Trace;
use super::hop::{Hop, Mark};
use super::standing::Standing;
use super::words::duration;
use crate::log::Channel;

/// The whole diagram.
pub(crate) fn mermaid(trace: &Trace) -> String {
    let mut text = format!("sequenceDiagram\n    title order {}\n", plain(trace.order_id.as_str()));
    for name in std::iter::once("client").chain(ServiceName::ALL.map(ServiceName::as_str)) {
        text.push_str(&format!("    participant {name}\n"));
    }
    for step in &trace.timeline.steps {
        let since =
            step.since_previous_us.map_or_else(String::new, |micros| format!(" (+{})", duration(micros.max(0))));
        text.push_str(&format!("    {}\n", line(&step.hop, &since)));
    }
    let end = match &trace.standing {
        Standing::Order { order, waits } => match (waits.on_its_way(), waits.commands.first()) {
            (Some(waiting), _) => {
                format!("{}, waits for {} of {}", order.stage.as_str(), waiting.awaiting, waiting.from)
            }
            (None, Some(waiting)) => format!("{}, waits for {}", stage_in_words(order), waiting.awaiting),
            (None, None) => stage_in_words(order),
        },
        Standing::NoOrder { words } | Standing::Broken { words } => words.clone(),
    };
    text.push_str(&format!("    Note over order: {}\n", plain(&end)));
    for unread in &trace.unread {
        text.push_str(&format!("    Note over {}: its tables could not be read\n", unread.service));
    }
    text
}

fn line(hop: &Hop, since: &str) -> String {
    let (from, to) = ends(hop.channel);
    let title = plain(&hop.title());
    let remark = |what: &str| format!("Note over {to}: {what}: {title} {}{since}", plain(&hop.detail));
    match &hop.mark {
        Mark::Counts | Mark::AfterGap => format!("{from}{}{to}: {title}{since}", arrow(hop.channel)),
        Mark::Unpublished => format!("{from}--x{to}: {title} (not published){since}"),
        Mark::Repeated => format!("{from}--){to}: {title} (repeated){since}"),
        Mark::Void => remark("void"),
        Mark::Parked => remark("parked"),
        Mark::Waiting => remark("waits behind an open transaction"),
        Mark::Stranger => remark("stranger"),
        Mark::Unreadable => remark("unreadable"),
        Mark::DeadLetter => remark("dead letter"),
        Mark::Operator => remark("operator"),
    }
}

/// Commands are solid, events dashed.
const fn arrow(channel: Channel) -> &'static str {
    match channel {
        Channel::Messages(topic) if topic.carries_commands() => "->>",
        Channel::Messages(_) | Channel::DeadLetters(_) => "-->>",
    }
}

/// Who says it, and who listens. Nobody of the pipeline listens to what order says: its events are for clients.
fn ends(channel: Channel) -> (&'static str, &'static str) {
    let (Channel::Messages(topic) | Channel::DeadLetters(topic)) = channel;
    let name = |service: Option<ServiceName>| service.map_or("client", ServiceName::as_str);
    (name(topic.written_by()), name(topic.read_by()))
}

/// Text that a diagram's line can hold: no end of a statement, no entity, no markup.
fn plain(text: &str) -> String {
    const MOST_CHARACTERS: usize = 80;
    let safe = |character: char| match character {
        ';' | '#' | '\n' | '\r' | '<' | '>' | '%' => ' ',
        character => character,
    };
    let mut plain: String = text.chars().take(MOST_CHARACTERS).map(safe).collect();
    if text.chars().count() > MOST_CHARACTERS {
        plain.push('…');
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use schemas::TopicName;

    use super::*;

    #[test]
    fn a_line_cannot_be_broken_by_what_strangers_write() {
        assert_eq!(plain("a;b #1 <script>\n"), "a b  1  script");
        assert_eq!(plain(&"x".repeat(100)).chars().count(), 81);
    }

    #[test]
    fn who_speaks_to_whom_is_in_the_topic() {
        assert_eq!(ends(Channel::Messages(TopicName::OrderCommands)), ("client", "order"));
        assert_eq!(ends(Channel::Messages(TopicName::OrderEvents)), ("order", "client"));
        assert_eq!(ends(Channel::Messages(TopicName::PaymentEvents)), ("payment", "order"));
    }
}
