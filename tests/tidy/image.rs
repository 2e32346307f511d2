//! The image has every program that users get, and runs them as it should: the Dockerfile against the workspace.
//!
//! No container engine is needed, so none is asked: what is looked at is what people forget, which is a list.

use std::collections::BTreeSet;

use crate::dependencies::Metadata;
use crate::source;

/// Members whose programs are for users; the others are for whoever works on this.
const SHIPPED: [&str; 5] = ["client", "order-api", "outbox-relay", "replay-tool", "workers"];

/// What is not built by default, and is in the image.
const FEATURES: [&str; 1] = ["replay-tool/s3"];

/// What is wrong with the image's recipe.
pub(crate) fn complaints(dockerfile: &str, metadata: &Metadata) -> Vec<String> {
    let instructions = dockerfile.replace("\\\n", " ");
    let programs =
        metadata.packages.iter().filter(|package| SHIPPED.contains(&package.name.as_str())).flat_map(|package| {
            package.targets.iter().filter(|target| target.is_program()).map(|target| target.name.clone())
        });
    let expected: BTreeSet<String> = programs.collect();
    let copied = |word: &str| word.strip_prefix("target/release/").map(str::to_owned);
    let copied: BTreeSet<String> = instructions.split_whitespace().filter_map(copied).collect();
    let mut complaints: Vec<String> =
        expected.difference(&copied).map(|name| format!("no {name} in the image")).collect();
    complaints.extend(copied.difference(&expected).map(|name| format!("{name} is no program for users")));
    let builds = instructions.matches("cargo build").count();
    if builds != 1 {
        complaints.push(format!("{builds} times cargo build: features would differ, and all be compiled again"));
    }
    complaints.extend(
        SHIPPED
            .iter()
            .filter(|member| !instructions.contains(&format!("--package {member}")))
            .map(|member| format!("{member} is not built")),
    );
    complaints.extend(
        FEATURES
            .iter()
            .filter(|feature| !instructions.contains(&format!("--features {feature}")))
            .map(|feature| format!("{feature} is not built")),
    );
    let last = instructions.rsplit("FROM ").next().unwrap_or_default();
    let user = last.lines().rev().find_map(|line| line.strip_prefix("USER ")).unwrap_or("root");
    if !user.trim().parse::<u32>().is_ok_and(|id| id > 0) {
        complaints.push(format!("it runs as {user}: give the number of a user, which a cluster can check"));
    }
    complaints
}

/// The recipe.
pub(crate) fn dockerfile() -> String {
    let path = source::root().join("Dockerfile");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies;

    #[test]
    fn what_is_forgotten_is_seen() {
        let metadata = dependencies::metadata();
        for (from, to, words) in [
            ("target/release/outbox-relay", "", "no outbox-relay"),
            ("target/release/replay-tool", "target/release/replay-tool target/release/demo", "demo is no program"),
            ("--package outbox-relay", "", "outbox-relay is not built"),
            ("--features replay-tool/s3", "", "replay-tool/s3 is not built"),
            ("USER 10001", "", "runs as root"),
            ("USER 10001", "USER pipeline", "runs as pipeline"),
        ] {
            let spoiled = dockerfile().replace(from, to);
            let complaints = complaints(&spoiled, &metadata);
            assert!(complaints.iter().any(|complaint| complaint.contains(words)), "{words}: {complaints:?}");
        }
    }
}
