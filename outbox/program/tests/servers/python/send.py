"""Sends through the outbox from plain Python: nothing but a driver and two statements. Arguments: database URL, topic."""

import sys
from urllib.parse import urlsplit

import pg8000.dbapi

url, topic = sys.argv[1:]
parts = urlsplit(url)
connection = pg8000.dbapi.connect(
    user=parts.username, password=parts.password, host=parts.hostname, port=parts.port, database=parts.path.lstrip("/")
)
cursor = connection.cursor()

# A service's own table and its messages, in one transaction.
cursor.execute("create table python_orders (id text primary key)")
cursor.execute("insert into python_orders values (%s)", ("o-1",))
cursor.execute(
    "insert into shop.outbox_sends (topic, key, payload, type, partition) values (%s, %s, %s, %s, %s)",
    (topic, b"o-1", b"python 1", "shop.Ordered.v1", 0),
)
cursor.execute("savepoint before")
cursor.execute("select shop.outbox_send(%s, %s, %s::text, %s, partition => 2)", (topic, "o-1", "never", "shop.Ordered.v1"))
cursor.execute("rollback to savepoint before")
cursor.execute("select shop.outbox_send(%s, %s, %s::text, %s, partition => 0)", (topic, "o-1", "python 2", "shop.Paid.v1"))
cursor.execute("select shop.outbox_send(%s, %s, %s::bytea, %s, partition => 1)", (topic, "o-1", b"python 3", "shop.Paid.v1"))
connection.commit()

try:
    cursor.execute("select shop.outbox_send(%s, %s, %s::text, %s)", ("elsewhere", "o-1", "never", "shop.Paid.v1"))
except pg8000.dbapi.DatabaseError as error:
    print("refused", error.args[0]["C"])
connection.rollback()
connection.close()
