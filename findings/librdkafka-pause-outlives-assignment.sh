#!/usr/bin/env bash
# librdkafka 2.16.0 (confluent-kafka 2.16.1): a partition that was paused stays paused after it was given back and assigned again to
# the same client. The Java client forgets a pause with the assignment. Nothing is reported: the partition just brings no records,
# and a reader that uses one client for several ranges one after another waits for ever. `resume` after `assign` mends it.
#
# Seen (client's own mock broker): 3 records of a fresh assignment; after pause, unassign and assign again 0 records in 3 s; after
# resume 3 records.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'
"$work/venv/bin/python" - <<'PYTHON'
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition, libversion

RECORDS = 3

cluster = Producer({"test.mock.num.brokers": 1})
broker = next(iter(cluster.list_topics(timeout=10).brokers.values()))
servers = f"{broker.host}:{broker.port}"
producer = Producer({"bootstrap.servers": servers})
for _ in range(RECORDS):
    producer.produce("t", b"x", partition=0)
assert producer.flush(30) == 0

consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "enable.auto.commit": False})
whole = [TopicPartition("t", 0, OFFSET_BEGINNING)]


def read(seconds):
    seen, end = 0, time.monotonic() + seconds
    while seen < RECORDS and time.monotonic() < end:
        message = consumer.poll(0.1)
        seen += message is not None and message.error() is None
    return seen


consumer.assign(whole)
fresh = read(30)
consumer.pause([TopicPartition("t", 0)])
consumer.unassign()
consumer.assign(whole)
again = read(3)
consumer.resume([TopicPartition("t", 0)])
resumed = read(30)
print(f"librdkafka {libversion()[0]}: fresh {fresh}, assigned again {again}, resumed {resumed} of {RECORDS} records")
assert fresh == RECORDS and resumed == RECORDS, "it does not read at all here"
assert again == 0, "a new assignment ends a pause now"
PYTHON
echo "as found"
