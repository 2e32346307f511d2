//! Finding programs of this machine, and running the short ones to their end.
//!
//! A program that is not there is an error that names the Debian package that brings it.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::child::Child;
use crate::error::{Error, Result};
use crate::spawner::{ParentDeath, RunAs};

/// A program that the stack needs, and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

pub(crate) const JAVA: Program = Program { name: "java", package: "default-jre-headless" };
pub(crate) const MAVEN: Program = Program { name: "mvn", package: "maven" };
pub(crate) const TAR: Program = Program { name: "tar", package: "tar" };
pub(crate) const PYTHON: Program = Program { name: "python3", package: "python3" };
pub(crate) const XZ: Program = Program { name: "xz", package: "xz-utils" };

impl Program {
    /// Its path.
    pub(crate) fn find(self) -> Result<PathBuf> {
        self.find_in(&search_path())
    }

    fn find_in(self, folders: &[PathBuf]) -> Result<PathBuf> {
        let found = folders.iter().map(|folder| folder.join(self.name)).find(|path| is_executable(path));
        found.ok_or(Error::MissingProgram { program: self.name, package: self.package })
    }
}

/// The Java runtime: that of `JAVA_HOME` if it is set, else the one in `PATH`.
pub(crate) fn find_java() -> Result<PathBuf> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    home.filter(|path| is_executable(path)).map_or_else(|| JAVA.find(), Ok)
}

/// The folders of `PATH`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Runs a command to its end, output into `log`. A bad end or one later than `limit` is an error.
pub(crate) fn run(command: Command, name: &str, log: &Path, run_as: RunAs, limit: Duration) -> Result<()> {
    let child = Child::spawn_as(command, name.to_owned(), log, run_as, ParentDeath::Signal(Signal::SIGKILL))?;
    let outcome = match child.wait_timeout(limit)? {
        Some(status) if status.success() => return Ok(()),
        Some(status) => status.to_string(),
        None => format!("not done after {} s", limit.as_secs()),
    };
    Err(Error::Program { program: name.to_owned(), outcome, tail: child.tail() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_debian_package() {
        for program in [JAVA, MAVEN, TAR, XZ] {
            let words = program.find_in(&[PathBuf::from("/nowhere")]).unwrap_err().to_string();
            assert!(words.contains(program.name) && words.contains(program.package), "{words}");
        }
    }
}
