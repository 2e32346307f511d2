//! Where things lie: the git-ignored folder `.dev` of the workspace, and locks in it.
//!
//! Locks are file locks, which the kernel gives back when their holder ends, so no crash leaves one behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Where servers keep everything, if not in `.dev` of the workspace.
const FOLDER_VARIABLE: &str = "DEV_FOLDER";

/// The folder for everything that servers need and leave: what `DEV_FOLDER` names, else `.dev` of the [`workspace`].
pub fn dev_folder() -> PathBuf {
    dev_folder_in(std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from), workspace())
}

fn dev_folder_in(named: Option<PathBuf>, workspace: PathBuf) -> PathBuf {
    let named = named.filter(|folder| !folder.as_os_str().is_empty());
    // Servers have working folders of their own.
    named.map_or(workspace.join(".dev"), |folder| std::path::absolute(&folder).unwrap_or(folder))
}

/// The workspace: the nearest one above the current folder, else above this program, else the current folder. Found when
/// the program runs, so that a clone may be moved, and its programs used in another one.
pub fn workspace() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let program = std::env::current_exe().unwrap_or_default();
    root_above(&here).or_else(|| root_above(&program)).unwrap_or(here)
}

/// The nearest folder at or above `place` that is the root of this workspace: it has the list of its servers.
fn root_above(place: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| ["Cargo.toml", "dev/pom.xml"].iter().all(|file| folder.join(file).is_file());
    place.ancestors().find(is_root).map(Path::to_path_buf)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_found_from_below_and_from_nowhere_else() {
        let root = root_above(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(root_above(&root.join("dev/src")), Some(root.clone()));
        assert_eq!(root_above(Path::new("/proc/self")), None);
        // Tests run in their package's folder.
        assert_eq!(workspace(), root);

        // A clone elsewhere is a workspace of its own, wherever this program was built.
        let clone = root.join(".dev").join(format!("test-clone-{}", std::process::id()));
        fs::create_dir_all(clone.join("dev/src")).unwrap();
        assert_eq!(root_above(&clone.join("dev/src")), Some(root));
        for file in ["Cargo.toml", "dev/pom.xml"] {
            fs::write(clone.join(file), "").unwrap();
        }
        assert_eq!(root_above(&clone.join("dev/src")), Some(clone.clone()));
        remove_folder(&clone).unwrap();
    }

    #[test]
    fn a_folder_that_is_named_goes_before_that_of_the_workspace() {
        let of = |named: Option<&str>| dev_folder_in(named.map(PathBuf::from), PathBuf::from("/clone"));
        assert_eq!((of(None), of(Some(""))), (PathBuf::from("/clone/.dev"), PathBuf::from("/clone/.dev")));
        assert_eq!(of(Some("/elsewhere")), PathBuf::from("/elsewhere"));
        assert!(of(Some("near")).is_absolute());
    }
}
