#!/usr/bin/env bash
# librdkafka 2.16.0 (confluent-kafka 2.16.1): a consumer that has subscribed and finds no broker tries its bootstrap address
# about twenty times a second for as long as the outage lasts, whatever `reconnect.backoff.ms` and `reconnect.backoff.max.ms`
# say. A producer with the same settings waits as they say. The address here takes connections and closes them at once, as a
# load balancer without a broker behind it does; a refused connection gives the same rhythm.
#
# Seen within 6 s, backoff 100 ms to 2,000 ms: the producer connected 6 to 10 times, the consumer 112 to 117 times, every 52 ms.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'
"$work/venv/bin/python" - <<'PYTHON'
import socket
import threading
import time

from confluent_kafka import Consumer, Producer, libversion

SECONDS = 6


def subscribed(settings):
    consumer = Consumer({**settings, "group.id": "g"})
    consumer.subscribe(["t"])
    return consumer


def connections(make):
    server = socket.create_server(("127.0.0.1", 0))
    seen = []

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            seen.append(time.monotonic())
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    client = make({
        "bootstrap.servers": f"127.0.0.1:{server.getsockname()[1]}",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "log_level": 0,
        "error_cb": lambda error: None,
    })
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        client.poll(0.1)
    server.close()
    return len(seen)


producer, consumer = connections(Producer), connections(subscribed)
print(f"librdkafka {libversion()[0]}: within {SECONDS} s the producer connected {producer} times, the consumer {consumer} times")
assert producer <= 20, "the producer does not keep to its backoff any more"
assert consumer >= 3 * producer, "the consumer keeps to its backoff now"
PYTHON
echo "as found"
