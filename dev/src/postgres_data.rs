//! A Postgres data folder: made from a template, and cleared of what a killed server left.
//!
//! `initdb` runs once per machine and version, in a folder that gets its name only when it is whole, because a
//! half-made cluster starts too. Every stack then copies it.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::Pid;

use crate::artefacts;
use crate::error::{Error, Result};
use crate::process_table::Process;
use crate::programs;
use crate::spawner::RunAs;

const INITDB_LIMIT: Duration = Duration::from_secs(120);
/// In the postmaster's own file: line 1 is its pid, line 7 the key and id of its System V segment.
const SHARED_MEMORY_LINE: usize = 6;

/// A template cluster and the password of its superuser.
pub(crate) struct Template {
    pub(crate) data: PathBuf,
    pub(crate) password: String,
}

/// The template made by this `initdb`, made now if it is not there yet.
pub(crate) fn template(cache: &Path, bin: &Path, version: &str, run_as: RunAs) -> Result<Template> {
    let folder = artefacts::once(&cache.join("template").join(format!("postgres-{version}")), |folder| {
        let password = random_password();
        let password_file = folder.join("password");
        write_private(&password_file, &password)?;
        let data = folder.join("data");
        fs::DirBuilder::new().mode(0o700).create(&data).map_err(Error::file("create", &data))?;
        give_to(folder, run_as)?;
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.current_dir(folder).args(["-D", "data", "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"]);
        initdb.args(["-A", "scram-sha-256", "--pwfile", "password"]);
        programs::run(initdb, "initdb", &folder.join("initdb.log"), run_as, INITDB_LIMIT)
    })?;
    let password_file = folder.join("password");
    let password = fs::read_to_string(&password_file).map_err(Error::file("read", &password_file))?;
    Ok(Template { data: folder.join("data"), password })
}

/// Makes a folder and all in it the property of the user as whom a server will run.
pub(crate) fn give_to(folder: &Path, run_as: RunAs) -> Result<()> {
    let RunAs::User(uid, gid) = run_as else { return Ok(()) };
    std::os::unix::fs::chown(folder, Some(uid.as_raw()), Some(gid.as_raw()))
        .map_err(Error::file("give away", folder))?;
    if folder.is_dir() {
        for entry in fs::read_dir(folder).map_err(Error::file("read", folder))? {
            give_to(&entry.map_err(Error::file("read", folder))?.path(), run_as)?;
        }
    }
    Ok(())
}

/// Removes `postmaster.pid` if the process that it names is gone, a zombie, or not Postgres on this folder any more.
///
/// A killed postmaster can stay a zombie for a second, and its file would keep the next one from starting.
pub(crate) fn forget_dead_postmaster(data: &Path) -> Result<()> {
    let file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).map(Pid::from_raw);
    let lives = pid.and_then(Process::find).is_some_and(|process| !process.is_zombie() && works_in(process.pid, data));
    if lives { Ok(()) } else { fs::remove_file(&file).map_err(Error::file("remove", &file)) }
}

/// Whether what Postgres wrote says that processes of its predecessor are still ending.
pub(crate) fn is_in_use(log_tail: &str) -> bool {
    log_tail.contains("pre-existing shared memory block")
        || log_tail.contains("lock file \"postmaster.pid\" already exists")
}

/// Gives back the System V segment of a postmaster that was killed and never came back.
pub(crate) fn release_shared_memory(data: &Path) {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return };
    let Some(id) = text.lines().nth(SHARED_MEMORY_LINE).and_then(|line| line.split_ascii_whitespace().nth(1)) else {
        return;
    };
    // Best effort: it is a few bytes, and the program belongs to every Debian.
    let _ = Command::new("ipcrm").args(["-m", id]).output();
}

fn works_in(pid: Pid, data: &Path) -> bool {
    // A postmaster's working folder is its data folder.
    match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(data)) {
        (Ok(folder), Ok(data)) => folder == data,
        // Not ours to look at: better to let Postgres decide.
        _ => true,
    }
}

fn random_password() -> String {
    // Seeded by the system for every instance; enough for a server on the loopback of a developer's machine.
    (0..2_u8).map(|part| format!("{:016x}", RandomState::new().hash_one(part))).collect()
}

/// Writes a file that nobody else can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;

    fn folder(name: &str) -> PathBuf {
        let folder = project::dev_folder().join(format!("test-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn the_file_of_a_dead_postmaster_is_removed_and_that_of_a_live_process_elsewhere_too() {
        let data = folder("dead-postmaster");
        let file = data.join("postmaster.pid");
        // No process has the largest id that Linux knows plus one.
        for pid in [4_194_305, i32::try_from(std::process::id()).unwrap()] {
            fs::write(&file, format!("{pid}\n{}\n", data.display())).unwrap();
            forget_dead_postmaster(&data).unwrap();
            assert!(!file.exists(), "{pid}");
        }
        forget_dead_postmaster(&data).unwrap();
        project::remove_folder(&data).unwrap();
    }

    #[test]
    fn the_file_of_a_process_that_works_in_the_folder_stays() {
        let data = folder("live-postmaster");
        let mut command = Command::new("sleep");
        command.arg("60").current_dir(&data);
        let child = crate::Child::spawn(command, "sleep", &data.join("log")).unwrap();
        let file = data.join("postmaster.pid");
        fs::write(&file, child.pid().to_string()).unwrap();
        forget_dead_postmaster(&data).unwrap();
        assert!(file.exists());
        child.kill9().unwrap();
        forget_dead_postmaster(&data).unwrap();
        assert!(!file.exists());
        project::remove_folder(&data).unwrap();
    }
}
