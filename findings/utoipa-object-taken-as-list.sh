#!/usr/bin/env bash
# utoipa 6.0.0 describes a struct that derives ToSchema and Deserialize as `type: object` with `additionalProperties: false`;
# what axum 0.8 hands to serde_json takes a JSON list for it as well, field by field in the order of the source, also with
# `deny_unknown_fields`. So an API lets in what its own document forbids, and two fields that change places in the source
# change what such a body means, while the document stays the same. schemathesis finds it ("API accepted schema-violating request").
#
# Seen: ["pen", 3] -> Given { sku: "pen", quantity: 3 }; the same through axum::Json is 200. A struct within a struct as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[workspace]
[package]
name = "found"
version = "0.0.0"
edition = "2024"
[dependencies]
axum = { version = "=0.8.9", default-features = false, features = ["json"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tokio = { version = "1", features = ["rt"] }
utoipa = { version = "=6.0.0", default-features = false, features = ["macros"] }
TOML
cat >"$work/src/main.rs" <<'RUST'
use axum::body::Body;
use axum::extract::{FromRequest, Json, Request};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema, ToSchema};

#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    sku: String,
    quantity: i64,
}

fn main() {
    let document = serde_json::to_value(Given::schema()).unwrap();
    println!("document: type {}, additionalProperties {}", document["type"], document["additionalProperties"]);
    assert_eq!((&document["type"], &document["additionalProperties"]), (&"object".into(), &false.into()));

    let list = r#"["pen", 3]"#;
    let expected = Given { sku: "pen".to_owned(), quantity: 3 };
    let request = Request::post("/").header("content-type", "application/json").body(Body::from(list)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let Json(seen) = runtime.block_on(Json::<Given>::from_request(request, &())).expect("a list is refused now");
    println!("{list} -> {seen:?}");
    assert_eq!(seen, expected);
    let within: Vec<Given> = serde_json::from_str(&format!("[{list}]")).expect("a list within is refused now");
    assert_eq!(within, [expected]);
}
RUST
(cd "$work" && cargo run --quiet)
echo "as found"
