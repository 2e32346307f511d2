//! Letters from hostile hands: what is drawn of them does nothing, hides nothing, and ends.

use std::sync::Arc;

use jiff::Timestamp;
use replay_tool::dead_letters::{Action, Channel, DeadLetter, Filed, Listed, Note, Spot};
use schemas::{CancelOrder, Codec, CommandId, Message, OrderCommand, OrderId, TopicName};

use super::letter::{self, Given, Told};
use super::list::{self, Search};
use crate::console::visit::Visit;
use crate::http::{Kind, Problem};
use crate::keys::{Caller, Role};

const SCRIPT: &str = "<script>alert(1)</script>";

fn kim(roles: &[Role]) -> Visit {
    Visit::of(Caller::new("kim".to_owned(), roles.to_vec()))
}

fn filed(topic: TopicName, offset: i64, payload: Vec<u8>) -> Filed {
    let at = |channel| Spot { channel, partition: 0, offset };
    let letter = DeadLetter {
        spot: at(Channel::DeadLetters(topic)),
        topic,
        original: Some(at(Channel::Messages(topic))),
        sent_at: None,
        set_aside_at: Timestamp::from_millisecond(1_790_000_000_000 + offset).ok(),
        group: "order-worker".to_owned(),
        cause: "undecodable".to_owned(),
        detail: format!("unknown {SCRIPT}"),
        id: None,
        position: None,
        key: Some(format!("{SCRIPT}\u{202e}").into_bytes()),
        payload: Some(payload),
        headers: vec![
            (SCRIPT.to_owned(), Some(b"\"><img src=x onerror=alert(1)>".to_vec())),
            ("bytes".to_owned(), Some(vec![0xff, 0xfe, 0x00])),
            ("none".to_owned(), None),
            ("long".to_owned(), Some(vec![b'h'; 1 << 20])),
        ],
        left_out: None,
        headers_left_out: None,
    };
    Filed { letter, notes: Vec::new() }
}

fn note(action: Action) -> Note {
    Note {
        action,
        letter_offset: 0,
        by: format!("eve {SCRIPT}"),
        at: Timestamp::UNIX_EPOCH,
        reason: Some("</pre><b>".to_owned()),
        attempt: 1,
        is_edited: true,
        to_partition: Some(2),
        to_offset: Some(7),
    }
}

fn cancel() -> Vec<u8> {
    let (order_id, command_id) = (OrderId::new("o-1").unwrap(), CommandId::new("c").unwrap());
    let note = Some(format!("</textarea>{SCRIPT}\u{202e}"));
    let cancel = CancelOrder { order_id, command_id, reason_code: None, by: None, note };
    Codec::embedded().encode(&Message::from(OrderCommand::from(cancel))).unwrap()
}

fn drawn(visit: &Visit, filed: &Filed, told: &Told) -> String {
    let text = letter::body(visit, filed, &Codec::embedded(), told).into_string();
    for hostile in ["<script", "<img", "</pre><b>", "\u{202e}"] {
        assert!(!text.contains(hostile), "{hostile}: {text}");
    }
    assert_eq!(text.matches("<textarea").count(), text.matches("</textarea>").count(), "{text}");
    assert!(text.len() < 90 * 1024, "{} bytes", text.len());
    text
}

#[test]
fn what_cannot_be_read_is_shown_as_bytes_and_cut_with_words() {
    let mut payload = SCRIPT.as_bytes().to_vec();
    payload.extend([0xff, 0xc3, 0x28]);
    payload.resize(1 << 20, b'x');
    let mut letter = filed(TopicName::OrderCommands, 4, payload);
    letter.notes = vec![note(Action::RedriveBegun)];
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(text.contains("00000000  3c 73 63 72 69 70 74 3e"), "{text}");
    assert!(text.contains("1044480 more bytes are not shown"), "{text}");
    assert!(text.contains("0xfffe00") && text.contains("(null)") && text.contains("1048276 more characters"), "{text}");
    assert!(text.contains("Redrive not ended") && text.contains("&lt;script&gt;"), "{text}");
    // Nobody can send it as it is; it can be corrected and discarded.
    assert!(
        !text.contains("Send it again as it is") && text.contains("Correct it") && text.contains("Discard"),
        "{text}"
    );
}

#[test]
fn what_can_be_read_is_shown_as_json_and_offered_to_be_corrected() {
    let mut letter = filed(TopicName::OrderCommands, 4, cancel());
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(
        text.contains("CancelOrder") && text.contains("\\u202e") && text.contains("its key is not the id in it"),
        "{text}"
    );
    letter.letter.key = Some(b"o-1".to_vec());
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(text.contains("Send it again as it is") && text.contains("name=\"seen\" value=\"0\""), "{text}");
    letter.notes = vec![note(Action::RedriveBegun), note(Action::Redriven)];
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(text.contains("to partition 2 offset 7") && text.contains("It is settled. Redrive it once more"), "{text}");
    assert!(!text.contains("value=\"discard\"") && text.contains("name=\"seen\" value=\"2\""), "{text}");
    let text = drawn(&kim(&[Role::OrdersRead]), &letter, &Told::default());
    assert!(!text.contains("<form") && text.contains("ops:act"), "{text}");
}

#[test]
fn a_form_that_was_wrong_keeps_what_was_typed() {
    let given = Given {
        name: Some("HoldOrder".to_owned()),
        body: Some(format!("{{\"order_id\": \"</textarea>{SCRIPT}\"")),
        note: SCRIPT.to_owned(),
    };
    let problem = Some(Problem::new(Kind::Refused, format!("not JSON: {SCRIPT}")));
    let letter = filed(TopicName::OrderCommands, 4, vec![1]);
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told { problem, rehearsal: None, given });
    assert!(text.contains("value=\"HoldOrder\" selected") && text.contains("&lt;/textarea&gt;"), "{text}");
    let rehearsal = Some(format!("under the key {SCRIPT}"));
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told { rehearsal, ..Told::default() });
    assert!(text.contains("Dry run: nothing was changed"), "{text}");
}

#[test]
fn nobody_is_offered_to_speak_for_a_service() {
    let mut letter = filed(TopicName::PaymentEvents, 4, vec![1]);
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(
        text.contains("Only the payment service writes") && text.contains("outbox-relay audit --schema payments"),
        "{text}"
    );
    assert!(!text.contains("value=\"redrive\"") && text.contains("value=\"discard\""), "{text}");
    assert!(text.contains("an event that is not in the service's tables"), "{text}");
    letter.letter.cause = "dropped".to_owned();
    let text = drawn(&kim(&[Role::OpsAct]), &letter, &Told::default());
    assert!(text.contains("gave it up") && !text.contains("nobody's outbox"), "{text}");
}

#[test]
fn a_body_that_no_form_would_bring_back_is_for_the_command_line() {
    let (order_id, command_id) = (OrderId::new("o-1").unwrap(), CommandId::new("c").unwrap());
    let cancel = CancelOrder { order_id, command_id, reason_code: None, by: None, note: Some("n".repeat(400_000)) };
    let payload = Codec::embedded().encode(&Message::from(OrderCommand::from(cancel)));
    let Ok(payload) = payload else { return };
    let text = drawn(&kim(&[Role::OpsAct]), &filed(TopicName::OrderCommands, 4, payload), &Told::default());
    assert!(text.contains("--edited letter.json") && text.contains("more characters are not shown"), "{text}");
    assert!(!text.contains("<textarea"), "{text}");
}

#[test]
fn what_is_in_the_way_of_the_topics_is_told_harmlessly_and_so_is_what_is_still_to_be_read() {
    let trouble = super::Hindrance { since: Timestamp::UNIX_EPOCH, why: format!("no broker {SCRIPT}") };
    let text = super::hindrance(Some(&trouble)).into_string();
    assert!(text.contains("cannot be read since") && text.contains("&lt;script&gt;"), "{text}");
    assert_eq!(super::hindrance(None).into_string(), "");
    assert!(super::lag(1).into_string().contains("1 record of"), "{}", super::lag(1).into_string());
    assert_eq!(super::lag(0).into_string(), "");
}

#[test]
fn the_list_counts_filters_and_gives_every_letter_once() {
    let mut letters: Vec<Filed> = (0..120).map(|offset| filed(TopicName::OrderCommands, offset, Vec::new())).collect();
    for one in letters.iter_mut().take(20) {
        one.notes = vec![note(Action::Discarded)];
    }
    letters[119].letter.cause = "key".to_owned();
    let listed = [
        Listed { topic: TopicName::OrderCommands, letters: letters.into_iter().map(Arc::new).collect(), left: 9 },
        Listed { topic: TopicName::StockCommands, letters: Vec::new(), left: 0 },
    ];
    let text = list::body(&listed, &Search::default()).into_string();
    assert!(!text.contains("<script") && !text.contains('\u{202e}') && text.len() < 90 * 1024, "{}", text.len());
    assert!(text.contains("120 letters") && text.contains(">100</span>") && text.contains("9 older records"), "{text}");
    assert!(text.contains("fresh=yes\">Read older ones, too"), "{text}");
    let pages = |asked: &str| {
        let (mut asked, mut seen) = (asked.to_owned(), Vec::new());
        loop {
            let read: Search = serde_urlencoded::from_str(&asked).unwrap();
            let text = list::body(&listed, &read).into_string();
            let rows = text.split("/console/dead-letters/order.commands.v1/0/").skip(1);
            seen.extend(rows.filter_map(|rest| rest.split('"').next()?.parse::<i64>().ok()));
            let Some((before, _)) = text.split_once("\">Older letters") else { return seen };
            let (_, next) = before.rsplit_once('?').unwrap();
            asked = next.replace("&amp;", "&");
        }
    };
    assert_eq!(pages(""), (0..120).rev().collect::<Vec<_>>());
    assert_eq!(pages("open=yes"), (20..120).rev().collect::<Vec<_>>());
    assert_eq!(pages("cause=key&topic=order.commands.v1"), [119]);
    assert_eq!(pages("key=script&cause=nothing"), [0; 0]);
    assert!(list::body(&[], &Search::default()).into_string().contains("No record was ever set aside."));
}
