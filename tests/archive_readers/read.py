"""Reads archive segments with one library, and prints how many records and bytes it has read."""

import json
import pathlib
import sys

LIBRARY, FILES = sys.argv[1:]


def of_records(records):
    """Sums over records as mappings, with bytes or None as keys and values."""
    count = keys = values = headers = 0
    for record in records:
        count += 1
        keys += len(record["key"] or b"")
        values += len(record["value"] or b"")
        for header in record["headers"] or []:
            headers += len(header["name"].encode()) + len(header["value"] or b"")
    return count, keys, values, headers


def fastavro(files):
    import fastavro

    for file in files:
        with open(file, "rb") as opened:
            yield from fastavro.reader(opened)


def avro(files):
    from avro.datafile import DataFileReader
    from avro.io import DatumReader

    for file in files:
        with DataFileReader(open(file, "rb"), DatumReader()) as reader:
            yield from reader


def polars(files):
    import polars

    for file in files:
        yield from polars.read_avro(file).iter_rows(named=True)


def duckdb(files):
    import duckdb
    import duckdb_extension_avro

    folder = pathlib.Path(duckdb_extension_avro.__file__).parent
    connection = duckdb.connect()
    connection.execute(f"load '{next(folder.glob('extensions/*/avro.duckdb_extension'))}'")
    for file in files:
        read = connection.execute("select key, value, headers from read_avro(?)", [file])
        for key, value, headers in read.fetchall():
            yield {"key": key, "value": value, "headers": headers}


def from_json(_):
    """What avro-tools prints: a union names its branch, and bytes are characters below 256."""

    def raw(union):
        return None if union is None else union["bytes"].encode("latin-1")

    for line in sys.stdin:
        record = json.loads(line)
        headers = record["headers"] and record["headers"]["array"]
        named = [{"name": header["name"], "value": raw(header["value"])} for header in headers or []]
        yield {"key": raw(record["key"]), "value": raw(record["value"]), "headers": named}


def main():
    files = [] if FILES == "-" else pathlib.Path(FILES).read_text().split("\n")[:-1]
    readers = {"fastavro": fastavro, "avro": avro, "polars": polars, "duckdb": duckdb, "json": from_json}
    count, keys, values, headers = of_records(readers[LIBRARY](files))
    print(f"records {count} bytes of keys {keys} values {values} headers {headers}")


main()
