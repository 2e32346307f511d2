//! What the notes of the runs tell of segments that are not there.

use std::fs;

use super::super::catalog::Edition;
use super::super::check::Kind;
use super::super::notes::{Ends, Noted, note};
use super::folder::{CHANNEL, Folder, edition};

fn put(folder: &Folder, ends: &[i64]) {
    note(&folder.store, Ends::from([(edition(CHANNEL), ends.to_vec())])).unwrap();
}

/// With three segments, of which a note tells.
fn noted() -> Folder {
    let folder = Folder::with_three_segments();
    put(&folder, &[30, 0]);
    assert!(folder.check().is_whole());
    folder
}

#[test]
fn missing_last_segments_are_named() {
    let folder = noted();
    fs::remove_file(folder.segment(20)).unwrap();
    let missing = "are missing: they were archived, by the newest note";
    assert_eq!(folder.wrong(), format!("order.commands.v1[0]: offsets 20 to 29 {missing}"));
    let read = folder.log().bounds(CHANNEL).unwrap_err().to_string();
    assert_eq!(read, "order.commands.v1[0]: offsets 20 to 29 are missing in the archive");
    fs::remove_file(folder.segment(10)).unwrap();
    assert_eq!(folder.wrong(), format!("order.commands.v1[0]: offsets 10 to 29 {missing}"));
    fs::remove_file(folder.segment(0)).unwrap();
    assert_eq!(folder.wrong(), format!("order.commands.v1[0]: offsets 0 to 29 {missing}"));
    fs::remove_dir_all(folder.path.join("order.commands.v1")).unwrap();
    let findings = folder.check().findings;
    let kinds: Vec<Kind> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Damaged, Kind::Gap], "{findings:?}");
}

#[test]
fn a_note_says_all_that_was_said_before_it_and_nothing_twice() {
    let folder = noted();
    let notes = || folder.store.list("runs").unwrap().len();
    put(&folder, &[30, 0]);
    put(&folder, &[20, 0]);
    assert_eq!(notes(), 1, "there was nothing new");
    let other = Edition { topic: "order.events.v1".into(), generation: 2 };
    note(&folder.store, Ends::from([(other.clone(), vec![7])])).unwrap();
    put(&folder, &[20, 5]);
    assert_eq!(notes(), 3);
    let ends = Noted::newest(&folder.store).unwrap().ends;
    assert_eq!(ends, Ends::from([(edition(CHANNEL), vec![30, 5]), (other, vec![7])]));
}

#[test]
fn a_note_that_cannot_be_read_is_named_and_the_one_before_it_counts() {
    let folder = noted();
    put(&folder, &[40, 0]);
    let (newest, _) = folder.store.list("runs").unwrap().pop().unwrap();
    fs::write(folder.path.join(&newest), b"{\"format\":1,").unwrap();
    assert!(folder.wrong().starts_with(&format!("{newest}: unreadable")), "{}", folder.wrong());
    fs::write(folder.path.join(&newest), b"{\"format\":2,\"noted_at\":\"2026-11-21T00:00:00Z\",\"topics\":[]}")
        .unwrap();
    assert!(folder.wrong().contains("format 2"), "{}", folder.wrong());
    fs::rename(folder.path.join(&newest), folder.path.join("runs/last.json")).unwrap();
    assert_eq!(folder.wrong(), "runs/last.json: it does not belong here");
    fs::remove_file(folder.segment(20)).unwrap();
    assert_eq!(folder.check().findings_found, 2);
}

#[test]
fn a_last_segment_that_cannot_be_read_is_not_missing_too() {
    let folder = noted();
    fs::write(folder.segment(20), b"Obj").unwrap();
    assert!(folder.wrong().starts_with("order.commands.v1/0/00000000000000000020.avro"), "{}", folder.wrong());
}
