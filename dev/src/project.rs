//! Where things lie: the git-ignored folder `.dev` of the workspace, and locks in it.
//!
//! Locks are file locks, which the kernel gives back when their holder ends, so no crash leaves one behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The workspace's folder for everything that servers need and leave: `.dev`.
///
/// The workspace is the one this was built from; if that is gone, the current folder.
pub fn dev_folder() -> PathBuf {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|folder| folder.is_dir());
    let root =
        built_from.map_or_else(|| std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")), Path::to_path_buf);
    root.join(".dev")
}

/// Takes the lock of a file, waiting at most `limit` for whoever has it. Dropping the file gives it back.
pub(crate) fn lock(path: &Path, limit: Duration) -> Result<File> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(file) = try_lock(path)? {
            return Ok(file);
        }
        if Instant::now() >= deadline {
            return Err(Error::Locked { path: path.to_path_buf(), waited_s: limit.as_secs() });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Takes the lock of a file if nobody has it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path).map_err(Error::file("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::file("lock", path)(source)),
    }
}

/// Removes a folder and all in it; one that is not there is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    let mut last = None;
    // A process that is just ending may still write a file while the folder is emptied.
    for _ in 0..10 {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => last = Some(error),
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(Error::file("remove", path)(last.unwrap_or_else(|| io::Error::other("still there"))))
}

/// A path that means the same in every working folder: servers have one of their own.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::file("find", path))
}

/// The folder `to`, made as a copy of `from` and then completed by `complete`. It appears only whole, because half a
/// data folder would start as well.
pub(crate) fn copy_whole(from: &Path, to: &Path, complete: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = to.with_extension("partial");
    remove_folder(&partial)?;
    copy_folder(from, &partial)?;
    complete(&partial)?;
    fs::rename(&partial, to).map_err(Error::file("rename", &partial))
}

/// Copies a folder with its permissions; only files and folders are expected.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::file("create", to))?;
    let permissions = fs::metadata(from).map_err(Error::file("read", from))?.permissions();
    fs::set_permissions(to, permissions).map_err(Error::file("change", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let entry = entry.map_err(Error::file("read", from))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(Error::file("read", from))?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(Error::file("copy", entry.path()))?;
        }
    }
    Ok(())
}
