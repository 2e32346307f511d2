//! Bounds and ranges of an archive, and what is missing in it.

use std::ops::ControlFlow;

use super::super::catalog::Edition;
use super::super::codec::Codec;
use super::folder::{CHANNEL, Folder, at, edition, plain};
use crate::error::ReplayError;
use crate::log::Range;
use crate::source::Source;

fn read(folder: &Folder, from: i64, until: i64) -> Result<Vec<i64>, ReplayError> {
    let mut offsets = Vec::new();
    Source::Archive(folder.log()).read(CHANNEL, &[Range { partition: 0, from, until }], &mut |record| {
        assert_eq!(record.key, Some(record.offset.to_string().as_bytes()));
        assert_eq!(record.timestamp_ms, 1000 + record.offset);
        offsets.push(record.offset);
        ControlFlow::Continue(())
    })?;
    Ok(offsets)
}

#[test]
fn a_range_is_read_over_the_borders_of_segments() {
    let folder = Folder::with_three_segments();
    assert_eq!(folder.log().bounds(CHANNEL).unwrap(), [at(0, 30), at(0, 0)]);
    assert_eq!(read(&folder, 0, 30).unwrap(), (0..30).collect::<Vec<_>>());
    assert_eq!(read(&folder, 9, 21).unwrap(), (9..21).collect::<Vec<_>>());
    assert_eq!(read(&folder, 12, 13).unwrap(), [12]);
    assert_eq!(read(&folder, 5, 5).unwrap(), [0; 0]);
}

#[test]
fn a_sink_that_has_enough_gets_no_more() {
    let folder = Folder::with_three_segments();
    let mut seen = 0;
    let all = [Range { partition: 0, from: 0, until: 30 }];
    let read = folder.log().read(CHANNEL, &all, &mut |_| {
        seen += 1;
        if seen == 11 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(read.unwrap().is_break());
    assert_eq!(seen, 11);
}

#[test]
fn what_is_missing_is_an_error_and_named() {
    let folder = Folder::with_three_segments();
    std::fs::remove_file(folder.segment(10)).unwrap();
    let error = read(&folder, 0, 30).unwrap_err().to_string();
    assert!(error.contains("order.commands.v1[0]: offsets 10 to 19"), "{error}");
    assert_eq!(read(&folder, 20, 30).unwrap().len(), 10);
    let error = read(&folder, 25, 35).unwrap_err().to_string();
    assert!(error.contains("offsets 30 to 34"), "{error}");
}

#[test]
fn the_latest_generation_is_read() {
    let folder = Folder::with_three_segments();
    let second = edition(CHANNEL).next_generation();
    assert_eq!(second, Edition { generation: 2, ..edition(CHANNEL) });
    second.begin(&folder.store, 2).unwrap();
    assert_eq!(folder.log().bounds(CHANNEL).unwrap(), [at(0, 0), at(0, 0)]);
    assert_eq!(Edition::latest(&folder.store, &CHANNEL.name()).unwrap(), Some(second));
}

#[test]
fn segments_of_every_codec_lie_in_one_archive() {
    let mut folder = Folder::new();
    edition(CHANNEL).begin(&folder.store, 2).unwrap();
    for (first, codec) in [(0, Codec::Zstandard), (10, Codec::Deflate), (20, Codec::Null)] {
        folder.codec = codec;
        folder.put(CHANNEL, 0, first, &(first..first + 10).collect::<Vec<_>>(), plain);
        let header = std::fs::read(folder.segment(first)).unwrap();
        let name = codec.as_str().as_bytes();
        assert!(header.windows(name.len()).any(|window| window == name), "{codec:?} is named in the header");
    }
    assert_eq!(read(&folder, 0, 30).unwrap(), (0..30).collect::<Vec<_>>());
    assert!(folder.check().is_whole());
}

#[test]
fn marks_of_transactions_are_no_gap() {
    let folder = Folder::new();
    edition(CHANNEL).begin(&folder.store, 1).unwrap();
    folder.put(CHANNEL, 0, 0, &[0, 1, 3, 7], plain);
    folder.put(CHANNEL, 0, 8, &[9], plain);
    assert_eq!(read(&folder, 0, 10).unwrap(), [0, 1, 3, 7, 9]);
    let checked = folder.check();
    assert!(checked.is_whole(), "{checked:?}");
    assert_eq!(checked.partitions[0].records, 5);
}

#[test]
fn a_segment_whose_schema_is_another_is_resolved() {
    let folder = Folder::with_three_segments();
    // The same fields with other words beside them: not ours to the byte any more.
    let file = std::fs::read(folder.segment(10)).unwrap();
    let text = b"as it lay there";
    let place = file.windows(text.len()).position(|window| window == text).unwrap();
    let mut changed = file;
    changed[place..place + text.len()].copy_from_slice(b"as it was there");
    std::fs::write(folder.segment(10), changed).unwrap();
    assert_eq!(read(&folder, 0, 30).unwrap(), (0..30).collect::<Vec<_>>());
    assert!(folder.wrong().contains("checksum"));
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let folder = Folder::new();
    let error = folder.log().bounds(CHANNEL).unwrap_err().to_string();
    assert!(error.contains("order.commands.v1"), "{error}");
}
