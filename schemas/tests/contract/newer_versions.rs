//! A program of today reads what a program of tomorrow writes, once it is given tomorrow's schemas.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use schemas::{Codec, DecodeError, LoadError, Message, MessageType, OrderId, PlaceOrder, TopicName};
use sha2::{Digest, Sha256};

use crate::released::{self, Released};
use crate::samples::{self, Sample, bytes, hex};

/// The next free range, as far as these tests go.
const FIRST_ID: u32 = 1_500_000;

/// A directory like `schemas/` of a newer release, under Cargo's folder for tests.
pub(crate) struct Folder {
    path: PathBuf,
    lock: String,
    released: Vec<Released>,
}

impl Folder {
    /// What the field that `with_every_type_one_version_on` adds is in a datum: a text of one letter.
    pub(crate) const ADDED: [u8; 3] = [2, 2, b'x'];

    /// Today's schemas.
    pub(crate) fn of_today(name: &str) -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        let mut folder = Folder { path, lock: String::new(), released: Vec::new() };
        for released in released::all() {
            folder.add(released.id, &released.topic, &released.full_name, released.version, &released.text());
        }
        folder
    }

    /// Today's schemas, and of every type a further version with one more field at its end, `added_later`.
    pub(crate) fn with_every_type_one_version_on(name: &str) -> Folder {
        let mut folder = Folder::of_today(name);
        for message_type in MessageType::ALL {
            let last = released::newest(message_type);
            let field = r#",{"name":"added_later","type":["null","string"],"default":null}]}"#;
            let text = last.text().trim_end().trim_end_matches('}').trim_end().trim_end_matches(']').to_owned() + field;
            let id = FIRST_ID + (last.id - 1_000_000);
            folder.add(id, &last.topic, &last.full_name, last.version + 1, &text);
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The sample, of a current version, as the version that was added last would have written it.
    pub(crate) fn as_next_version(&self, sample: Sample) -> Sample {
        assert!(sample.is_current(), "{} is not what is added to", sample.released.ce_type());
        let payload = self.in_next_version(sample.message_type(), &sample.payload);
        Sample { released: self.newest(sample.message_type().full_name()).clone(), body: sample.body, payload }
    }

    /// The same of a payload.
    pub(crate) fn in_next_version(&self, message_type: MessageType, payload: &[u8]) -> Vec<u8> {
        let id = self.newest(message_type.full_name()).id.to_be_bytes();
        [&[0], &id[..], &payload[5..], &Folder::ADDED].concat()
    }

    fn newest(&self, full_name: &str) -> &Released {
        self.released.iter().rfind(|released| released.full_name == full_name).unwrap()
    }

    fn add(&mut self, id: u32, topic: &str, full_name: &str, version: u32, text: &str) {
        let sha256 = hex(&Sha256::digest(text));
        self.lock += &format!("{id} {topic}-{full_name} {version} {sha256}\n");
        let name = full_name.rsplit('.').next().unwrap();
        let file = self.path.join("avro").join(topic).join(format!("{name}.v{version}.avsc"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        fs::write(self.path.join("ids.lock"), &self.lock).unwrap();
        let (topic, full_name) = (topic.to_owned(), full_name.to_owned());
        self.released.push(Released { id, topic, full_name, version, sha256 });
    }

    /// The file of the version of `PlaceOrder` that was added.
    fn next_place_order(&self) -> PathBuf {
        let version = MessageType::PlaceOrder.schema_version() + 1;
        self.path.join(format!("avro/order.commands.v1/PlaceOrder.v{version}.avsc"))
    }

    fn edited(&mut self, full_name: &str, from: &str, to: &str) -> Result<Codec, LoadError> {
        let old = self.newest(full_name).clone();
        let text = old.text();
        assert!(text.contains(from), "{from} is not in {text}");
        self.add(FIRST_ID, &old.topic, &old.full_name, old.version + 1, &text.replacen(from, to, 1));
        Codec::with_directory(&self.path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it lies in Cargo's own folder and is in nobody's way.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[test]
fn todays_own_directory_adds_nothing() {
    let codec = Codec::with_directory(released::folder()).unwrap();
    assert_eq!(format!("{codec:?}"), format!("{:?}", Codec::embedded()));
}

#[test]
fn an_added_field_is_skipped_wherever_it_stands() {
    let mut folder = Folder::of_today("added");
    let added = r#""fields": [{"name": "channel", "type": "string", "default": "web"},"#;
    let in_line = r#"{"name": "gift", "type": ["null", "string"], "default": null}, {"name": "unit_price_minor""#;
    let old = released::newest(MessageType::PlaceOrder);
    let text = old.text().replacen(r#""fields": ["#, added, 1).replacen(r#"{"name": "unit_price_minor""#, in_line, 1);
    folder.add(FIRST_ID, &old.topic, &old.full_name, old.version + 1, &text);
    let codec = Codec::with_directory(folder.path()).unwrap();

    // channel "app", then an order "o-1" of "c-1" at 0 in "EUR": one line of 2 × "s", a gift for "me", at 150, and nothing
    // of what may be left out.
    let id = hex(&FIRST_ID.to_be_bytes());
    let payload = bytes(&format!("00{id}06617070066f2d3106632d3100064555520202730402046d65ac0200000000000000000000"));
    let message = codec.decode(TopicName::OrderCommands, &payload).unwrap();
    let expected = serde_json::json!({
        "order_id": "o-1", "customer_id": "c-1", "placed_at": 0, "currency": "EUR",
        "lines": [{"sku": "s", "quantity": 2, "unit_price_minor": 150}],
    });
    assert_eq!(message, serde_json::from_value::<PlaceOrder>(expected).unwrap().into());
    assert_eq!(codec.type_of(&payload), Some("shop.order.PlaceOrder.v3"));
    assert_eq!(Codec::embedded().type_of(&payload), None);
}

#[test]
fn a_field_that_is_written_no_more_gets_its_default() {
    let mut folder = Folder::of_today("dropped");
    let codec = folder.edited(
        "shop.order.OrderCancelled",
        r#"{"name": "command_id", "type": ["null", "string"], "default": null,"#,
        r#"{"name": "note", "type": ["null", "string"], "default": null,"#,
    );
    let codec = codec.unwrap();
    let newest = released::newest(MessageType::OrderCancelled);
    let sample = samples::all().into_iter().find(|sample| sample.released == newest).unwrap();
    // Ends with "no command_id", no attributes, no origin and no reason code.
    let datum = sample.payload[5..].strip_suffix(&[0; 4]).unwrap();
    let payload = [&[0], &FIRST_ID.to_be_bytes()[..], datum, &[2, 4], b"hi", &[0; 3]].concat();
    assert_eq!(codec.decode(TopicName::OrderEvents, &payload), Ok(sample.message()));
}

#[test]
fn what_it_writes_itself_stays_the_version_it_was_built_with() {
    let folder = Folder::with_every_type_one_version_on("writes");
    let codec = Codec::with_directory(folder.path()).unwrap();
    for sample in samples::all() {
        assert_eq!(codec.encode(&sample.message()), Codec::embedded().encode(&sample.message()));
    }
}

#[test]
fn a_record_without_a_type_is_known_by_name_only() {
    let mut folder = Folder::of_today("unknown");
    let text = r#"{"type":"record","namespace":"shop.order","name":"OrderArchived","fields":[]}"#;
    folder.add(FIRST_ID, "order.events.v1", "shop.order.OrderArchived", 1, text);
    let codec = Codec::with_directory(folder.path()).unwrap();
    let payload = [&[0], &FIRST_ID.to_be_bytes()[..]].concat();
    let ce_type = "shop.order.OrderArchived.v1";
    assert_eq!(codec.type_of(&payload), Some(ce_type));
    let expected = DecodeError::UnknownType { ce_type: ce_type.to_owned() };
    assert_eq!(codec.decode(TopicName::OrderEvents, &payload), Err(expected));
}

#[test]
fn a_directory_that_is_missing_or_incomplete_is_named() {
    let error = Codec::with_directory(&released::folder().join("nowhere")).unwrap_err();
    assert!(matches!(&error, LoadError::Read { path, .. } if path.ends_with("nowhere/ids.lock")), "{error}");

    let folder = Folder::with_every_type_one_version_on("incomplete");
    let file = folder.next_place_order();
    fs::remove_file(&file).unwrap();
    let error = Codec::with_directory(folder.path()).unwrap_err();
    assert!(matches!(&error, LoadError::Read { path, .. } if *path == file), "{error}");
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let folder = Folder::with_every_type_one_version_on("changed");
    let file = folder.next_place_order();
    fs::write(&file, fs::read_to_string(&file).unwrap() + " ").unwrap();
    let error = Codec::with_directory(folder.path()).unwrap_err();
    assert!(matches!(error, LoadError::Changed { .. }), "{error}");
}

#[test]
fn what_contradicts_the_schemas_compiled_in_is_refused() {
    let old = released::newest(MessageType::PlaceOrder);
    let next = old.version + 1;
    let mut same_id = Folder::of_today("same-id");
    same_id.lock.clear();
    same_id.add(old.id, &old.topic, &old.full_name, next, &old.text());
    let mut same_version = Folder::of_today("same-version");
    same_version.lock.clear();
    same_version.add(FIRST_ID, &old.topic, &old.full_name, old.version, &old.text());
    let mut other_topic = Folder::of_today("other-topic");
    other_topic.add(FIRST_ID, "order.events.v1", &old.full_name, next, &old.text());
    for folder in [same_id, same_version, other_topic] {
        let error = Codec::with_directory(folder.path()).unwrap_err();
        assert!(matches!(error, LoadError::Conflict { .. }), "{error}");
    }
}

#[test]
fn a_schema_that_the_type_cannot_always_hold_is_refused() {
    for (full_name, from, to) in [
        ("shop.order.OrderStuck", r#""StockRelease""#, r#""StockRelease", "Refund""#),
        ("shop.order.CancelOrder", r#""order_id""#, r#""order""#),
        ("shop.stock.AdjustStock", r#""long""#, r#"["null", "long"]"#),
    ] {
        let error = Folder::of_today("incompatible").edited(full_name, from, to).unwrap_err();
        assert!(matches!(error, LoadError::Incompatible { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_no_bounded_schema_of_its_name_is_refused() {
    let recursive = r#""fields": [{"name": "more", "type": ["null", "CommitStock"], "default": null},"#;
    let empty_items = r#""fields": [{"name": "more", "type": {"type": "array", "items": "null"}, "default": []},"#;
    let dangling = r#""fields": [{"name": "more", "type": ["null", "Elsewhere"], "default": null},"#;
    for (from, to) in [
        (r#""fields": ["#, recursive),
        (r#""fields": ["#, empty_items),
        (r#""fields": ["#, dangling),
        (r#""name": "CommitStock""#, r#""name": "CommitStocks""#),
        ("{", "[{"),
    ] {
        let error = Folder::of_today("shape").edited("shop.inventory.CommitStock", from, to).unwrap_err();
        assert!(matches!(error, LoadError::Schema { .. }), "{to}: {error}");
    }
}

#[test]
fn a_message_of_todays_codec_is_read_by_one_with_a_directory() {
    let folder = Folder::with_every_type_one_version_on("both");
    let codec = Codec::with_directory(folder.path()).unwrap();
    let message: Message = schemas::CommitStock { order_id: OrderId::new("o-1").unwrap() }.into();
    let payload = Codec::embedded().encode(&message).unwrap();
    assert_eq!(codec.decode(TopicName::InventoryCommands, &payload), Ok(message));
}
