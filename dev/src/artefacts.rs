//! What comes from Maven Central: the broker's jars, and Postgres binaries where the system has none.
//!
//! Fetched once per content of `pom.xml` into a folder named after its hash, under a lock, so that a second starter
//! waits and then finds everything there. A folder appears only whole: it is filled under another name first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::programs::{self, MAVEN, TAR, XZ};
use crate::project;
use crate::spawner::RunAs;

const POM: &str = include_str!("../pom.xml");
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// The folder that holds the broker's jars.
pub(crate) fn kafka_jars(cache: &Path) -> Result<PathBuf> {
    let wanted = cache.join("jars").join(format!("kafka-{}", fingerprint()));
    once(&wanted, |folder| maven(folder, "kafka", "copy-dependencies"))
}

/// The folder that holds Postgres' `bin`, `lib` and `share`.
pub(crate) fn postgres_binaries(cache: &Path) -> Result<PathBuf> {
    let wanted = cache.join("jars").join(format!("postgres-{}", fingerprint()));
    once(&wanted, |folder| {
        let unpacked = folder.join("unpacked");
        maven(&unpacked, "postgres", "unpack-dependencies")?;
        let entries = fs::read_dir(&unpacked).map_err(Error::file("read", &unpacked))?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let archive = paths.find(|path| path.extension().is_some_and(|end| end == "txz")).ok_or_else(|| {
            Error::file("find the Postgres archive in", &unpacked)(std::io::ErrorKind::NotFound.into())
        })?;
        XZ.find()?;
        let mut tar = Command::new(TAR.find()?);
        tar.args(["--no-same-owner", "-xJf"]).arg(archive).arg("-C").arg(folder);
        programs::run(tar, "tar", &folder.join("tar.log"), RunAs::Ourselves, FETCH_LIMIT)?;
        project::remove_folder(&unpacked)
    })
}

/// The hash of the pom: artefacts of another one are never used.
pub(crate) fn fingerprint() -> String {
    let hash = Sha256::digest(POM.as_bytes());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The folder `wanted`, filled by `fill` if it is not there yet. Only one process at a time fills it.
pub(crate) fn once(wanted: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if wanted.is_dir() {
        return Ok(wanted.to_path_buf());
    }
    let beside = |end: &str| PathBuf::from(format!("{}.{end}", wanted.display()));
    let _lock = project::lock(&beside("lock"), FETCH_LIMIT)?;
    if wanted.is_dir() {
        return Ok(wanted.to_path_buf());
    }
    let partial = beside("partial");
    project::remove_folder(&partial)?;
    fs::create_dir_all(&partial).map_err(Error::file("create", &partial))?;
    fill(&partial)?;
    fs::rename(&partial, wanted).map_err(Error::file("rename", &partial))?;
    Ok(wanted.to_path_buf())
}

fn maven(output: &Path, profile: &str, goal: &str) -> Result<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        architecture => return Err(Error::Architecture { architecture }),
    };
    fs::create_dir_all(output).map_err(Error::file("create", output))?;
    let pom = output.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file("write", &pom))?;
    let program = MAVEN.find()?;
    let run = || {
        let mut command = Command::new(&program);
        command.current_dir(output).args(["-q", "-B", "-f", "pom.xml", "-P", profile]);
        command.arg(format!("dependency:{goal}")).arg("-DincludeScope=runtime");
        command.arg(format!("-Dpostgres.architecture={architecture}"));
        command.arg(format!("-DoutputDirectory={}", output.display()));
        programs::run(command, "Maven", &output.join("maven.log"), RunAs::Ourselves, FETCH_LIMIT)
    };
    // Once more: another clone may have been filling Maven's own cache, which is not made for two, or the net hiccuped.
    run().or_else(|_| run())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_folder_is_filled_once_and_only_ever_seen_whole() {
        let base = project::dev_folder().join(format!("test-once-{}", std::process::id()));
        let wanted = base.join("thing");
        let fills = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let fill = |folder: &Path| {
                        fills.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(50));
                        fs::write(folder.join("content"), "x").map_err(Error::file("write", folder))
                    };
                    let folder = once(&wanted, fill).unwrap();
                    assert!(folder.join("content").exists());
                });
            }
        });
        assert_eq!(fills.load(Ordering::SeqCst), 1);
        project::remove_folder(&base).unwrap();
    }

    #[test]
    fn a_failed_fill_leaves_nothing_that_looks_complete() {
        let base = project::dev_folder().join(format!("test-fill-{}", std::process::id()));
        let wanted = base.join("thing");
        let broken = |_: &Path| Err(Error::Detached("broken".to_owned()));
        assert!(once(&wanted, broken).is_err());
        assert!(!wanted.exists());
        once(&wanted, |_| Ok(())).unwrap();
        project::remove_folder(&base).unwrap();
    }
}
