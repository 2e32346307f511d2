//! What the archive needs of its place, of each kind of place, on threads of every kind.

use std::fs;
use std::ops::ControlFlow;
use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use schemas::TopicName;
use tokio::runtime::Builder;

use super::super::{ArchiveLog, ArchiveStore, Codec};
use super::folder::{CHANNEL, Folder, at};
use crate::interrupt::Interrupt;
use crate::log::{MemoryLog, Range};

const NAME: &str = "order.commands.v1@2/0/00000000000000000010.avro";

/// A folder, which ends with the value, and memory.
fn places() -> (Folder, [ArchiveStore; 2]) {
    let folder = Folder::new();
    let stores = [folder.store.clone(), ArchiveStore::in_memory()];
    (folder, stores)
}

fn put(store: &ArchiveStore, name: &str, data: &'static [u8]) -> bool {
    store.put_new(name, Bytes::from_static(data)).unwrap()
}

#[test]
fn an_object_is_put_once_listed_and_read() {
    let (_folder, stores) = places();
    for store in stores {
        assert!(put(&store, NAME, b"segment"));
        assert!(put(&store, "order.commands.v1/topic.json", b"{}"));
        assert!(put(&store, "readme", b"?"));
        assert!(!put(&store, NAME, b"another"));
        assert_eq!(store.get(NAME).unwrap(), "segment");
        assert_eq!(store.beginning(NAME, 3).unwrap(), "seg");
        assert_eq!(store.beginning(NAME, 300).unwrap(), "segment");
        // A name that begins alike is another folder.
        assert_eq!(store.list("order.commands.v1").unwrap(), [("order.commands.v1/topic.json".to_owned(), 2)]);
        assert_eq!(store.list("order.commands.v1@2").unwrap(), [(NAME.to_owned(), 7)]);
        assert_eq!(store.list("order.events.v1").unwrap(), []);
        let top = store.top().unwrap();
        assert_eq!(
            (top.folders, top.objects),
            (vec!["order.commands.v1".to_owned(), "order.commands.v1@2".to_owned()], vec!["readme".to_owned()])
        );
        let missing = store.get("order.commands.v1/0/x.avro").unwrap_err().to_string();
        assert!(missing.contains("order.commands.v1/0/x.avro") && missing.contains("not found"), "{missing}");
    }
}

#[test]
fn of_many_who_put_under_one_name_one_does() {
    const MOST: usize = 8;
    let (folder, stores) = places();
    for store in stores {
        let together = Barrier::new(MOST);
        let contents: Vec<Bytes> = (b'a'..).take(MOST).map(|letter| vec![letter; 100_000].into()).collect();
        let put = |content: &Bytes| {
            together.wait();
            store.put_new(NAME, content.clone()).unwrap()
        };
        let won: Vec<&Bytes> = thread::scope(|scope| {
            let runs: Vec<_> = contents.iter().map(|content| (content, scope.spawn(|| put(content)))).collect();
            runs.into_iter().filter_map(|(content, run)| run.join().unwrap().then_some(content)).collect()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(store.get(NAME).unwrap(), won[0]);
        assert_eq!(store.list("order.commands.v1@2").unwrap().len(), 1);
    }
    assert!(folder.store.leftovers().unwrap().is_empty());
}

#[test]
fn what_is_half_written_is_no_object_and_is_found() {
    let folder = Folder::with_three_segments();
    let before = folder.store.list("order.commands.v1").unwrap();
    let halves = ["order.commands.v1/0/00000000000000000030.avro#1", "order.commands.v1/1/x.unfinished"];
    fs::create_dir(folder.path.join("order.commands.v1/1")).unwrap();
    for half in halves {
        fs::write(folder.path.join(half), b"Obj").unwrap();
    }
    assert_eq!(folder.store.list("order.commands.v1").unwrap(), before);
    let checked = folder.check();
    assert!(checked.is_whole() && checked.leftovers == halves, "{checked:?}");
    // They are in nobody's way.
    assert!(put(&folder.store, "order.commands.v1/0/00000000000000000030.avro", b"whole"));
    assert_eq!(folder.store.leftovers().unwrap(), halves);
}

#[test]
fn a_folder_works_on_every_thread() {
    let folder = Folder::new();
    let puts = |store: &ArchiveStore, name: &str| {
        assert!(store.put_new(name, Bytes::new()).unwrap());
        assert_eq!(store.get(name).unwrap(), "");
        assert!(store.top().unwrap().objects.contains(&name.to_owned()));
    };
    puts(&folder.store, "made and used without a runtime");
    for runtime in [Builder::new_current_thread().build().unwrap(), Builder::new_multi_thread().build().unwrap()] {
        let within = runtime.block_on(async { ArchiveStore::local(&folder.path).unwrap() });
        let flavor = runtime.handle().runtime_flavor();
        runtime.block_on(async { puts(&within, &format!("in {flavor:?}")) });
        puts(&within, &format!("beside {flavor:?}"));
        puts(&folder.store, &format!("made before {flavor:?}"));
        let blocking = runtime.spawn_blocking(move || puts(&within, &format!("beneath {flavor:?}")));
        runtime.block_on(blocking).unwrap();
    }
}

#[test]
fn a_folder_is_opened_by_its_name_and_by_its_url() {
    let folder = Folder::with_three_segments();
    let url = format!("file://{}", folder.path.display());
    let listed = folder.store.list("order.commands.v1").unwrap();
    for place in [folder.path.as_os_str(), url.as_ref()] {
        assert_eq!(ArchiveStore::open(place).unwrap().list("order.commands.v1").unwrap(), listed);
        assert_eq!(ArchiveStore::open_or_begin(place).unwrap().list("order.commands.v1").unwrap(), listed);
    }
    let (below, url) = (folder.path.join("below"), format!("{url}/below"));
    assert!(ArchiveStore::open(&url).is_err() && !below.exists());
    ArchiveStore::open_or_begin(&url).unwrap();
    assert!(below.is_dir());
    let refused = ArchiveStore::open("gs://shop/archive").unwrap_err().to_string();
    assert!(refused.contains("s3://bucket/prefix"), "{refused}");
}

#[test]
fn a_bucket_is_refused_by_a_build_without_the_feature_and_outside_of_a_runtime() {
    for opened in [ArchiveStore::open("s3://shop/archive"), ArchiveStore::open_or_begin("s3://shop/archive")] {
        let refused = opened.unwrap_err().to_string();
        let words = if cfg!(feature = "s3") { "within a Tokio runtime" } else { "--features replay-tool/s3" };
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn a_log_in_memory_becomes_an_archive_with_the_same_records() {
    let mut log = MemoryLog::new(2);
    for number in 0..1000_u32 {
        let (key, position) = (number.to_string(), format!("/order:1:1:{}", number / 2 + 1));
        let partition = usize::from(number % 2 == 1);
        log.push(TopicName::OrderCommands, partition, key.as_bytes(), &[7; 50], (position.as_bytes(), b""));
    }
    let store = ArchiveStore::in_memory();
    store.fill(&log, Codec::default()).unwrap();
    let archive = ArchiveLog::new(store.clone(), "", &Interrupt::default());
    assert_eq!(archive.bounds(CHANNEL).unwrap(), [at(0, 500), at(0, 500)]);
    let mut told = [Vec::new(), Vec::new()];
    let all = Range::all(&log.bounds(CHANNEL));
    log.read(CHANNEL, &all, &mut |record| {
        told[0].push(format!("{record:?}"));
        ControlFlow::Continue(())
    });
    archive
        .read(CHANNEL, &all, &mut |record| {
            told[1].push(format!("{record:?}"));
            ControlFlow::Continue(())
        })
        .map(drop)
        .unwrap();
    assert_eq!(told[0].len(), 1000);
    assert_eq!(told[0], told[1]);
    assert!(store.fill(&log, Codec::default()).is_err(), "it is there already");
    assert!(super::super::check(&store, true, &Interrupt::default()).unwrap().is_whole());
}
