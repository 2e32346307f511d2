//! The peers' programs: built with cargo, all at once, since another choice of packages is another set of features and
//! compiles much once more; and one by one where that fails, so that one does not take the others with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Doing, Result};

/// Built programs, by name; or why they could not be built.
pub(crate) struct Programs {
    folder: PathBuf,
    failed: BTreeMap<String, String>,
}

impl Programs {
    /// Builds all; why these could not be built is kept.
    pub(crate) fn build(names: &[&str]) -> Result<Self> {
        let folder = dev_stack::workspace().join("bench/peers");
        let mut failed = BTreeMap::new();
        if cargo(&folder, &[])?.is_some() {
            for name in names {
                if let Some(reason) = cargo(&folder, &[*name])? {
                    failed.insert((*name).to_owned(), reason);
                }
            }
        }
        Ok(Self { folder, failed })
    }

    /// A program, or why it could not be built.
    pub(crate) fn find(&self, name: &str) -> std::result::Result<PathBuf, String> {
        let failed = self.failed.get(name).map(|reason| format!("cannot be built: {reason}"));
        failed.map_or_else(|| Ok(self.folder.join("target/release").join(name)), Err)
    }

    /// A file of the peers' workspace.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where peers keep what they fetch.
    pub(crate) fn cache() -> PathBuf {
        dev_stack::dev_folder().join("peers")
    }
}

/// Builds; says why it could not.
fn cargo(folder: &Path, names: &[&str]) -> Result<Option<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(folder).args(["build", "--release", "--locked"]);
    command.args(names.iter().flat_map(|name| ["--package", *name]));
    let output = command.output().doing("starting cargo")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Its first error is the cause.
    let from = said.find("error").unwrap_or(0);
    Ok((!output.status.success()).then(|| said[from..].trim().to_owned()))
}
