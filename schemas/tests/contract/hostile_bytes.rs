//! Any bytes may stand in a topic that anyone may write to. Decoding them gives a message or an error, never a panic,
//! and never more memory than the payload earns.

use proptest::prelude::*;
use schemas::{
    Codec, CommandId, DecodeError, Message, MessageType, OrderCommand, OrderId, RefundOrder, TopicName, limits,
};

use crate::newer_versions::Folder;
use crate::released;
use crate::samples::{self, Sample};

/// Both lanes: the golden payloads as they are, and as a newer version of the same schema would have written them.
fn both_lanes() -> (Codec, Vec<Sample>) {
    let folder = Folder::with_every_type_one_version_on("hostile");
    let codec = Codec::with_directory(folder.path()).unwrap();
    let mut samples = samples::all();
    let current = samples::all().into_iter().filter(Sample::is_current);
    samples.extend(current.map(|sample| folder.as_next_version(sample)));
    (codec, samples)
}

/// What was read is a message like any other: it can be written and read again.
fn sound(codec: &Codec, topic: TopicName, message: &Message) {
    assert_eq!(message.topic(), topic);
    let again = codec.encode(message).unwrap();
    assert_eq!(&codec.decode(topic, &again).unwrap(), message);
}

#[test]
fn the_samples_themselves_are_read_in_both_lanes() {
    let (codec, samples) = both_lanes();
    for sample in samples {
        assert_eq!(
            codec.decode(sample.topic(), &sample.payload),
            Ok(sample.message()),
            "{}",
            sample.released.ce_type()
        );
    }
}

#[test]
fn a_payload_that_is_cut_off_anywhere_is_an_error() {
    let (codec, samples) = both_lanes();
    for sample in samples {
        for length in 0..sample.payload.len() {
            let outcome = codec.decode(sample.topic(), &sample.payload[..length]);
            assert!(outcome.is_err(), "{} cut to {length} bytes gave {outcome:?}", sample.released.ce_type());
        }
    }
}

#[test]
fn bytes_that_follow_are_an_error() {
    let (codec, samples) = both_lanes();
    for sample in samples {
        for tail in [&[0][..], &[0; 9], b"more"] {
            let outcome = codec.decode(sample.topic(), &[&sample.payload, tail].concat());
            let ce_type = sample.released.ce_type();
            assert_eq!(outcome, Err(DecodeError::TrailingBytes { ce_type, bytes: tail.len() }));
        }
    }
}

#[test]
fn any_flipped_bit_gives_a_message_or_an_error() {
    let (codec, samples) = both_lanes();
    for sample in samples {
        for bit in 0..sample.payload.len() * 8 {
            let mut payload = sample.payload.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            if let Ok(message) = codec.decode(sample.topic(), &payload) {
                sound(&codec, sample.topic(), &message);
            }
        }
    }
}

#[test]
fn a_message_on_another_topic_is_an_error() {
    let codec = Codec::embedded();
    for sample in samples::all() {
        for topic in TopicName::ALL.into_iter().filter(|topic| *topic != sample.topic()) {
            let outcome = codec.decode(topic, &sample.payload);
            assert!(matches!(outcome, Err(DecodeError::WrongTopic { found_on, .. }) if found_on == topic));
        }
    }
}

#[test]
fn what_has_no_frame_or_no_known_schema_is_named() {
    let codec = Codec::embedded();
    let decode = |payload: &[u8]| codec.decode(TopicName::OrderCommands, payload);
    assert_eq!(decode(b""), Err(DecodeError::NotFramed));
    assert_eq!(decode(br#"{"order_id":"o-1"}"#), Err(DecodeError::NotFramed));
    assert_eq!(decode(&[0, 0, 0, 0, 7, 1, 2]), Err(DecodeError::UnknownSchema { id: 7 }));
    assert_eq!(codec.type_of(&[0, 0, 0, 0, 7, 1, 2]), None);
    let large = vec![0; limits::MAX_PAYLOAD_BYTES + 1];
    assert_eq!(decode(&large), Err(DecodeError::TooLarge { bytes: large.len() }));
}

/// A long as Avro writes it.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

/// The first version, the one that is written, and the next one.
const VERSIONS_OF_PLACE_ORDER: usize = 3;
/// No lines, and null for what stands between them and the adjustments.
const LINES_TO_ADJUSTMENTS: [u8; 5] = [0; 5];
/// The same, and no adjustments.
const LINES_TO_ATTRIBUTES: [u8; 6] = [0; 6];

/// A `PlaceOrder` without lines in every version: up to its lines, and what follows them.
fn place_orders() -> Vec<(Codec, Vec<u8>, Vec<u8>)> {
    let (codec, samples) = both_lanes();
    let empty = samples.into_iter().filter(|sample| sample.body["order_id"] == "empty");
    let parts = |sample: Sample| {
        let frame_and_head = 5 + 6 + 14 + 1 + 1; // "empty", "customer-1040", 0, ""
        let (head, lines_and_rest) = sample.payload.split_at(frame_and_head);
        (codec.clone(), head.to_vec(), lines_and_rest[1..].to_vec())
    };
    let orders: Vec<_> = empty.map(parts).collect();
    assert_eq!(orders.len(), VERSIONS_OF_PLACE_ORDER);
    orders
}

/// A `PlaceOrder` in every version up to its lines, then `tail`.
fn place_order_then(tail: &[u8]) -> impl Iterator<Item = (Codec, Vec<u8>)> {
    place_orders().into_iter().map(move |(codec, head, _)| (codec, [&head, tail].concat()))
}

#[test]
fn counts_and_lengths_that_lie_are_errors_and_allocate_nothing_like_it() {
    let line = [&long(1)[..], b"x", &long(1), &long(1)].concat();
    let adjustment = [&long(1)[..], b"x", &long(1), &[0]].concat();
    let attribute = [&long(1)[..], b"x", &long(1), b"y"].concat();
    let places = [(&[][..], line), (&LINES_TO_ADJUSTMENTS[..], adjustment), (&LINES_TO_ATTRIBUTES[..], attribute)];
    let huge = [i64::MAX, i64::MIN, i64::MIN + 1, i64::MAX / 2, 1 << 40, 1 << 32, -(1 << 40), 600_000];
    for ((before, item), count) in places.iter().flat_map(|place| huge.map(|count| (place, count))) {
        // So many items (with a byte size after a negative count), of which none or one comes; or one, whose text is so long.
        let size = if count < 0 { long(i64::MAX) } else { Vec::new() };
        let tails = [
            [*before, &long(count), &size].concat(),
            [*before, &long(count), &size, item].concat(),
            [*before, &long(1), &long(count), b"x"].concat(),
        ];
        for (codec, payload) in tails.iter().flat_map(|tail| place_order_then(tail)) {
            let outcome = codec.decode(TopicName::OrderCommands, &payload);
            if codec.type_of(&payload) == Some("shop.order.PlaceOrder.v1") && !before.is_empty() {
                assert!(matches!(outcome, Err(DecodeError::TrailingBytes { .. })), "{outcome:?}");
            } else {
                assert!(matches!(outcome, Err(DecodeError::Malformed { .. })), "{count} {item:x?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn a_number_of_too_many_bytes_is_an_error() {
    for (codec, payload) in place_order_then(&[0xff; 40]) {
        let outcome = codec.decode(TopicName::OrderCommands, &payload);
        assert!(matches!(outcome, Err(DecodeError::Malformed { .. })), "{outcome:?}");
    }
}

/// So many items and the end of them.
fn block(items: &[Vec<u8>]) -> Vec<u8> {
    [long(i64::try_from(items.len()).unwrap()), items.concat(), long(0)].concat()
}

/// As many of an item as a payload holds beside the rest of a command.
fn as_many_as_fit(item: &[u8]) -> Vec<u8> {
    block(&vec![item.to_vec(); (limits::MAX_PAYLOAD_BYTES - 64) / item.len()])
}

/// The service refuses an order with too many lines in words; for that it must be able to read it.
#[test]
fn as_many_lines_as_a_payload_holds_can_be_read() {
    let lines = as_many_as_fit(&[&long(1)[..], b"x", &long(1), &long(1)].concat());
    for (codec, head, rest) in place_orders() {
        let message = codec.decode(TopicName::OrderCommands, &[head, lines.clone(), rest].concat()).unwrap();
        assert_eq!(message.message_type(), MessageType::PlaceOrder);
    }
}

#[test]
fn as_many_adjustments_and_attributes_as_a_payload_holds_can_be_read() {
    let adjustments = as_many_as_fit(&[0, 0, 0]);
    // Names of three letters: the shortest of which there are enough.
    let letters = || b'!'..=b'~';
    let names = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| vec![6, a, b, c, 0])));
    let attributes = block(&names.take((limits::MAX_PAYLOAD_BYTES - 64) / 5).collect::<Vec<_>>());
    for (before, items) in [(&LINES_TO_ADJUSTMENTS[..], adjustments), (&LINES_TO_ATTRIBUTES[..], attributes)] {
        for (codec, head, rest) in place_orders() {
            if rest.is_empty() {
                continue; // the first version has neither
            }
            let payload = [&head, before, &items, &rest[before.len()..]].concat();
            let message = codec.decode(TopicName::OrderCommands, &payload).unwrap();
            let Message::OrderCommand(OrderCommand::PlaceOrder(order)) = message else { panic!() };
            assert!(order.adjustments.len() + order.attributes.len() > 200_000);
        }
    }
}

/// The smallest item of all: two numbers.
#[test]
fn as_many_lines_of_a_refund_as_a_payload_holds_can_be_read() {
    let folder = Folder::with_every_type_one_version_on("refund");
    let codec = Codec::with_directory(folder.path()).unwrap();
    let refund = RefundOrder::all(OrderId::new("o-1").unwrap(), CommandId::new("c-1").unwrap());
    let none = codec.encode(&refund.into()).unwrap();
    let head = none.strip_suffix(&[0; 4]).unwrap(); // no lines, reason code, name or note
    let payload = [head, &as_many_as_fit(&[2, 2]), &[0; 3]].concat();
    let next = folder.in_next_version(MessageType::RefundOrder, &payload);
    for payload in [payload, next] {
        let message = codec.decode(TopicName::OrderCommands, &payload).unwrap();
        let Message::OrderCommand(OrderCommand::RefundOrder(refund)) = message else { panic!() };
        assert!(refund.lines.len() > 500_000);
    }
}

#[test]
fn an_id_that_is_none_is_an_error_that_says_so() {
    let codec = Codec::embedded();
    let commit = |order_id: &[u8]| {
        let id = codec.schema_id(MessageType::CommitStock).to_be_bytes();
        let length = long(i64::try_from(order_id.len()).unwrap());
        codec.decode(TopicName::InventoryCommands, &[&[0], &id[..], &length, order_id].concat())
    };
    assert!(commit(b"o-1").is_ok());
    for (id, said) in [(&b""[..], "empty"), (&[b'x'; 65], "65 bytes"), (b"o\n1", "control"), (&[0xff], "utf-8")] {
        let error = commit(id).unwrap_err();
        assert_eq!(error.code(), "malformed");
        assert!(error.to_string().to_lowercase().contains(said), "{error}");
    }
}

#[test]
fn a_time_that_nothing_can_hold_is_an_error() {
    let codec = Codec::embedded();
    let id = codec.schema_id(MessageType::OrderConfirmed).to_be_bytes();
    for micros in [i64::MAX, i64::MIN, 253_402_300_800_000_000, -62_135_596_800_000_001] {
        let payload = [&[0], &id[..], &long(3), b"o-1", &long(1), &long(micros), &[0; 3]].concat();
        let error = codec.decode(TopicName::OrderEvents, &payload).unwrap_err();
        assert!(error.to_string().contains("years"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn random_bytes_after_any_frame_are_a_message_or_an_error(
        which in any::<prop::sample::Index>(),
        datum in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..8], 0..80),
    ) {
        let codec = Codec::embedded();
        let all = released::all();
        let released = &all[which.index(all.len())];
        let payload = [&[0], &released.id.to_be_bytes()[..], &datum].concat();
        if let Ok(message) = codec.decode(released.topic(), &payload) {
            sound(&codec, released.topic(), &message);
        }
    }

    #[test]
    fn random_bytes_are_a_message_or_an_error(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let codec = Codec::embedded();
        for topic in TopicName::ALL {
            prop_assert!(codec.decode(topic, &payload).is_err());
        }
        let _ = codec.type_of(&payload);
    }
}
