#!/usr/bin/env bash
# The crate apache-avro 0.22.0 fills a missing field, whose default belongs to a later branch of its union (allowed since
# Avro 1.12), with null, and says nothing; Java's avro 1.12.1 and fastavro 1.13.1 fill in the default. avro 1.12.2 for Python refuses the schema.
# It also fails to resolve timestamp-micros into a plain long, which both sides hold as the same number.
#
# Seen: writer {a: int}, reader adds b: ["null","string"] default "x" -> Null. Rule that is safe everywhere: a default of the first branch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[workspace]
[package]
name = "found"
version = "0.0.0"
edition = "2021"
[dependencies]
apache-avro = { version = "=0.22.0", default-features = false }
TOML
cat >"$work/src/main.rs" <<'RUST'
use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};

fn through(writer: &str, value: Value, reader: &str) -> Result<Value, String> {
    let (writer, reader) = (Schema::parse_str(writer).unwrap(), Schema::parse_str(reader).unwrap());
    let datum = to_avro_datum(&writer, value).map_err(|error| error.to_string())?;
    from_avro_datum(&writer, &mut datum.as_slice(), Some(&reader)).map_err(|error| error.to_string())
}

fn main() {
    let old = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    let new = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":"x"}]}"#;
    let row = Value::Record(vec![("a".into(), Value::Int(1))]);
    let seen = through(old, row, new);
    println!("default of the second branch: {seen:?}");
    let Ok(Value::Record(fields)) = seen else { panic!("resolved differently now") };
    assert_eq!(fields[1].1, Value::Union(0, Box::new(Value::Null)), "the default is filled in now");

    let micros = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
    let seen = through(micros, Value::TimestampMicros(7), r#""long""#);
    println!("timestamp-micros read as long: {seen:?}");
    assert!(seen.is_err(), "timestamp-micros is read as a long now");
}
RUST
(cd "$work" && cargo run --quiet)
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'fastavro==1.13.1'
"$work/venv/bin/python" - <<'PYTHON'
import io

import fastavro

old = fastavro.parse_schema({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]})
new = fastavro.parse_schema({"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"], "default": "x"}]})
out = io.BytesIO()
fastavro.schemaless_writer(out, old, {"a": 1})
seen = fastavro.schemaless_reader(io.BytesIO(out.getvalue()), old, new)
print(f"fastavro {fastavro.__version__}: {seen}")
assert seen["b"] == "x"
PYTHON
echo "as found"
