//! Naming what is missing, in one line, and installing it where that is allowed.

use std::process::Command;

use crate::distribution::Distribution;
use crate::machine::Machine;
use crate::needs::{missing, Need, Purpose};

/// Nothing is missing for these purposes when this returns.
///
/// Root's machine is mended without asking; others by `--install`, through `sudo`.
pub(crate) fn see_to(machine: &Machine, purposes: &[Purpose], asked: bool) -> Result<(), String> {
    let lacks = missing(machine, purposes);
    if lacks.is_empty() {
        return Ok(());
    }
    let distribution = Distribution::of(machine);
    let packages = packages(&lacks, &distribution);
    let line = line(&lacks, &packages, &distribution);
    if matches!(distribution, Distribution::Other { .. }) {
        return Err(line);
    }
    if !machine.is_root() && !asked {
        return Err(format!("{}\n       or the same command with --install, which does it with sudo", line));
    }
    eprintln!("setup: {}", line);
    apt_get(machine, &["update", "-qq"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(machine, &install.iter().copied().chain(packages).collect::<Vec<_>>())?;
    let still = missing(machine, purposes);
    if still.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = still.iter().map(|need| need.name).collect();
    Err(format!("installed, and still not there: {}", names.join(", ")))
}

/// Each package once, in the order of the needs.
fn packages(lacks: &[&Need], distribution: &Distribution) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in lacks.iter().map(|need| distribution.package(need.package)) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn line(lacks: &[&Need], packages: &[&str], distribution: &Distribution) -> String {
    let names: Vec<&str> = lacks.iter().map(|need| need.name).collect();
    let (names, packages) = (names.join(", "), packages.join(" "));
    match distribution {
        Distribution::Apt { name, .. } => {
            format!("missing on this {}: {}: apt-get install {}", name, names, packages)
        }
        Distribution::Other { name } => {
            format!("missing on this {}: {}: install them; Debian's packages are {}", name, names, packages)
        }
    }
}

/// What it prints goes to standard error: standard output belongs to the program behind us.
fn apt_get(machine: &Machine, arguments: &[&str]) -> Result<(), String> {
    let mut command = if machine.is_root() { Command::new("sh") } else { Command::new("sudo") };
    if !machine.is_root() {
        command.arg("sh");
    }
    command.args(["-c", "DEBIAN_FRONTEND=noninteractive exec apt-get \"$@\" >&2", "apt-get"]).args(arguments);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("apt-get {} failed ({})", arguments.join(" "), status)),
        Err(error) => Err(format!("apt-get {} cannot be run: {}", arguments.join(" "), error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn machine(name: &str, os_release: &str) -> Machine {
        let root = Path::new(crate::machine::MACHINES).join(name);
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/os-release"), os_release).unwrap();
        Machine::in_folder(&root, &[("PATH", "/nowhere")])
    }

    #[test]
    fn one_line_names_everything_and_each_package_once() {
        let debian = machine("debian", "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nID=debian\n");
        let words = see_to(&debian, &[Purpose::Build, Purpose::Kafka, Purpose::Postgres], false).unwrap_err();
        let (first, second) = words.split_once('\n').unwrap();
        assert_eq!(
            first,
            "missing on this Debian GNU/Linux 13 (trixie): c++, make, pkg-config, OpenSSL's headers, Java 17, \
             Maven (or KAFKA_HOME), Maven (or a Postgres of 15 or later), xz: \
             apt-get install build-essential pkg-config libssl-dev default-jre-headless maven xz-utils"
        );
        assert!(second.contains("--install"), "{}", second);
    }

    #[test]
    fn on_an_unknown_system_everything_is_named_and_nothing_installed() {
        let other = machine("other", "PRETTY_NAME=\"Alpine Linux\"\nID=alpine\n");
        let words = see_to(&other, &[Purpose::Build], true).unwrap_err();
        assert_eq!(
            words,
            "missing on this Alpine Linux: c++, make, pkg-config, OpenSSL's headers: install them; \
             Debian's packages are build-essential pkg-config libssl-dev"
        );
    }

    #[test]
    fn without_a_c_compiler_the_linker_says_what_to_install() {
        let empty = Path::new(crate::machine::MACHINES).join("no-cc");
        fs::create_dir_all(&empty).unwrap();
        // A user who may install nothing.
        let id = empty.join("id");
        crate::machine::write_program(&id, "#!/bin/sh\necho 1000\n");
        let linker = concat!(env!("CARGO_MANIFEST_DIR"), "/linker");
        let output = Command::new("/bin/sh").arg(linker).env("PATH", &empty).output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), words.contains("apt-get install build-essential")),
            (Some(1), true),
            "{}",
            words
        );
    }
}
