#!/usr/bin/env bash
# cloudevents 2.2.0 for Python: `from_binary` of a Kafka message gives the data as `str` when the bytes happen to be valid
# UTF-8 and as `bytes` when they are not, whatever the content type says. Binary payloads (Avro) change their Python type
# from record to record. cloudevents 10.0.0 for Node cuts the time of an event to milliseconds.
#
# Seen: application/avro, b"\x02\x06abc" -> str; b"\x02\x80\xff" -> bytes; 2026-01-01T11:53:26.123456Z -> …26.123Z.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'cloudevents==2.2.0'
(cd "$work" && npm init -y >npm.log && npm install --silent --no-audit --no-fund cloudevents@10.0.0 >>npm.log)
"$work/venv/bin/python" - <<'PYTHON'
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat

HEADERS = {
    "ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/shop", "ce_type": b"shop.OrderPlaced",
    "content-type": b"application/avro",
}


def data_of(value):
    message = kafka.KafkaMessage(headers=HEADERS, key=b"A-1", value=value)
    return kafka.from_binary(message, JSONFormat()).get_data()


for value, kind in [(b"\x02\x06abc", str), (b"\x02\x80\xff", bytes)]:
    seen = data_of(value)
    print(f"{value!r} -> {type(seen).__name__}")
    assert type(seen) is kind, "the type of the data no longer follows from its bytes"
PYTHON
cat >"$work/time.js" <<'JS'
const { Kafka } = require('cloudevents');
const event = Kafka.toEvent({
  key: 'A-1', body: Buffer.from('x'), value: Buffer.from('x'),
  headers: { ce_specversion: '1.0', ce_id: '1', ce_source: '/shop', ce_type: 'shop.OrderPlaced', ce_time: '2026-01-01T11:53:26.123456Z', 'content-type': 'text/plain' },
});
console.log(`cloudevents 10.0.0 for Node: ${event.time}`);
if (event.time !== '2026-01-01T11:53:26.123Z') throw new Error('the time is kept differently now');
JS
node "$work/time.js"
echo "as found"
