//! The codec against apache-avro's, which knows nothing of it, and against bytes that are no records.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::super::foreign::Foreign;
use super::super::kept::Kept;
use super::*;

/// A record of a topic.
#[derive(Debug, Clone)]
struct Given {
    topic: String,
    record: Kept,
}

impl Given {
    fn record(&self) -> Record<'_> {
        self.record.record()
    }

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, &self.topic, &self.record());
        out
    }
}

fn given() -> impl Strategy<Value = Given> {
    let types = prop_oneof![Just(TimestampType::None), Just(TimestampType::Create), Just(TimestampType::LogAppend)];
    let bytes = || of(vec(any::<u8>(), 0..200));
    let headers = of(vec((".{0,12}", bytes()), 0..6));
    let numbers = (any::<i32>(), any::<i64>(), any::<i64>());
    ("[a-z.]{0,12}", numbers, types, bytes(), bytes(), headers).prop_map(
        |(topic, (partition, offset, timestamp_ms), timestamp_type, key, payload, headers)| Given {
            topic,
            record: Kept { partition, offset, timestamp_ms, timestamp_type, key, payload, headers },
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_apache_avro_reads_the_same(given in given()) {
        let bytes = given.encoded();
        let mut cursor = Cursor::new(&bytes);
        let mut headers = Vec::new();
        let (topic, record) = cursor.record(&mut headers).unwrap();
        prop_assert!(cursor.is_at_end());
        prop_assert_eq!(topic, given.topic.as_bytes());
        prop_assert_eq!(&record, &given.record());

        let foreign = Foreign::new(SCHEMA).unwrap();
        let mut rest = bytes.as_slice();
        let owned = foreign.record(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&owned.topic, given.topic.as_bytes());
        prop_assert_eq!(&owned.record.record(), &given.record());
    }

    #[test]
    fn what_apache_avro_writes_is_read(given in given()) {
        let schema = Schema::parse_str(SCHEMA).unwrap();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut given.encoded().as_slice());
        let written = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
        let bytes = written.write_value_to_vec(value.unwrap()).unwrap();
        let mut headers = Vec::new();
        prop_assert_eq!(&Cursor::new(&bytes).record(&mut headers).unwrap().1, &given.record());
    }

    #[test]
    fn a_part_of_a_record_is_none(given in given(), cut in any::<prop::sample::Index>()) {
        let bytes = given.encoded();
        let part = &bytes[..cut.index(bytes.len())];
        prop_assert!(Cursor::new(part).record(&mut Vec::new()).is_err());
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        let mut cursor = Cursor::new(&bytes);
        while cursor.record(&mut Vec::new()).is_ok() {}
    }

    #[test]
    fn a_changed_byte_is_never_read_differently_than_apache_avro_reads_it(
        given in given(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = given.encoded();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut rest = bytes.as_slice();
        let theirs = Foreign::new(SCHEMA).unwrap().record(&mut rest);
        if let (Ok((_, ours)), Ok(theirs)) = (Cursor::new(&bytes).record(&mut Vec::new()), theirs) {
            prop_assert_eq!(ours, theirs.record.record());
        }
    }

    #[test]
    fn numbers_come_back(number in any::<i64>()) {
        let mut bytes = Vec::new();
        put_long(&mut bytes, number);
        prop_assert_eq!(Cursor::new(&bytes).long(), Ok(number));
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let mut bytes = Vec::new();
    put_long(&mut bytes, i64::MAX);
    assert_eq!(Cursor::new(&bytes).bytes(), Err(Malformed::CutOff));
    assert_eq!(Cursor::new(&bytes).count(), Err(Malformed::Length(i64::MAX)));
    let mut bytes = Vec::new();
    put_long(&mut bytes, -1);
    assert_eq!(Cursor::new(&bytes).bytes(), Err(Malformed::Length(-1)));
    assert_eq!(Cursor::new(&[0xff; 11]).long(), Err(Malformed::Number));
}

#[test]
fn an_array_in_several_blocks_with_sizes_is_read() {
    // Other writers may cut an array as they like, and tell a block's size when its count is negative.
    let given = Given {
        topic: "t".into(),
        record: Kept {
            partition: 0,
            offset: 1,
            timestamp_ms: 2,
            timestamp_type: TimestampType::Create,
            key: None,
            payload: None,
            headers: Some(Vec::new()),
        },
    };
    let mut bytes = given.encoded();
    bytes.pop();
    for name in ["a", "b"] {
        let mut item = Vec::new();
        put_bytes(&mut item, name.as_bytes());
        put_long(&mut item, 0);
        put_long(&mut bytes, -1);
        put_long(&mut bytes, i64::try_from(item.len()).unwrap());
        bytes.extend(item);
    }
    put_long(&mut bytes, 0);
    assert_eq!(
        Cursor::new(&bytes).record(&mut Vec::new()).unwrap().1.headers.as_deref(),
        Some(&[("a", None), ("b", None)][..])
    );
}
