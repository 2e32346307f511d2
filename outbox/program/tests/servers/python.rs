//! A Python environment with a Postgres driver from PyPI, made once for the workspace.
//!
//! It is made under another name and renamed when it is complete, so that a half-made one is never used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dev_stack::dev_folder;

const REQUIREMENTS: &str = include_str!("python/requirements.txt");
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/python");

/// Runs one of the programs in `python/`; returns what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(interpreter());
    command.arg(Path::new(PROGRAMS).join(program)).args(arguments);
    succeed(command, "the program failed")
}

fn interpreter() -> PathBuf {
    let folder = dev_folder().join("outbox-python");
    if fs::read_to_string(folder.join("requirements.txt")).unwrap_or_default() != REQUIREMENTS {
        make(&folder);
    }
    folder.join("bin/python3")
}

fn make(folder: &Path) {
    let half = folder.with_file_name(format!("outbox-python-{}", std::process::id()));
    fs::create_dir_all(&half).unwrap();
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&half);
    succeed(venv, "no Python environment; install the packages python3 and python3-venv");
    let requirements = half.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).unwrap();
    let mut pip = Command::new(half.join("bin/python3"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    succeed(pip, "pg8000 cannot be installed from PyPI");
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    fs::rename(&half, folder).unwrap();
}

fn succeed(mut command: Command, otherwise: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{otherwise}: {error}"));
    assert!(output.status.success(), "{otherwise}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
