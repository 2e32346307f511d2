//! A letter for people and for programs: one line, everything, or JSON.

use std::fmt::Write as _;

use client::body_json;
use grammar::{Table, harmless, terminal_width};
use schemas::{Codec, Time};
use serde_json::{Value, json};

use super::shelf::Filed;

/// The most bytes of a body that are dumped.
const DUMPED_BYTES: usize = 4096;

/// One line for each letter.
pub(crate) fn list_text(letters: &[Filed]) -> String {
    let mut table = Table::new(["letter", "set aside", "key", "cause", "state", "what is wrong"]);
    for filed in letters {
        let letter = &filed.letter;
        table.row([
            letter.spot.to_string(),
            letter.set_aside_at.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}")),
            letter.key_in_words(),
            letter.cause.clone(),
            filed.state().as_str().to_owned(),
            letter.detail.clone(),
        ]);
    }
    table.text(terminal_width())
}

/// The same for programs; no bodies.
pub(crate) fn list_json(letters: &[Filed]) -> Value {
    letters.iter().map(summary).collect()
}

fn summary(filed: &Filed) -> Value {
    let letter = &filed.letter;
    json!({
        "letter": letter.spot.to_string(),
        "record": letter.original.map(|spot| spot.to_string()),
        "topic": letter.topic.as_str(),
        "partition": letter.spot.partition,
        "key": letter.key.as_deref().map(String::from_utf8_lossy),
        "sent_at": letter.sent_at.map(|time| Time::from(time).to_string()),
        "set_aside_at": letter.set_aside_at.map(|time| Time::from(time).to_string()),
        "group": letter.group,
        "cause": letter.cause,
        "detail": letter.detail,
        "state": filed.state().as_str(),
        "redrives": letter.redrives() + filed.times_redriven(),
        "notes": filed.notes,
    })
}

/// Everything about a letter for programs; an edited copy of it can be redriven.
pub(crate) fn show_json(filed: &Filed, codec: &Codec) -> Value {
    let mut value = summary(filed);
    let letter = &filed.letter;
    let decoded = letter.decode(codec);
    let header = |(name, value): &(String, Option<Vec<u8>>)| match value.as_deref().map(std::str::from_utf8) {
        None => json!({ "name": name, "value": null }),
        Some(Ok(text)) => json!({ "name": name, "value": text }),
        Some(Err(_)) => json!({ "name": name, "hex": value.as_deref().map(hex) }),
    };
    value["key_hex"] = letter.key.as_deref().map(hex).into();
    value["headers"] = letter.headers.iter().map(header).collect();
    value["headers_left_out"] = letter.headers_left_out.clone().into();
    value["type"] = decoded.as_ref().ok().map(schemas::Message::name).into();
    value["body"] = decoded.as_ref().ok().map(body_json).into();
    value["problem"] = letter.fault(codec).into();
    value["payload_hex"] = letter.payload.as_deref().map(hex).into();
    value
}

/// Everything about a letter for people.
pub(crate) fn show_text(filed: &Filed, codec: &Codec) -> String {
    let letter = &filed.letter;
    let time = |time: Option<jiff::Timestamp>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"));
    let mut rows = vec![
        ("letter", letter.spot.to_string()),
        ("record", letter.original.map_or_else(|| "-".to_owned(), |spot| spot.to_string())),
        ("key", letter.key_in_words()),
        ("sent", time(letter.sent_at)),
        ("set aside", format!("{} by {}", time(letter.set_aside_at), letter.group)),
        ("cause", format!("{}: {}", letter.cause, letter.detail)),
        ("state", filed.state().as_str().to_owned()),
    ];
    for note in &filed.notes {
        rows.push(("", format!("{:.3} {} {}", note.at, note.action.as_str(), note.in_words())));
    }
    for (index, (name, value)) in letter.headers.iter().enumerate() {
        let value = header_text(value.as_deref());
        rows.push((if index == 0 { "headers" } else { "" }, format!("{name}: {value}")));
    }
    if let Some(count) = &letter.headers_left_out {
        rows.push(("", format!("({count} more could not be kept)")));
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<10} {}", harmless(&value));
    }
    text.push_str(&body_text(filed, codec));
    text
}

fn body_text(filed: &Filed, codec: &Codec) -> String {
    let letter = &filed.letter;
    match (letter.decode(codec), letter.payload.as_deref()) {
        (Ok(message), _) => {
            let body = serde_json::to_string_pretty(&body_json(&message)).unwrap_or_default();
            format!("{:<10} {}\n{body}\n", "body", message.name())
        }
        (Err(reason), Some(payload)) => {
            format!("{:<10} {} bytes, {reason}\n{}{}", "body", payload.len(), dump(payload), more(payload))
        }
        (Err(reason), None) => format!("{:<10} {reason}\n", "body"),
    }
}

/// A header's value: its text, with what moves a cursor written out, or its bytes.
pub fn header_text(value: Option<&[u8]>) -> String {
    match value.map(|value| (std::str::from_utf8(value), value)) {
        None => "(null)".to_owned(),
        Some((Ok(text), _)) => text.escape_debug().to_string(),
        Some((Err(_), bytes)) => format!("0x{}", hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Offset, sixteen bytes, and what of them is printable; no more than the first 4096.
pub fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes.iter().take(DUMPED_BYTES).collect::<Vec<_>>().chunks(16).enumerate() {
        let codes = chunk.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let shown: String = chunk
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || **byte == b' ' { char::from(**byte) } else { '.' })
            .collect();
        let _ = writeln!(text, "{:08x}  {codes:<47}  {shown}", line * 16);
    }
    text
}

/// What of a body is not dumped, in words.
fn more(bytes: &[u8]) -> String {
    match bytes.len().checked_sub(DUMPED_BYTES) {
        Some(more @ 1..) => format!("… {more} more bytes; --json has them all\n"),
        Some(0) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_dumped_with_what_can_be_read_of_them() {
        let text = dump(b"garbage \x00\xff and more");
        let first = "00000000  67 61 72 62 61 67 65 20 00 ff 20 61 6e 64 20 6d  garbage .. and m\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.ends_with("  ore\n"), "{text}");
        assert_eq!(dump(&[0; 5000]), dump(&[0; 4096]));
        assert_eq!(more(&[0; 5000]), "… 904 more bytes; --json has them all\n");
        assert_eq!(more(&[0; 4096]), "");
    }
}
