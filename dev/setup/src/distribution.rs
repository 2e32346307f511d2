//! Which distribution this is, and what it calls the packages.
//!
//! Known are Debian and Ubuntu and what calls itself like one of them; on others the packages are named as in Debian and
//! nothing is installed.

use std::fs;

use crate::machine::Machine;

/// The oldest releases whose default Java is 17 or newer.
const DEBIAN_WITH_JAVA_17: u32 = 12;
const UBUNTU_WITH_JAVA_17: u32 = 24;

/// A distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Distribution {
    /// Debian or Ubuntu, or a relative: with `apt-get`.
    Apt {
        /// Its own name, such as "Debian GNU/Linux 12 (bookworm)".
        name: String,
        /// Whether its default Java is older than 17.
        old_java: bool,
    },
    /// Any other.
    Other {
        /// Its own name.
        name: String,
    },
}

impl Distribution {
    /// The machine's.
    pub(crate) fn of(machine: &Machine) -> Self {
        Self::parse(&fs::read_to_string(machine.path("/etc/os-release")).unwrap_or_default())
    }

    fn parse(os_release: &str) -> Self {
        let field = |wanted: &str| {
            let mut pairs = os_release.lines().filter_map(|line| line.split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.trim_matches('"').to_owned())
        };
        let (id, like) = (field("ID").unwrap_or_default(), field("ID_LIKE").unwrap_or_default());
        let name = field("PRETTY_NAME").unwrap_or_else(|| "this system".to_owned());
        let release = field("VERSION_ID").and_then(|text| text.split('.').next()?.parse::<u32>().ok());
        // Testing and unstable have no number, and the newest of everything.
        let older_than = |first: u32| release.map_or(false, |release| release < first);
        match id.as_str() {
            "debian" => Self::Apt { name, old_java: older_than(DEBIAN_WITH_JAVA_17) },
            "ubuntu" => Self::Apt { name, old_java: older_than(UBUNTU_WITH_JAVA_17) },
            _ if like.split_whitespace().any(|word| word == "debian" || word == "ubuntu") => {
                Self::Apt { name, old_java: false }
            }
            _ => Self::Other { name },
        }
    }

    /// What it calls Debian's package.
    pub(crate) fn package(&self, debian: &'static str) -> &'static str {
        match self {
            Self::Apt { old_java: true, .. } if debian == "default-jre-headless" => "openjdk-17-jre-headless",
            Self::Apt { .. } | Self::Other { .. } => debian,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java(os_release: &str) -> &'static str {
        Distribution::parse(os_release).package("default-jre-headless")
    }

    #[test]
    fn a_release_whose_java_is_too_old_gets_another_package() {
        let debian = |release: &str| format!("PRETTY_NAME=\"Debian\"\nVERSION_ID=\"{}\"\nID=debian\n", release);
        let ubuntu = |release: &str| format!("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"{}\"\n", release);
        assert_eq!(java(&debian("11")), "openjdk-17-jre-headless");
        assert_eq!(java(&debian("12")), "default-jre-headless");
        assert_eq!(java(&debian("13")), "default-jre-headless");
        assert_eq!(java(&ubuntu("22.04")), "openjdk-17-jre-headless");
        assert_eq!(java(&ubuntu("24.04")), "default-jre-headless");
        assert_eq!(java("ID=debian\n"), "default-jre-headless");
    }

    #[test]
    fn relatives_of_debian_are_known_and_others_are_not() {
        assert!(matches!(Distribution::parse("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Distribution::Apt { .. }));
        let fedora = Distribution::parse("PRETTY_NAME=\"Fedora Linux 43\"\nID=fedora\n");
        assert_eq!(fedora, Distribution::Other { name: "Fedora Linux 43".to_owned() });
        assert_eq!(Distribution::parse(""), Distribution::Other { name: "this system".to_owned() });
    }
}
