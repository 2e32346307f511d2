//! The rules of `deny.toml`, kept without compiling `cargo-deny`: licences, banned crates, wildcards, sources.
//!
//! Read from that file, so that there is one list of rules, and `cargo deny check bans licenses sources` gives the same answer.
//! A rule there that is not understood here is an error, and not passed over. What only the tool itself does: it reads the
//! texts of licences (here a crate's own word counts), and it knows of vulnerabilities (`cargo deny check advisories`).

use std::collections::BTreeMap;
use std::process::Command;

use serde::Deserialize;

use crate::source::root;

/// `deny.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Licenses {
    allow: Vec<String>,
    /// About texts of licences, which only the tool reads.
    #[serde(rename = "confidence-threshold")]
    _confidence_threshold: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    multiple_versions: Level,
    wildcards: Level,
    allow_wildcard_paths: bool,
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Banned {
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_registry: Level,
    unknown_git: Level,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Allow,
    Warn,
    Deny,
}

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// A package that is built into anything of this workspace, on any platform, for tests too.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
    source: Option<String>,
    /// None: cargo's own, which is the one that deny.toml allows.
    registry: Option<String>,
}

/// What a package builds.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    src_path: String,
}

impl Target {
    /// Whether it is a program that is built for more than a package's own tests.
    pub(crate) fn is_program(&self) -> bool {
        self.kind == ["bin"] && !self.src_path.contains("/tests/")
    }
}

/// The rules of the workspace.
pub(crate) fn rules() -> Rules {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml lies at the root");
    toml::from_str(&text).unwrap_or_else(|error| panic!("deny.toml has what this test does not know: {error}"))
}

/// All packages of the lock file; asks the registry only for what this machine has never built.
pub(crate) fn metadata() -> Metadata {
    let ask = |offline: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--locked", "--format-version", "1", "--all-features"]).args(offline);
        cargo.current_dir(root()).output().expect("cargo runs, for it runs this test")
    };
    let mut output = ask(&["--offline"]);
    if !output.status.success() {
        output = ask(&[]);
    }
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON of this form")
}

impl Metadata {
    /// Where cargo finds a dependency that names no other place.
    fn default_registry(&self) -> Option<&str> {
        let dependencies = self.packages.iter().flat_map(|package| &package.dependencies);
        let by_default = dependencies.filter(|dependency| dependency.registry.is_none());
        by_default.filter_map(|dependency| dependency.source.as_deref()).find(|source| source.starts_with("registry+"))
    }
}

impl Rules {
    /// Every breach.
    pub(crate) fn complaints(&self, metadata: &Metadata) -> Vec<String> {
        let mut complaints: Vec<String> =
            metadata.packages.iter().flat_map(|package| self.of(package, metadata.default_registry())).collect();
        if self.bans.multiple_versions == Level::Deny {
            let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for package in &metadata.packages {
                versions.entry(&package.name).or_default().push(&package.version);
            }
            versions.retain(|_, versions| versions.len() > 1);
            complaints.extend(versions.iter().map(|(name, versions)| format!("{name} in versions {versions:?}")));
        }
        complaints
    }

    fn of(&self, package: &Package, default_registry: Option<&str>) -> Vec<String> {
        let mut complaints = Vec::new();
        let name = format!("{} {}", package.name, package.version);
        match &package.license {
            None => complaints.push(format!("{name} says no licence")),
            Some(expression) if !self.allows(expression) => complaints.push(format!("{name}: licence {expression}")),
            Some(_) => {}
        }
        if let Some(banned) = self.bans.deny.iter().find(|banned| banned.name == package.name) {
            complaints.push(format!("{name} is banned: {}", banned.reason));
        }
        let is_ours = package.source.is_none();
        let wild = package.dependencies.iter().filter(|dependency| {
            dependency.req == "*" && !(self.bans.allow_wildcard_paths && dependency.path.is_some())
        });
        if self.bans.wildcards == Level::Deny && is_ours {
            complaints.extend(wild.map(|dependency| format!("{name} takes any version of {}", dependency.name)));
        }
        let level = match package.source.as_deref() {
            None => Level::Allow,
            source if source == default_registry => Level::Allow,
            Some(source) if source.starts_with("git+") => self.sources.unknown_git,
            Some(_) => self.sources.unknown_registry,
        };
        if level == Level::Deny {
            complaints.push(format!("{name} comes from {}", package.source.as_deref().unwrap_or_default()));
        }
        complaints
    }

    /// Whether a licence expression can be met with allowed ones alone. `/` is the old form of OR.
    /// Grammar: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>; AND binds closer than OR.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = &words[..];
        self.any(&mut rest).is_some_and(|is_met| is_met && rest.is_empty())
    }

    /// `a OR b`; nothing where the expression is none.
    fn any(&self, words: &mut &[&str]) -> Option<bool> {
        let mut is_met = self.all(words)?;
        while let Some((&"OR", rest)) = words.split_first() {
            *words = rest;
            is_met |= self.all(words)?;
        }
        Some(is_met)
    }

    /// `a AND b`.
    fn all(&self, words: &mut &[&str]) -> Option<bool> {
        let mut is_met = self.one(words)?;
        while let Some((&"AND", rest)) = words.split_first() {
            *words = rest;
            is_met &= self.one(words)?;
        }
        Some(is_met)
    }

    /// A licence, with or without an exception, or an expression in brackets.
    fn one(&self, words: &mut &[&str]) -> Option<bool> {
        let (first, rest) = words.split_first()?;
        *words = rest;
        if *first == "(" {
            let is_met = self.any(words)?;
            let (closing, rest) = words.split_first()?;
            *words = rest;
            return (*closing == ")").then_some(is_met);
        }
        let licence = match words {
            ["WITH", exception, rest @ ..] => {
                *words = rest;
                format!("{first} WITH {exception}")
            }
            _ => (*first).to_owned(),
        };
        Some(self.licenses.allow.contains(&licence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "registry+https://default.example/index";

    fn package(name: &str, license: Option<&str>, source: Option<&str>, req: &str) -> Package {
        let by_default = Some(DEFAULT.to_owned());
        let dependency =
            Dependency { name: "other".into(), req: req.into(), path: None, source: by_default, registry: None };
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            dependencies: vec![dependency],
            targets: Vec::new(),
        }
    }

    #[test]
    fn every_breach_is_seen() {
        let fine = || package("fine", Some("MIT OR GPL-3.0-only"), Some(DEFAULT), "^1");
        let breaches = [
            (package("copyleft", Some("GPL-3.0-only"), Some(DEFAULT), "^1"), "licence GPL-3.0-only"),
            (package("silent", None, Some(DEFAULT), "^1"), "no licence"),
            (package("ring", Some("MIT"), Some(DEFAULT), "^1"), "one TLS library only"),
            (package("ours", Some("MIT"), None, "*"), "any version of other"),
            (package("forked", Some("MIT"), Some("git+https://git.example/forked"), "^1"), "git.example"),
            (package("private", Some("MIT"), Some("registry+https://crates.example/index"), "^1"), "crates.example"),
        ];
        assert_eq!(rules().complaints(&Metadata { packages: vec![fine()] }), Vec::<String>::new());
        for (breach, words) in breaches {
            let complaints = rules().complaints(&Metadata { packages: vec![fine(), breach] });
            assert!(complaints.len() == 1 && complaints[0].contains(words), "{words}: {complaints:?}");
        }
        let mut strict = rules();
        strict.bans.multiple_versions = Level::Deny;
        assert_eq!(strict.complaints(&Metadata { packages: vec![fine(), fine()] }).len(), 1);
    }

    #[test]
    fn an_expression_is_met_by_what_it_asks_for() {
        for (expression, is_met) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("GPL-3.0-only AND MIT OR Zlib", true),
            ("GPL-3.0-only AND (MIT OR Zlib)", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH LLVM-exception", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(rules().allows(expression), is_met, "{expression}");
        }
    }

    #[test]
    fn a_rule_that_is_not_known_is_not_passed_over() {
        let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        let more = text.replace("[sources]", "[sources]\nallow-git = [\"https://git.example/x\"]");
        assert!(toml::from_str::<Rules>(&more).is_err());
    }
}
