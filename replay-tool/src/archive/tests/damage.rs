//! Whatever happens to an archive, the check names it.

use std::fs;
use std::ops::ControlFlow;

use schemas::TopicName;

use super::super::check::Kind;
use super::super::codec::Codec;
use super::super::container::Header;
use super::folder::{CHANNEL, Folder, edition, plain};
use crate::log::{Channel, Range};

#[test]
fn a_whole_archive_is_whole() {
    let checked = Folder::with_three_segments().check();
    assert!(checked.is_whole(), "{checked:?}");
    let partition = &checked.partitions[0];
    assert_eq!((partition.segments, partition.records, partition.first, partition.end), (3, 30, 0, 30));
}

#[test]
fn every_changed_byte_is_noticed() {
    let folder = Folder::with_three_segments();
    let file = fs::read(folder.segment(10)).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        fs::write(folder.segment(10), changed).unwrap();
        assert!(!folder.check().is_whole(), "byte {at} of {}", file.len());
    }
}

#[test]
fn a_segment_that_is_cut_off_anywhere_is_noticed_and_its_place_named() {
    let folder = Folder::with_three_segments();
    let file = fs::read(folder.segment(10)).unwrap();
    for length in 0..file.len() {
        fs::write(folder.segment(10), &file[..length]).unwrap();
        let wrong = folder.wrong();
        assert!(wrong.contains("order.commands.v1/0/00000000000000000010.avro"), "{length}: {wrong}");
    }
    fs::write(folder.segment(10), &file[..file.len() - 3]).unwrap();
    assert!(folder.wrong().contains("byte "), "{}", folder.wrong());
    let all = [Range { partition: 0, from: 0, until: 30 }];
    let read = folder.log().read(CHANNEL, &all, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
    assert!(read.contains("00000000000000000010.avro") && read.contains("ends within this block"), "{read}");
}

#[test]
fn a_changed_byte_never_becomes_another_record() {
    for codec in [Codec::Deflate, Codec::Zstandard, Codec::Null] {
        let mut folder = Folder::new();
        folder.codec = codec;
        edition(CHANNEL).begin(&folder.store, 1).unwrap();
        folder.put(CHANNEL, 0, 0, &[0, 1, 2], plain);
        let file = fs::read(folder.segment(0)).unwrap();
        let all = [Range { partition: 0, from: 0, until: 3 }];
        for at in Header::read(&file).unwrap().length..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x01;
            fs::write(folder.segment(0), changed).unwrap();
            let read = folder.log().read(CHANNEL, &all, &mut |_| ControlFlow::Continue(()));
            let error = read.unwrap_err().to_string();
            assert!(error.contains("00000000000000000000.avro"), "{codec:?}, byte {at} of {}: {error}", file.len());
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    let folder = Folder::with_three_segments();
    fs::remove_file(folder.segment(10)).unwrap();
    assert_eq!(folder.wrong(), "order.commands.v1[0]: offsets 10 to 19 are missing: no segment begins at 10");
    fs::remove_file(folder.segment(0)).unwrap();
    assert_eq!(folder.wrong(), "order.commands.v1[0]: offsets 0 to 19 are missing: it begins at 20");
}

#[test]
fn a_segment_under_another_name_is_noticed() {
    let folder = Folder::with_three_segments();
    fs::rename(folder.segment(20), folder.segment(30)).unwrap();
    let checked = folder.check();
    assert!(checked.findings.iter().any(|finding| finding.kind == Kind::Damaged), "{checked:?}");
    assert!(checked.findings.iter().any(|finding| finding.kind == Kind::Gap), "{checked:?}");
}

#[test]
fn what_does_not_belong_is_named() {
    let folder = Folder::with_three_segments();
    for strange in ["notes.txt", "order.commands.v1/0/10.avro", "order.commands.v1/readme"] {
        fs::write(folder.path.join(strange), b"?").unwrap();
        assert!(folder.wrong().starts_with(strange), "{}", folder.wrong());
        fs::remove_file(folder.path.join(strange)).unwrap();
    }
    fs::remove_file(folder.path.join("order.commands.v1/topic.json")).unwrap();
    assert!(folder.wrong().contains("topic.json: it is missing"), "{}", folder.wrong());
}

#[test]
fn a_hole_in_a_lane_is_named() {
    const EVENTS: Channel = Channel::Messages(TopicName::OrderEvents);
    fn positions(offset: i64) -> Vec<(String, Vec<u8>)> {
        // A repetition at offset 2, and one that is missing before offset 5.
        let sequence = [1, 2, 2, 3, 4, 6][usize::try_from(offset).unwrap()];
        vec![("outbox-position".into(), format!("/order:1:1:{sequence}").into_bytes())]
    }
    let folder = Folder::new();
    edition(EVENTS).begin(&folder.store, 1).unwrap();
    folder.put(EVENTS, 0, 0, &[0, 1, 2, 3, 4, 5], positions);
    assert_eq!(folder.wrong(), "order.events.v1[0]@5: /order:1:1:6, where sequence 5 is due");
}
