//! The bill of materials names every program and every library that a scanner for vulnerabilities would ask for.

use std::process::Command;

use serde_json::Value;

use crate::source::root;

/// What `.ci/sbom` writes.
fn bill() -> Value {
    let output = Command::new("python3").arg(".ci/sbom").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Versions of a component; empty where it is the system's.
fn versions(bill: &Value, purl: &str) -> Vec<String> {
    let components = bill["components"].as_array().unwrap().iter();
    let fit = components.filter(|one| one["purl"].as_str().is_some_and(|its| its.split('@').next() == Some(purl)));
    fit.map(|one| one["version"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_bill_has_every_program_and_what_is_built_into_it() {
    let bill = bill();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    let programs = bill["metadata"]["component"]["description"].as_str().unwrap();
    assert_eq!(
        programs,
        "programs: inventory-worker, order-api, order-worker, orders, outbox-relay, payment-worker, replay-tool",
        "the same as in the image"
    );
    for library in ["librdkafka", "lz4", "zstd", "sqlite", "mimalloc", "jemalloc"] {
        let versions = versions(&bill, &format!("pkg:generic/{library}"));
        let is_version = |version: &String| version.split('.').count() == 3 && version.starts_with(char::is_numeric);
        assert!(versions.len() == 1 && versions.iter().all(is_version), "{library}: {versions:?}");
    }
    for library in [
        "pkg:generic/openssl",
        "pkg:generic/zlib",
        "pkg:cargo/tokio-postgres",
        "pkg:cargo/rdkafka",
        "pkg:cargo/tokio-openssl",
    ] {
        assert_eq!(versions(&bill, library).len(), 1, "{library}");
    }
    for only_for_tests in ["pkg:cargo/proptest", "pkg:cargo/dev-stack", "pkg:cargo/demo"] {
        assert_eq!(versions(&bill, only_for_tests), Vec::<String>::new());
    }
    let licensed = |component: &Value| component["licenses"].as_array().is_some_and(|licences| !licences.is_empty());
    assert!(bill["components"].as_array().unwrap().iter().all(licensed));
}
