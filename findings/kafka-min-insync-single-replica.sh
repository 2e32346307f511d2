#!/usr/bin/env bash
# Apache Kafka 4.3.0 takes a write with `acks=all` on a topic of one replica although its `min.insync.replicas` is 2 and
# `describe` goes on showing 2: the broker compares with the smaller of that setting and the replication factor. Kafka 3.6.2
# refuses the same write. Who reads the settings to learn how many copies an acknowledged record has is told one too many.
#
# Seen: 3.6.2 -> NOT_ENOUGH_REPLICAS; 4.3.0 -> offset 0; both show min.insync.replicas = 2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka==2.16.1'
for version in 3.6.2 4.3.0; do
    mkdir "$work/$version"
    cat >"$work/$version/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
XML
    mvn -q -B -f "$work/$version/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DoutputDirectory="$work/$version/jars" >"$work/$version/maven.log" 2>&1 || { cat "$work/$version/maven.log"; exit 1; }
done
"$work/venv/bin/python" - "$work" <<'PYTHON'
import base64
import pathlib
import socket
import subprocess
import sys
import time
import uuid

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

WORK = pathlib.Path(sys.argv[1])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def java(folder, *arguments):
    return ["java", "-Xmx256m", "-cp", f"{folder}/jars/*", *arguments]


def start(folder):
    broker, controller = free_port(), free_port()
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
    }
    file = folder / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    with open(folder / "kafka.log", "w") as log:
        format_storage = java(folder, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", file)
        subprocess.run(format_storage, check=True, stdout=log, stderr=log)
        return broker, subprocess.Popen(java(folder, "kafka.Kafka", file), stdout=log, stderr=log)


def connect(port):
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
    for _ in range(120):
        try:
            admin.list_topics(timeout=1)
            return admin
        except KafkaException:
            time.sleep(0.5)
    raise SystemExit("the broker does not answer")


def outcome(port):
    admin = connect(port)
    admin.create_topics([NewTopic("t", 1, 1, config={"min.insync.replicas": "2"})])["t"].result(30)
    topic = ConfigResource(ConfigResource.Type.TOPIC, "t")
    shown = list(admin.describe_configs([topic]).values())[0].result(30)["min.insync.replicas"].value
    assert shown == "2", "the setting is shown as another one"
    told = []
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "acks": "all", "retries": 0, "log_level": 0})
    producer.produce("t", b"x", on_delivery=lambda error, record: told.append(error.name() if error else "written"))
    producer.flush(60)
    return told[0]


for version, expected in [("3.6.2", "NOT_ENOUGH_REPLICAS"), ("4.3.0", "written")]:
    port, process = start(WORK / version)
    try:
        seen = outcome(port)
    finally:
        process.terminate()
        process.wait(60)
    print(f"Kafka {version}: one replica, min.insync.replicas=2, acks=all -> {seen}")
    assert seen == expected, f"{expected} was expected"
PYTHON
echo "as found"
