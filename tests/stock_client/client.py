"""A client that has only `schemas/avro`, `schemas/ids.lock` and libraries that anybody can install.

place: receives stock and places an order for it.
read:  reads all topics to their ends, decodes every record and checks what the contract says about records; prints
       one JSON object per record.
warehouse: ships each of these orders once it is to be shipped.
review: holds orders that are placed for too much, looks at each, and releases or rejects it.
archive: reads the files of an archive, which describe themselves, and prints one JSON object per record.
"""

import io
import json
import pathlib
import struct
import sys
import uuid
from datetime import datetime, timezone

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

TIMEOUT_S = 60
FRAME = struct.Struct(">bI")


class Schemas:
    """The released schemas by id, as the lock file names them."""

    def __init__(self, folder):
        self.by_id, self.ids = {}, {}
        for line in (folder / "ids.lock").read_text().splitlines():
            if not line or line.startswith("#"):
                continue
            number, subject, version, _ = line.split()
            topic, name = subject.split("-", 1)
            file = folder / "avro" / topic / f"{name.rsplit('.', 1)[1]}.v{version}.avsc"
            schema = fastavro.parse_schema(json.loads(file.read_text()))
            self.by_id[int(number)] = (topic, f"{name}.v{version}", schema)
            self.ids[f"{name}.v{version}"] = int(number)

    def encode(self, ce_type, body):
        value = io.BytesIO()
        number = self.ids[ce_type]
        value.write(FRAME.pack(0, number))
        fastavro.schemaless_writer(value, self.by_id[number][2], body)
        return value.getvalue()

    def decode(self, topic, value):
        zero, number = FRAME.unpack(value[: FRAME.size])
        assert zero == 0, f"the frame begins with {zero}"
        belongs_on, ce_type, schema = self.by_id[number]
        assert belongs_on == topic, f"{ce_type} on {topic}"
        rest = io.BytesIO(value[FRAME.size :])
        body = fastavro.schemaless_reader(rest, schema)
        assert not rest.read(), f"bytes after the {ce_type}"
        return ce_type, body

    def topics(self):
        return sorted({topic for topic, _, _ in self.by_id.values()})


def send(producer, prefix, topic, ce_type, key, value):
    def delivered(error, _):
        assert error is None, error

    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": "/stock-client",
        "ce_type": ce_type,
        "ce_time": datetime.now(timezone.utc).isoformat(),
        "ce_subject": key,
        "content-type": "application/avro",
    }
    producer.produce(prefix + topic, key=key.encode(), value=value, headers=headers, on_delivery=delivered)


def place(schemas, brokers, prefix, order_id):
    settings = {"bootstrap.servers": brokers, "partitioner": "murmur2_random", "enable.idempotence": True}
    producer = Producer(settings)
    sku, receive, order = f"sku-of-{order_id}", "shop.stock.ReceiveStock.v2", "shop.order.PlaceOrder.v2"
    receipt = {"sku": sku, "command_id": str(uuid.uuid4()), "quantity": 5}
    send(producer, prefix, "stock.commands.v1", receive, sku, schemas.encode(receive, receipt))
    body = {
        "order_id": order_id,
        "customer_id": "c-1040",
        "placed_at": datetime.now(timezone.utc),
        "currency": "EUR",
        "lines": [{"sku": sku, "quantity": 2, "unit_price_minor": 199}],
    }
    assert producer.flush(TIMEOUT_S) == 0, "the stock was not delivered"
    wait_for_stock(schemas, brokers, prefix, sku)
    send(producer, prefix, "order.commands.v1", order, order_id, schemas.encode(order, body))
    assert producer.flush(TIMEOUT_S) == 0, "the order was not delivered"


def commands(brokers):
    return Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "enable.idempotence": True})


def order_events(schemas, brokers, prefix):
    for record in records(brokers, prefix, ["order.events.v1"], to_end=False):
        ce_type, body = schemas.decode("order.events.v1", record.value())
        yield ce_type.rsplit(".", 2)[1], body


def warehouse(schemas, brokers, prefix, *orders):
    """An order that is to be shipped says until when: so does the event that made it ready."""
    producer, waiting, ship = commands(brokers), set(orders), "shop.order.ShipOrder.v1"
    for _, body in order_events(schemas, brokers, prefix):
        order_id = body["order_id"]
        if body.get("ship_by") is None or order_id not in waiting:
            continue
        command = {"order_id": order_id, "command_id": f"ship-{order_id}", "carrier": "bike", "by": "warehouse 7"}
        send(producer, prefix, "order.commands.v1", ship, order_id, schemas.encode(ship, command))
        waiting.remove(order_id)
        if not waiting:
            break
    assert not waiting, f"not ready within {TIMEOUT_S} s: {waiting}"
    assert producer.flush(TIMEOUT_S) == 0, "a shipment was not delivered"


def review(schemas, brokers, prefix, limit, count):
    """A fraud service: it needs nothing but the topics. Customers whose name ends with -bad are known to it."""
    producer, held, done = commands(brokers), {}, 0
    names = {name: f"shop.order.{name}.v1" for name in ("HoldOrder", "ReleaseOrder", "RejectOrder")}

    def ask(name, order_id, **more):
        command = {"order_id": order_id, "command_id": f"{name}-{order_id}", "by": "fraud-service", **more}
        send(producer, prefix, "order.commands.v1", names[name], order_id, schemas.encode(names[name], command))
        producer.poll(0)

    for event, body in order_events(schemas, brokers, prefix):
        order_id = body["order_id"]
        if event == "OrderPlaced" and body["total_minor"] > int(limit):
            held[order_id] = body["customer_id"]
            ask("HoldOrder", order_id, reason_code="amount")
        elif event == "OrderHeld" and order_id in held:
            if held[order_id].endswith("-bad"):
                ask("RejectOrder", order_id, reason_code="fraud", note="seen before")
            else:
                ask("ReleaseOrder", order_id)
            done += 1
            if done == int(count):
                break
    assert producer.flush(TIMEOUT_S) == 0, "a verdict was not delivered"


def wait_for_stock(schemas, brokers, prefix, sku):
    for record in records(brokers, prefix, ["stock.events.v1"], to_end=False):
        _, body = schemas.decode("stock.events.v1", record.value())
        if body["sku"] == sku:
            return
    raise AssertionError(f"nobody booked {sku} within {TIMEOUT_S} s")


def records(brokers, prefix, topics, to_end):
    """All records: up to the ends as they are now, or on and on until nothing comes for a while."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "nobody", "enable.auto.commit": False})
    ends, assigned = {}, []
    for topic in topics:
        for partition in consumer.list_topics(prefix + topic, TIMEOUT_S).topics[prefix + topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(prefix + topic, partition), TIMEOUT_S)
            assigned.append(TopicPartition(prefix + topic, partition, low))
            if low < high:
                ends[prefix + topic, partition] = high
    consumer.assign(assigned)
    while ends or not to_end:
        record = consumer.poll(TIMEOUT_S)
        if record is None:
            assert not to_end, f"not read to their ends within {TIMEOUT_S} s: {ends}"
            break
        assert record.error() is None, record.error()
        if ends.get((record.topic(), record.partition())) == record.offset() + 1:
            del ends[record.topic(), record.partition()]
        yield record
    consumer.close()


def read(schemas, brokers, prefix):
    positions = {}
    for record in records(brokers, prefix, schemas.topics(), to_end=True):
        topic = record.topic().removeprefix(prefix)
        ce_type, body = schemas.decode(topic, record.value())
        headers = {name: (value or b"").decode() for name, value in record.headers() or []}
        key = record.key().decode()
        assert headers["ce_type"] == ce_type and headers["ce_specversion"] == "1.0", headers
        assert headers["content-type"] == "application/avro" and headers["ce_id"], headers
        assert key == headers["ce_subject"] == body.get("order_id", body.get("sku")), (key, headers, body)
        datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00"))
        if "outbox-position" in headers:
            source, epoch, first, sequence = headers["outbox-position"].rsplit(":", 3)
            assert headers["ce_source"] == source, headers
            last = positions.get((topic, record.partition()), (int(epoch), int(first) - 1))
            assert (int(epoch), int(sequence)) == (last[0], last[1] + 1), f"after {last}: {headers['outbox-position']}"
            positions[topic, record.partition()] = (int(epoch), int(sequence))
        print(json.dumps({"topic": topic, "type": ce_type, "key": key, "version": body.get("version")}))
    assert positions, "nothing had a position"


def archive(folder):
    for file in sorted(pathlib.Path(folder).glob("*/*/*.avro")):
        with file.open("rb") as opened:
            reader = fastavro.reader(opened)
            records = list(reader)
        said = reader.metadata
        assert said["archive.topic"] == records[0]["topic"] == file.parent.parent.name, said
        assert said["archive.partition"] == str(records[0]["partition"]) == file.parent.name, said
        assert int(said["archive.last_offset"]) == records[-1]["offset"], said
        assert int(said["archive.records"]) == len(records), said
        for record in records:
            for name in ("key", "value"):
                record[name] = None if record[name] is None else record[name].hex()
            for header in record["headers"]:
                header["value"] = None if header["value"] is None else header["value"].hex()
            print(json.dumps(record))


def main():
    if sys.argv[1] == "archive":
        return archive(sys.argv[2])
    command, folder, brokers, prefix, *rest = sys.argv[1:]
    schemas = Schemas(pathlib.Path(folder))
    {"place": place, "read": read, "warehouse": warehouse, "review": review}[command](schemas, brokers, prefix, *rest)


main()
