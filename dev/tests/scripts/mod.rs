//! Processes for tests: lines of a shell, each with a folder for its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use dev_stack::dev_folder;

/// The log of this test program's process of that name, in a folder of its own.
pub(crate) fn log(name: &str) -> PathBuf {
    dev_folder().join(format!("test-{}-{name}", process::id())).join("log")
}

/// What runs this script.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// Removes the log's folder.
pub(crate) fn forget(log: &Path) {
    fs::remove_dir_all(log.parent().expect("a folder")).expect("removed");
}
