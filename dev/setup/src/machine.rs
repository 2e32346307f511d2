//! This machine, as far as set-up has to know it: programs, files, environment, who we are.
//!
//! One value, so that the tests can look at a folder as if it were a machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the tests make theirs.
#[cfg(test)]
pub(crate) const MACHINES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/setup/machines");

/// Writes a program of a test's machine. Another process does: a file that this one has open for writing is inherited by
/// whatever another test starts in that moment, and cannot be run until that is over ("text file busy").
#[cfg(test)]
pub(crate) fn write_program(file: &Path, script: &str) {
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let written = Command::new("/bin/sh").args(["-c", write]).arg(file).arg(script).status();
    assert!(written.unwrap().success());
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// `/`, for the tests another folder.
    root: PathBuf,
    /// The clone: the working folder of whoever says `cargo demo`.
    clone: PathBuf,
    environment: BTreeMap<String, String>,
    is_root: bool,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn this() -> Self {
        let environment = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        let clone = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let is_root = said(Command::new("id").arg("-u")).map_or(false, |user| user.trim() == "0");
        Self { root: PathBuf::from("/"), clone, environment, is_root }
    }

    /// A folder that stands for a machine, with a clone in `clone`.
    #[cfg(test)]
    pub(crate) fn in_folder(root: &Path, environment: &[(&str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { root: root.to_path_buf(), clone: root.join("clone"), environment, is_root: false }
    }

    /// Whether packages may be installed without asking for rights.
    pub(crate) fn is_root(&self) -> bool {
        self.is_root
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A path of the machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A path of the clone.
    pub(crate) fn in_clone(&self, path: &str) -> PathBuf {
        self.clone.join(path)
    }

    /// The folders of `PATH`.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        self.variable("PATH").map(|path| env::split_paths(path).collect()).unwrap_or_default()
    }

    /// A program in `PATH`.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.search_path().into_iter().map(|folder| folder.join(name)).find(|path| is_executable(path))
    }

    /// The major version of the newest Postgres with a server and `initdb`: in `PATH`, or where Debian puts it.
    pub(crate) fn postgres_major(&self) -> Option<u32> {
        let mut folders = self.search_path();
        let versions = fs::read_dir(self.path("/usr/lib/postgresql")).into_iter().flatten().flatten();
        folders.extend(versions.map(|entry| entry.path().join("bin")));
        let here = |folder: &PathBuf| is_executable(&folder.join("initdb")) && is_executable(&folder.join("postgres"));
        let version = |folder: PathBuf| number_in(&said(Command::new(folder.join("postgres")).arg("--version"))?);
        folders.into_iter().filter(here).filter_map(version).max()
    }

    /// The feature version of the Java runtime: that of `JAVA_HOME`, or else the one in `PATH`.
    pub(crate) fn java_version(&self) -> Option<u32> {
        let home = self.variable("JAVA_HOME").map(|home| Path::new(home).join("bin/java"));
        let java = home.filter(|path| is_executable(path)).or_else(|| self.program("java"))?;
        let output = Command::new(java).arg("-version").stdin(Stdio::null()).output().ok()?;
        // It says so on standard error: openjdk version "17.0.15" 2025-04-15, or "1.8.0_392".
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let version = text.split('"').nth(1)?;
        number_in(version.strip_prefix("1.").unwrap_or(version))
    }
}

/// Whether this is a file that may be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).map_or(false, |data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// What a program prints, if it ends well.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first whole number in a text.
fn number_in(text: &str) -> Option<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_out_of_what_programs_say() {
        assert_eq!(number_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(number_in("17.0.15"), Some(17));
        assert_eq!(number_in("none"), None);
    }
}
