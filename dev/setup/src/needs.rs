//! What has to be on the machine, for what, and in which package of Debian: the one place that says so.
//!
//! Not here: the C library's headers, without which this program had not been linked; `tar`, which every Debian has;
//! zlib and zstd, which are compiled in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{said, Machine};

/// The oldest Java that runs Kafka, and the oldest Postgres of the system that is taken.
const OLDEST_JAVA: u32 = 17;
const OLDEST_POSTGRES: u32 = 15;

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling.
    Build,
    /// A broker of our own.
    Kafka,
    /// A database server of our own.
    Postgres,
    /// The whole suite.
    Tests,
}

/// Something that has to be there. (Rust 1.63 cannot derive `Debug` for its function.)
pub(crate) struct Need {
    /// As it is named to a person.
    pub(crate) name: &'static str,
    /// What Debian calls the package.
    pub(crate) package: &'static str,
    purpose: Purpose,
    is_there: fn(&Machine) -> bool,
}

const NEEDS: [Need; 12] = [
    need("c++", "build-essential", Purpose::Build, |machine| machine.program("c++").is_some()),
    need("make", "build-essential", Purpose::Build, |machine| machine.program("make").is_some()),
    need("pkg-config", "pkg-config", Purpose::Build, |machine| machine.program("pkg-config").is_some()),
    need("OpenSSL's headers", "libssl-dev", Purpose::Build, has_openssl),
    need("Java 17", "default-jre-headless", Purpose::Kafka, has_java),
    need("Maven (or KAFKA_HOME)", "maven", Purpose::Kafka, |machine| has_kafka(machine) || has_maven(machine)),
    need("Maven (or a Postgres of 15 or later)", "maven", Purpose::Postgres, |machine| {
        has_postgres(machine) || has_maven(machine)
    }),
    need("xz", "xz-utils", Purpose::Postgres, |machine| has_postgres(machine) || machine.program("xz").is_some()),
    need("Python's venv", "python3-venv", Purpose::Tests, has_venv),
    need("Python's pip", "python3-pip", Purpose::Tests, has_pip),
    need("Chromium (or CHROMIUM)", "chromium", Purpose::Tests, |machine| has_browser(machine, "CHROMIUM", "chromium")),
    need("chromedriver (or CHROMEDRIVER)", "chromium-driver", Purpose::Tests, |machine| {
        has_browser(machine, "CHROMEDRIVER", "chromedriver")
    }),
];

const fn need(name: &'static str, package: &'static str, purpose: Purpose, is_there: fn(&Machine) -> bool) -> Need {
    Need { name, package, purpose, is_there }
}

/// What the machine lacks for these purposes.
pub(crate) fn missing(machine: &Machine, purposes: &[Purpose]) -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| purposes.contains(&need.purpose) && !(need.is_there)(machine)).collect()
}

fn has_openssl(machine: &Machine) -> bool {
    let asked = || {
        let program = machine.program("pkg-config")?;
        said(Command::new(program).args(["--exists", "openssl"]))
    };
    machine.variable("OPENSSL_DIR").is_some()
        || machine.path("/usr/include/openssl/ssl.h").is_file()
        || asked().is_some()
}

/// A runtime of the system, or one that pip brings at the first start.
fn has_java(machine: &Machine) -> bool {
    // An old one would be taken before what pip brings.
    machine.java_version().map_or_else(|| has_pip(machine), |version| version >= OLDEST_JAVA)
}

fn has_pip(machine: &Machine) -> bool {
    let python = machine.program("python3");
    python.and_then(|python| said(Command::new(python).args(["-m", "pip", "--version"]))).is_some()
}

fn has_maven(machine: &Machine) -> bool {
    machine.program("mvn").is_some()
}

fn has_kafka(machine: &Machine) -> bool {
    machine.variable("KAFKA_HOME").is_some() || fetched(machine).is_some()
}

fn has_postgres(machine: &Machine) -> bool {
    let of_system = machine.postgres_major().map_or(false, |major| major >= OLDEST_POSTGRES);
    // Both folders are named after the same content of the pom.
    let beside = |kafka: PathBuf| {
        let fingerprint = kafka.file_name()?.to_str()?.strip_prefix("kafka-")?.to_owned();
        Some(kafka.with_file_name(format!("postgres-{}", fingerprint)).is_dir())
    };
    of_system || fetched(machine).and_then(beside).unwrap_or(false)
}

/// The folder of Kafka's jars, if they were fetched for the pom of today, of which a copy lies beside them.
fn fetched(machine: &Machine) -> Option<PathBuf> {
    let pom = fs::read(machine.in_clone("dev/pom.xml")).ok()?;
    let entries = fs::read_dir(machine.in_clone(".dev/jars")).ok()?;
    let is_kafka = |path: &Path| path.file_name().map_or(false, |name| name.to_string_lossy().starts_with("kafka-"));
    let mut folders = entries.flatten().map(|entry| entry.path()).filter(|path| is_kafka(path));
    folders.find(|folder| {
        folder.extension().is_none() && fs::read(folder.join("pom.xml")).map_or(false, |copy| copy == pom)
    })
}

fn has_venv(machine: &Machine) -> bool {
    let python = machine.program("python3");
    python.and_then(|python| said(Command::new(python).args(["-c", "import venv, ensurepip"]))).is_some()
}

/// In `PATH`, or named by a variable: what Ubuntu calls Chromium is a snap, which runs in no container.
fn has_browser(machine: &Machine, variable: &str, program: &str) -> bool {
    machine.variable(variable).is_some() || machine.program(program).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 4] = [Purpose::Build, Purpose::Kafka, Purpose::Postgres, Purpose::Tests];

    /// A machine in a folder of its own, with these programs; each prints its text, on both outputs.
    fn machine(name: &str, programs: &[(&str, &str)], environment: &[(&str, &str)]) -> Machine {
        let root = Path::new(crate::machine::MACHINES).join(name);
        let _ = fs::remove_dir_all(&root);
        let bin = root.join("bin");
        fs::create_dir_all(&bin).unwrap();
        for (program, text) in programs {
            let script = format!("#!/bin/sh\necho '{}'\necho '{}' >&2\n", text, text);
            crate::machine::write_program(&bin.join(program), &script);
        }
        let path = bin.to_str().unwrap().to_owned();
        let mut environment = environment.to_vec();
        environment.push(("PATH", &path));
        Machine::in_folder(&root, &environment)
    }

    fn packages(machine: &Machine) -> Vec<&'static str> {
        missing(machine, &ALL).into_iter().map(|need| need.package).collect()
    }

    fn write(machine: &Machine, path: &str, text: &str) {
        let file = machine.in_clone(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_bare_machine_lacks_everything_and_each_need_is_met_by_its_program() {
        let bare = machine("bare", &[], &[]);
        assert_eq!(missing(&bare, &ALL).len(), NEEDS.len());
        let programs = [
            ("c++", ""),
            ("make", ""),
            ("pkg-config", ""),
            ("java", "openjdk version \"21.0.2\" 2024-01-16"),
            ("mvn", ""),
            ("xz", ""),
            ("python3", ""),
            ("chromium", ""),
            ("chromedriver", ""),
        ];
        assert!(packages(&machine("whole", &programs, &[])).is_empty());
        for left_out in programs {
            let rest: Vec<_> = programs.into_iter().filter(|program| *program != left_out).collect();
            // Without pip: the runtime may not come from there.
            let rest: Vec<_> =
                rest.into_iter().filter(|program| left_out.0 != "java" || program.0 != "python3").collect();
            let lacks = missing(&machine("part", &rest, &[]), &ALL);
            let words: Vec<&str> = lacks.iter().map(|need| need.name).collect();
            let (name, words) = (left_out.0, words.join(", ").to_lowercase());
            let named = words.contains(name) || (name == "mvn" && words.contains("maven"));
            assert!(named || (name == "python3" && words.contains("venv")), "{}: {}", name, words);
        }
    }

    #[test]
    fn an_old_java_is_none_and_pip_brings_one() {
        let java = |version: &str| format!("openjdk version \"{}\"", version);
        let lacks = |name: &str, programs: &[(&str, &str)]| {
            packages(&machine(name, programs, &[])).contains(&"default-jre-headless")
        };
        assert!(lacks("java-8", &[("java", &java("1.8.0_392"))]));
        assert!(lacks("java-11", &[("java", &java("11.0.20"))]));
        assert!(!lacks("java-17", &[("java", &java("17.0.15"))]));
        assert!(lacks("java-11-pip", &[("java", &java("11.0.20")), ("python3", "pip 24")]));
        assert!(!lacks("java-pip", &[("python3", "pip 24")]));
    }

    #[test]
    fn maven_and_xz_are_needed_only_for_what_has_to_be_fetched() {
        let with = |name: &str, programs: &[(&str, &str)], environment: &[(&str, &str)]| {
            let lacks = missing(&machine(name, programs, environment), &[Purpose::Kafka, Purpose::Postgres]);
            lacks.into_iter().map(|need| need.package).filter(|package| *package != "default-jre-headless").count()
        };
        let (server, initdb) = (("postgres", "postgres (PostgreSQL) 16.4"), ("initdb", ""));
        assert_eq!(with("nothing", &[], &[]), 3);
        assert_eq!(with("kafka-home", &[], &[("KAFKA_HOME", "/opt/kafka")]), 2);
        assert_eq!(with("postgres-16", &[server, initdb], &[]), 1);
        assert_eq!(with("old", &[("postgres", "postgres (PostgreSQL) 14.9"), initdb], &[]), 3);
        assert_eq!(with("both", &[server, initdb], &[("KAFKA_HOME", "/opt/kafka")]), 0);
    }

    #[test]
    fn what_was_fetched_for_this_pom_is_not_fetched_again() {
        let fetched = machine("fetched", &[], &[]);
        write(&fetched, "dev/pom.xml", "<a/>");
        write(&fetched, ".dev/jars/kafka-1.partial/pom.xml", "<a/>");
        write(&fetched, ".dev/jars/kafka-2/pom.xml", "<older/>");
        assert!(!has_kafka(&fetched));
        write(&fetched, ".dev/jars/kafka-3/pom.xml", "<a/>");
        assert!(has_kafka(&fetched) && !has_postgres(&fetched));
        write(&fetched, ".dev/jars/postgres-3/bin/postgres", "");
        assert!(has_postgres(&fetched));
    }
}
