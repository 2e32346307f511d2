//! Where the archive lies: a folder, a bucket, memory, or whatever else `object_store` reaches.
//!
//! An object appears whole and durable under its name or not at all, and never changes; of two that are put under one
//! name the second is refused. Deliberately absent: rename, append, delete.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, PutMode};
use tokio::runtime::Handle;

use super::bucket::Bucket;
use super::location::Location;
use crate::error::ReplayError;

/// What ended the names of half-written files before the archive was written through `object_store`.
const UNFINISHED: &str = ".unfinished";

/// A place for an archive; cheap to clone, all clones the same place.
///
/// Used by blocking code: a store that is reached over a network must have been handed over within the Tokio runtime
/// that is to drive it, and runs on after.
#[derive(Debug, Clone)]
pub struct ArchiveStore {
    objects: Arc<dyn ObjectStore>,
    kind: Kind,
    runtime: Option<Handle>,
}

/// What differs from place to place.
#[derive(Debug, Clone)]
enum Kind {
    /// Only the file system shows what killed runs have left.
    Folder(PathBuf),
    Bucket {
        bucket: Arc<Bucket>,
        may_be_empty: bool,
    },
    Other,
}

/// What is at the top of the archive, ascending.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub(super) folders: Vec<String>,
    pub(super) objects: Vec<String>,
}

impl ArchiveStore {
    /// The archive at this place, which is there: a folder, `file:///folder` or `s3://bucket/prefix`. A bucket is asked for
    /// nothing yet, and needs the feature `s3` and a Tokio runtime.
    ///
    /// # Errors
    /// The URL names no place, a folder is not there, or what the environment says about the bucket cannot be meant.
    pub fn open<P: AsRef<OsStr>>(place: P) -> Result<Self, ReplayError> {
        match Location::parse(place.as_ref()).map_err(ReplayError::arguments)? {
            Location::Folder(folder) => ArchiveStore::local(folder),
            Location::Bucket { name, prefix } => ArchiveStore::bucket(&name, &prefix, false),
        }
    }

    /// The same, of a place where there may be no archive yet. A folder is made, a bucket is not.
    ///
    /// # Errors
    /// As with [`ArchiveStore::open`], and the folder cannot be made.
    pub fn open_or_begin<P: AsRef<OsStr>>(place: P) -> Result<Self, ReplayError> {
        match Location::parse(place.as_ref()).map_err(ReplayError::arguments)? {
            Location::Folder(folder) => ArchiveStore::create(folder),
            Location::Bucket { name, prefix } => ArchiveStore::bucket(&name, &prefix, true),
        }
    }

    fn bucket(name: &str, prefix: &Path, may_be_empty: bool) -> Result<Self, ReplayError> {
        let (bucket, objects) = Bucket::open(name, prefix)?;
        let kind = Kind::Bucket { bucket: Arc::new(bucket), may_be_empty };
        Ok(ArchiveStore { kind, ..ArchiveStore::from(objects) })
    }

    /// A folder that is there.
    ///
    /// # Errors
    /// It is not there, or is no folder.
    pub fn local(folder: impl AsRef<FilePath>) -> Result<Self, ReplayError> {
        let folder = folder.as_ref();
        let name = || folder.display().to_string();
        let metadata = fs::metadata(folder).map_err(|error| ReplayError::archive(name(), error))?;
        if !metadata.is_dir() {
            return Err(ReplayError::archive(name(), "it is no folder"));
        }
        let files = LocalFileSystem::new_with_prefix(folder).map_err(ReplayError::store(name()))?;
        let objects: Arc<dyn ObjectStore> = Arc::new(files.with_fsync(true));
        Ok(ArchiveStore { kind: Kind::Folder(folder.to_owned()), ..ArchiveStore::from(objects) })
    }

    /// A folder that is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(folder: impl AsRef<FilePath>) -> Result<Self, ReplayError> {
        let folder = folder.as_ref();
        // The crate makes durable the names of folders that it makes itself; those that a killed run has made may not be.
        let made = fs::create_dir_all(folder).and_then(|()| {
            let folder = folder.canonicalize()?;
            folder.parent().map_or(Ok(()), sync)?;
            sync_all(&folder)
        });
        made.map_err(|error| ReplayError::archive(folder.display().to_string(), error))?;
        ArchiveStore::local(folder)
    }

    /// Memory: an empty archive that ends with its last clone.
    pub fn in_memory() -> Self {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        ArchiveStore::from(objects)
    }

    /// What is at the top.
    pub(super) fn top(&self) -> Result<Top, ReplayError> {
        let listed = self.wait(self.objects.list_with_delimiter(None)).map_err(|error| self.error("", error))?;
        if let Kind::Bucket { bucket, may_be_empty: false } = &self.kind
            && listed.common_prefixes.is_empty()
            && listed.objects.is_empty()
        {
            return Err(bucket.nothing_there());
        }
        let mut folders: Vec<String> = listed.common_prefixes.into_iter().map(String::from).collect();
        let objects = listed.objects.into_iter().map(|object| String::from(object.location));
        let mut objects: Vec<String> = objects.filter(|name| !is_unfinished(name)).collect();
        folders.sort_unstable();
        objects.sort_unstable();
        Ok(Top { folders, objects })
    }

    /// All objects below a folder of the archive, with their sizes; ascending by name.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, ReplayError> {
        let list = async {
            let objects = self.objects.list(Some(&Path::parse(folder)?));
            objects.map_ok(|object| (String::from(object.location), object.size)).try_collect::<Vec<_>>().await
        };
        let mut objects = self.wait(list).map_err(|error| self.error(folder, error))?;
        objects.retain(|(name, _)| !is_unfinished(name));
        objects.sort_unstable();
        Ok(objects)
    }

    /// Files that killed runs have left half-written; none where it is no folder.
    pub(super) fn leftovers(&self) -> Result<Vec<String>, ReplayError> {
        let Kind::Folder(folder) = &self.kind else { return Ok(Vec::new()) };
        let mut leftovers = Vec::new();
        put_leftovers(folder, "", &mut leftovers).map_err(|error| ReplayError::archive("its files", error))?;
        leftovers.sort_unstable();
        Ok(leftovers)
    }

    /// All of an object.
    pub(super) fn get(&self, name: &str) -> Result<Bytes, ReplayError> {
        self.get_part(name, GetOptions::default())
    }

    /// The first bytes of an object, or all where it has fewer.
    pub(super) fn beginning(&self, name: &str, bytes: u64) -> Result<Bytes, ReplayError> {
        self.get_part(name, GetOptions::default().with_range(Some(GetRange::Bounded(0..bytes))))
    }

    fn get_part(&self, name: &str, options: GetOptions) -> Result<Bytes, ReplayError> {
        let get = async { self.objects.get_opts(&Path::parse(name)?, options).await?.bytes().await };
        self.wait(get).map_err(|error| self.error(name, error))
    }

    /// Make an object: whole, durable, under its name at once. False where there is one of that name already.
    pub(super) fn put_new(&self, name: &str, data: Bytes) -> Result<bool, ReplayError> {
        let place = Path::parse(name).map_err(|error| self.error(name, error.into()))?;
        if let Kind::Bucket { bucket, .. } = &self.kind {
            return self.wait(bucket.put_new(&self.objects, &place, data));
        }
        match self.wait(self.objects.put_opts(&place, data.into(), PutMode::Create.into())) {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.error(name, error)),
        }
    }

    /// What the store said about this object or folder; no name: about all of the archive.
    fn error(&self, name: &str, error: Error) -> ReplayError {
        match &self.kind {
            Kind::Bucket { bucket, .. } => bucket.error(name, &error),
            Kind::Folder(_) | Kind::Other => ReplayError::store(if name.is_empty() { "its top" } else { name })(error),
        }
    }

    /// Wait on this thread, whichever it is: a runtime's own way to wait refuses its workers and needs a runtime.
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        let _within = self.runtime.as_ref().map(Handle::enter);
        let waker = Waker::from(Arc::new(Unparks(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(done) => return done,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl From<Arc<dyn ObjectStore>> for ArchiveStore {
    /// Any store that can put if absent; to begin below its top, wrap it in a `PrefixStore`.
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        ArchiveStore { objects, kind: Kind::Other, runtime: Handle::try_current().ok() }
    }
}

/// Wakes a thread that waits.
struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn is_unfinished(name: &str) -> bool {
    name.ends_with(UNFINISHED)
}

/// `object_store` writes into `<name>#<number>` before a file takes its name, and shows these files to nobody.
fn is_staged(file_name: &str) -> bool {
    let number = file_name.split_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn put_leftovers(folder: &FilePath, above: &str, leftovers: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            put_leftovers(&entry.path(), &format!("{above}{name}/"), leftovers)?;
        } else if is_unfinished(&name) || is_staged(&name) {
            leftovers.push(format!("{above}{name}"));
        }
    }
    Ok(())
}

/// Make the names in a folder durable.
fn sync(folder: &FilePath) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn sync_all(folder: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    sync(folder)
}
