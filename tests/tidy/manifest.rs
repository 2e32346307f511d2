//! Which member may depend on which: leaves know nobody, and nobody knows the tests.

use crate::source;

/// A member and what it must not depend on.
const FORBIDDEN: [(&str, &[&str]); 17] = [
    ("schemas", &["outbox", "workers", "replay-tool", "dev-stack", "rdkafka", "tokio", "tokio-postgres"]),
    ("outbox", &["grammar", "schemas", "consumer", "workers", "replay-tool", "apache-avro"]),
    (
        "outbox/consumer",
        &["schemas", "domain", "client", "provision", "workers", "replay-tool", "dev-stack", "apache-avro"],
    ),
    // A stranger has the contract, the consumer and the outbox.
    (
        "outbox/examples/loyalty",
        &["domain", "client", "provision", "workers", "tables", "replay-tool", "demo", "bench"],
    ),
    ("outbox/grammar", &["schemas", "domain", "client", "provision", "workers", "replay-tool", "tokio"]),
    ("outbox/program", &["schemas", "domain", "client", "provision", "workers", "replay-tool", "apache-avro"]),
    ("dev", &["schemas", "outbox", "workers", "replay-tool", "rdkafka"]),
    ("workers/client", &["workers", "replay-tool", "dev-stack", "demo", "bench", "tokio-postgres"]),
    ("workers/listing", &["client", "workers", "replay-tool", "dev-stack", "demo", "bench", "rdkafka"]),
    ("workers/view", &["workers", "order-api", "replay-tool", "dev-stack", "demo", "bench"]),
    ("workers/provision", &["workers", "replay-tool", "demo", "bench"]),
    ("workers", &["replay-tool", "dev-stack", "demo", "bench"]),
    // The door shows dead letters and acts on them with replay-tool's library: they are published in one way. Nothing of a test in it.
    ("workers/api", &["dev-stack", "demo", "bench"]),
    ("replay-tool", &["workers", "order-api", "dev-stack", "demo", "bench"]),
    ("demo", &["workers", "bench"]),
    ("bench", &["demo"]),
    ("tests", &["bench"]),
];

/// What the cores may depend on: the contract, and crates that only compute.
const OF_THE_CORES: [&str; 5] = ["schemas", "serde", "serde_json", "sha2", "thiserror"];

/// Whatever would give the cores a way to servers, clocks or logs.
pub(crate) fn impurities() -> Vec<String> {
    let path = "workers/domain/Cargo.toml";
    let Some(manifest) = source::all().iter().find(|source| source.path == path) else {
        return vec![format!("there is no {path}")];
    };
    let mut names = dependencies(&manifest.text);
    names.retain(|name| !name.starts_with('#') && !OF_THE_CORES.contains(&name.as_str()));
    names.into_iter().map(|name| format!("the cores depend on {name}")).collect()
}

/// Every dependency that should not be. Development dependencies of a leaf on the servers are fine, and so is what the
/// table does not name.
pub(crate) fn complaints() -> Vec<String> {
    let mut complaints = Vec::new();
    for (member, forbidden) in FORBIDDEN {
        let path = format!("{member}/Cargo.toml");
        let Some(manifest) = source::all().iter().find(|source| source.path == path) else {
            complaints.push(format!("there is no {path}"));
            continue;
        };
        for name in dependencies(&manifest.text) {
            if forbidden.contains(&name.as_str()) || name == "tests" {
                complaints.push(format!("{member} depends on {name}"));
            }
        }
        let for_all = manifest.text.split("[dev-dependencies]").next().unwrap_or_default();
        if for_all.contains("features = [\"planted-bugs\"]") {
            complaints.push(format!("{member} switches planted bugs on"));
        }
    }
    complaints
}

/// The names in `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let (_, after) = manifest.split_once("[dependencies]").unwrap_or_default();
    let table = after.split("\n[").next().unwrap_or_default();
    let name = |line: &str| Some(line.split(['.', '=', ' ']).next()?.to_owned()).filter(|name| !name.is_empty());
    table.lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_form() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\nc-d = { path = \"y\" }\n\n[dev-dependencies]\ne = \"1\"\n";
        assert_eq!(dependencies(manifest), ["a", "b", "c-d"]);
    }
}
