#!/usr/bin/env bash
# Avro object container files with the codec `zstandard` (in the specification since 1.9) are refused by the readers that an
# analyst reaches for first: polars 2.1.0, DuckDB 1.5.5 with its avro extension, avsc 5.7.9. The same rows with `deflate` are
# read by all of them. fastavro 1.13.1 needs backports.zstd, avro 1.12.2 needs zstandard, beside themselves.
#
# Seen: polars `unsupported Avro codec "zstandard"`, DuckDB `unknown codec`, avsc `unknown codec: zstandard`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    'fastavro[zstandard]==1.13.1' 'polars==2.1.0' 'duckdb==1.5.5' 'duckdb-extension-avro==1.5.5'
(cd "$work" && npm init -y >npm.log && npm install --silent --no-audit --no-fund avsc@5.7.9 >>npm.log)
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys

import duckdb
import fastavro
import polars

folder = sys.argv[1]
schema = fastavro.parse_schema({"type": "record", "name": "Row", "fields": [{"name": "n", "type": "long"}, {"name": "key", "type": "string"}]})
rows = [{"n": n, "key": f"k-{n}"} for n in range(100)]
for codec in ["zstandard", "deflate"]:
    with open(f"{folder}/{codec}.avro", "wb") as file:
        fastavro.writer(file, schema, rows, codec=codec)
    with open(f"{folder}/{codec}.avro", "rb") as file:
        assert list(fastavro.reader(file)) == rows


def refused(what, read):
    try:
        read()
    except Exception as error:
        print(f"{what}: refused: {str(error).splitlines()[0]}")
        assert "codec" in str(error), "refused for another reason"
        return
    raise SystemExit(f"{what} reads zstandard now")


refused(f"polars {polars.__version__}", lambda: polars.read_avro(f"{folder}/zstandard.avro"))
assert polars.read_avro(f"{folder}/deflate.avro").height == 100

import duckdb_extension_avro
import pathlib

extension = next(pathlib.Path(duckdb_extension_avro.__file__).parent.glob("extensions/*/avro.duckdb_extension"))
connection = duckdb.connect()
connection.execute(f"load '{extension}'")
refused(f"duckdb {duckdb.__version__}", lambda: connection.sql(f"from read_avro('{folder}/zstandard.avro')").fetchall())
assert len(connection.sql(f"from read_avro('{folder}/deflate.avro')").fetchall()) == 100
PYTHON
cat >"$work/read.js" <<'JS'
const avro = require('avsc');
const read = file => new Promise((done, failed) => {
  let rows = 0;
  avro.createFileDecoder(file).on('data', () => rows++).on('end', () => done(rows)).on('error', failed);
});
(async () => {
  if (await read(`${__dirname}/deflate.avro`) !== 100) throw new Error('deflate is not read');
  try { await read(`${__dirname}/zstandard.avro`); } catch (error) {
    console.log(`avsc 5.7.9: refused: ${error.message}`);
    if (!/codec/.test(error.message)) throw error;
    return;
  }
  throw new Error('avsc reads zstandard now');
})().catch(error => { console.error(error); process.exit(1); });
JS
node "$work/read.js"
echo "as found"
