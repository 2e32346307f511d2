//! The objects of the archive, in a folder: made whole and once, listed, read. Nothing else happens to an object.
//!
//! These are the operations that object stores have in common (put if absent, list, get, get a range), with their names
//! and rules, so that one can take the folder's place: an object has a path with `/`, appears whole and durable or not at
//! all, and never changes. Deliberately absent: rename, append, delete.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;

use crate::error::ReplayError;

/// What ends the name of a file that is being written. No object has such a name.
const UNFINISHED: &str = ".unfinished";

/// A place for objects; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// What is at the top of the archive, ascending.
#[derive(Debug, Default)]
pub(super) struct Top {
    pub(super) folders: Vec<String>,
    pub(super) objects: Vec<String>,
}

impl Store {
    /// A folder that is there.
    pub(crate) fn open(folder: &Path) -> Result<Self, ReplayError> {
        let name = || folder.display().to_string();
        let metadata = fs::metadata(folder).map_err(ReplayError::store(name()))?;
        if !metadata.is_dir() {
            return Err(ReplayError::archive(name(), "it is no folder"));
        }
        Ok(Store { folder: folder.to_owned() })
    }

    /// A folder that is made if it is not there.
    pub(crate) fn create(folder: &Path) -> Result<Self, ReplayError> {
        fs::create_dir_all(folder).map_err(ReplayError::store(folder.display().to_string()))?;
        Store::open(folder)
    }

    /// What is at the top.
    pub(super) fn top(&self) -> Result<Top, ReplayError> {
        let mut top = Top::default();
        for (name, is_folder) in self.entries("")? {
            if is_folder {
                top.folders.push(name);
            } else if !name.ends_with(UNFINISHED) {
                top.objects.push(name);
            }
        }
        Ok(top)
    }

    /// All objects below a folder of the archive, with their sizes; ascending by name.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, ReplayError> {
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder) in self.entries(&folder)? {
                let path = format!("{folder}/{name}");
                if is_folder {
                    folders.push(path);
                } else if !name.ends_with(UNFINISHED) {
                    let metadata = fs::metadata(self.folder.join(&path)).map_err(ReplayError::store(&path))?;
                    objects.push((path, metadata.len()));
                }
            }
        }
        objects.sort_unstable();
        Ok(objects)
    }

    /// Files that killed runs have left half-written.
    pub(super) fn leftovers(&self) -> Result<Vec<String>, ReplayError> {
        let mut leftovers = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            for (name, is_folder) in self.entries(&folder)? {
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if is_folder {
                    folders.push(path);
                } else if name.ends_with(UNFINISHED) {
                    leftovers.push(path);
                }
            }
        }
        leftovers.sort_unstable();
        Ok(leftovers)
    }

    /// The names in a folder, ascending, and whether each is a folder. A folder that is not there has none.
    fn entries(&self, folder: &str) -> Result<Vec<(String, bool)>, ReplayError> {
        let read = || {
            let entries = match fs::read_dir(self.folder.join(folder)) {
                Err(error) if error.kind() == ErrorKind::NotFound && !folder.is_empty() => return Ok(Vec::new()),
                entries => entries?,
            };
            let entry = |entry: io::Result<fs::DirEntry>| {
                let entry = entry?;
                Ok((entry.file_name().to_string_lossy().into_owned(), entry.file_type()?.is_dir()))
            };
            entries.map(entry).collect::<io::Result<Vec<_>>>()
        };
        let mut entries = read().map_err(ReplayError::store(folder))?;
        entries.sort_unstable();
        Ok(entries)
    }

    /// All of an object.
    pub(super) fn get(&self, name: &str) -> Result<Bytes, ReplayError> {
        fs::read(self.folder.join(name)).map(Bytes::from).map_err(ReplayError::store(name))
    }

    /// The first bytes of an object, or all where it has fewer.
    pub(super) fn beginning(&self, name: &str, bytes: u64) -> Result<Bytes, ReplayError> {
        let read = || {
            let mut beginning = Vec::new();
            File::open(self.folder.join(name))?.take(bytes).read_to_end(&mut beginning)?;
            Ok(Bytes::from(beginning))
        };
        read().map_err(ReplayError::store(name))
    }

    /// Make an object: whole, durable, under its name at once. False where there is one of that name already.
    pub(super) fn put_new(&self, name: &str, data: &[u8]) -> Result<bool, ReplayError> {
        self.put(&self.folder.join(name), data).map_err(ReplayError::store(name))
    }

    fn put(&self, path: &Path, data: &[u8]) -> io::Result<bool> {
        let folder = path.parent().unwrap_or(&self.folder);
        self.make_folders(folder)?;
        let unfinished = folder.join(format!("{}{UNFINISHED}", Uuid::now_v7()));
        let linked = write_durably(&unfinished, data).and_then(|()| match fs::hard_link(&unfinished, path) {
            // Unlike a rename, a link takes no name that another has taken.
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
        fs::remove_file(&unfinished)?;
        let is_new = linked?;
        File::open(folder)?.sync_all()?;
        Ok(is_new)
    }

    /// A folder whose own name is durable too.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let above = folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder));
        above.into_iter().try_for_each(|above| File::open(above)?.sync_all())
    }
}

fn write_durably(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(data)?;
    file.sync_all()
}
