#!/usr/bin/env bash
# fastavro 1.13.1 takes a naive datetime for `timestamp-micros` as the local time of the machine that writes; avro 1.12.2
# refuses it. The same program writes another instant where TZ differs, and nothing says so.
#
# Seen: 2026-07-01 12:00 without a zone, TZ=America/New_York -> 16:00 UTC; TZ=UTC -> 12:00 UTC.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'fastavro==1.13.1' 'avro==1.12.2'
cat >"$work/naive.py" <<'PYTHON'
import datetime
import io
import json
import sys

import avro.errors
import avro.io
import avro.schema
import fastavro

TYPE = {"type": "record", "name": "At", "fields": [{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}
naive = datetime.datetime(2026, 7, 1, 12)
out = io.BytesIO()
fastavro.schemaless_writer(out, fastavro.parse_schema(TYPE), {"at": naive})
seen = fastavro.schemaless_reader(io.BytesIO(out.getvalue()), fastavro.parse_schema(TYPE))["at"]
print(f"fastavro: {naive} -> {seen.isoformat()}")
assert seen.isoformat() == sys.argv[1], "fastavro takes a naive time differently now"
try:
    avro.io.DatumWriter(avro.schema.parse(json.dumps(TYPE))).write({"at": naive}, avro.io.BinaryEncoder(io.BytesIO()))
    raise SystemExit("avro no longer refuses a naive time")
except avro.errors.AvroTypeException:
    print("avro: refused")
PYTHON
TZ=America/New_York "$work/venv/bin/python" "$work/naive.py" 2026-07-01T16:00:00+00:00
TZ=UTC "$work/venv/bin/python" "$work/naive.py" 2026-07-01T12:00:00+00:00
echo "as found"
