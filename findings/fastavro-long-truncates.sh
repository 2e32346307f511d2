#!/usr/bin/env bash
# fastavro 1.13.1 writes a fractional number into an Avro `long` by cutting it off, without an error, in every strict mode;
# so does confluent-kafka 2.16.1's AvroSerializer. avro 1.12.2 (the Apache Python library) refuses the same value.
#
# An amount of 199.99 that reaches a `long` of minor units becomes 199. `fastavro.validate` does refuse it, if one calls it.
# Seen: 2.7 -> 2, Decimal("199.99") -> 199, -0.5 -> 0 with schemaless_writer, strict and strict_allow_default.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'fastavro==1.13.1' 'avro==1.12.2' 'confluent-kafka[avro]==2.16.1'
"$work/venv/bin/python" - <<'PYTHON'
import io
from decimal import Decimal

import avro.errors
import avro.io
import avro.schema
import fastavro
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

TEXT = '{"type":"record","name":"Price","fields":[{"name":"minor","type":"long"}]}'
SCHEMA = fastavro.parse_schema({"type": "record", "name": "Price", "fields": [{"name": "minor", "type": "long"}]})


def through_fastavro(value, **options):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, {"minor": value}, **options)
    return fastavro.schemaless_reader(io.BytesIO(out.getvalue()), SCHEMA)["minor"]


for value, written in [(2.7, 2), (Decimal("199.99"), 199), (-0.5, 0)]:
    for options in [{}, {"strict": True}, {"strict_allow_default": True}]:
        seen = through_fastavro(value, **options)
        print(f"fastavro {fastavro.__version__} {options}: {value!r} -> {seen!r}")
        assert seen == written, "fastavro no longer cuts the value off"
    assert not fastavro.validate({"minor": value}, SCHEMA, raise_errors=False), "validate no longer refuses it"

serializer = AvroSerializer(SchemaRegistryClient.new_client({"url": "mock://findings"}), TEXT)
framed = serializer({"minor": 2.7}, SerializationContext("prices", MessageField.VALUE))
seen = fastavro.schemaless_reader(io.BytesIO(framed[5:]), SCHEMA)["minor"]
print(f"confluent-kafka AvroSerializer: 2.7 -> {seen!r}")
assert seen == 2, "AvroSerializer no longer cuts the value off"

try:
    avro.io.DatumWriter(avro.schema.parse(TEXT)).write({"minor": 2.7}, avro.io.BinaryEncoder(io.BytesIO()))
    raise SystemExit("avro no longer refuses 2.7 for a long")
except avro.errors.AvroTypeException:
    print("avro 1.12.2: 2.7 is refused")
PYTHON
echo "as found"
