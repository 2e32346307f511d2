//! Notes of runs that could not be read: no gap to whoever reads or checks, and known for what they are.

use std::fs;
use std::ops::ControlFlow;

use super::super::run_note;
use super::folder::{CHANNEL, Folder, at, edition, plain};
use crate::error::UnreadableRun;
use crate::log::Range;

fn note(folder: &Folder, first: i64, last: i64) -> UnreadableRun {
    let (topic, cause) = (CHANNEL.name(), "bad".to_owned());
    let run = UnreadableRun { topic, partition: 0, first, last, cause };
    assert!(run_note::put(&edition(CHANNEL), &folder.store, &run).unwrap());
    run
}

fn offsets(folder: &Folder, from: i64, until: i64) -> Result<Vec<i64>, String> {
    let mut offsets = Vec::new();
    let read = folder.log().read(CHANNEL, &[Range { partition: 0, from, until }], &mut |record| {
        offsets.push(record.offset);
        ControlFlow::Continue(())
    });
    read.map(|_| offsets).map_err(|error| error.to_string())
}

#[test]
fn a_run_between_segments_and_one_behind_the_last_are_no_gap() {
    let folder = Folder::with_three_segments();
    fs::remove_file(folder.segment(10)).unwrap();
    let missing = "order.commands.v1[0]: offsets 10 to 19 are missing: no segment begins at 10";
    assert_eq!(folder.wrong(), missing);
    let runs = vec![note(&folder, 10, 14), note(&folder, 15, 19), note(&folder, 30, 31)];
    let checked = folder.check();
    assert!(checked.is_whole(), "{checked:?}");
    assert_eq!(checked.unreadable, runs);
    assert_eq!(folder.log().unreadable(CHANNEL).unwrap(), runs);
    assert_eq!(folder.log().bounds(CHANNEL).unwrap(), [at(0, 32), at(0, 0)]);
    assert_eq!(folder.log().archived(CHANNEL).unwrap()[0].last.as_ref().unwrap().offset, 29);
    let all: Vec<i64> = (0..10).chain(20..30).collect();
    assert_eq!(offsets(&folder, 0, 32).unwrap(), all);
    assert_eq!(offsets(&folder, 12, 21).unwrap(), [20]);
    assert_eq!(offsets(&folder, 12, 17).unwrap(), [0; 0]);
    assert!(offsets(&folder, 0, 33).unwrap_err().contains("offsets 32 to 32"));
    // Half of it is a gap again.
    fs::remove_file(folder.path.join("order.commands.v1/0/00000000000000000015-00000000000000000019.unreadable.json"))
        .unwrap();
    assert!(folder.wrong().contains("offsets 15 to 19 are missing"), "{}", folder.wrong());
    assert!(offsets(&folder, 0, 32).unwrap_err().contains("offsets 15 to 19"));
}

#[test]
fn an_archive_may_begin_with_a_run_and_hold_nothing_else() {
    let folder = Folder::new();
    edition(CHANNEL).begin(&folder.store, 2).unwrap();
    note(&folder, 0, 4);
    assert_eq!(folder.log().bounds(CHANNEL).unwrap(), [at(0, 5), at(0, 0)]);
    assert!(folder.check().is_whole());
    folder.put(CHANNEL, 0, 5, &[5, 6], plain);
    assert_eq!(offsets(&folder, 0, 7).unwrap(), [5, 6]);
    assert!(folder.check().is_whole(), "{:?}", folder.check());
}

#[test]
fn a_note_that_says_something_else_is_named() {
    let folder = Folder::with_three_segments();
    note(&folder, 30, 31);
    let name = "order.commands.v1/0/00000000000000000030-00000000000000000031.unreadable.json";
    fs::write(folder.path.join(name), b"{}").unwrap();
    assert!(folder.wrong().contains("unreadable: missing field"), "{}", folder.wrong());
    fs::rename(folder.path.join(name), folder.path.join("order.commands.v1/0/30-31.unreadable.json")).unwrap();
    assert_eq!(folder.wrong(), "order.commands.v1/0/30-31.unreadable.json: it does not belong here");
}
