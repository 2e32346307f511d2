#!/usr/bin/env bash
# Reads a real archive with the Avro readers that people have, and holds what each of them has read against the others and
# against `replay-tool archive list`: records, and the bytes of keys, values and headers.
#
#   tests/archive_readers/run.sh DIR [REPLAY_TOOL]
#
# Run outside CI: it needs Python 3, Node, Go, Java and Maven, and installs pinned public packages into a temporary folder.
# A reader whose language is missing here is named and makes the exit code 1.
set -euo pipefail
archive=$(realpath "${1:?the folder of an archive}")
replay_tool=${2:-replay-tool}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$archive" -name '*.avro' | sort >"$work/files"
"$replay_tool" archive list "$archive" --json >"$work/list" || { echo "this archive is not whole: replay-tool archive list $archive" >&2; exit 1; }
python3 -c 'import json, sys; print("records", sum(part["records"] for part in json.load(sys.stdin)["partitions"]))' <"$work/list" >"$work/expected"
failed=0

told() { # NAME COMMAND...
    local name=$1
    shift
    if ! "$@" >"$work/out" 2>"$work/err"; then
        printf '%-30s FAILED: %s\n' "$name" "$(tail -n 1 "$work/err")"
        failed=1
        return
    fi
    printf '%-30s %s\n' "$name" "$(cat "$work/out")"
    if ! grep -q "^$(cat "$work/expected")\b" "$work/out"; then failed=1; fi
    # The first reader that tells bytes says what they are.
    [ -e "$work/bytes" ] || cp "$work/out" "$work/bytes"
    cmp -s "$work/bytes" "$work/out" || { echo "  differs from: $(cat "$work/bytes")"; failed=1; }
}

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
told "fastavro 1.13.1" "$work/venv/bin/python" "$here/read.py" fastavro "$work/files"
told "avro 1.12.2 (Python)" "$work/venv/bin/python" "$here/read.py" avro "$work/files"
told "polars 2.1.0" "$work/venv/bin/python" "$here/read.py" polars "$work/files"
told "DuckDB 1.5.5" "$work/venv/bin/python" "$here/read.py" duckdb "$work/files"

if command -v npm >/dev/null; then
    cp "$here/read.js" "$work/"
    # avro-js needs underscore and does not say so.
    (cd "$work" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund avsc@5.7.9 avro-js@1.12.2 underscore@1.13.7)
    told "avsc 5.7.9 (Node)" node "$work/read.js" avsc "$work/files"
    told "avro-js 1.12.2 (Node)" node "$work/read.js" avro-js "$work/files"
else
    echo "npm is missing: avsc and avro-js were not tried"
    failed=1
fi

if command -v go >/dev/null; then
    mkdir "$work/go"
    cp "$here"/read.go "$work/go/"
    # -modcacherw: a cache in a folder that is to be deleted.
    if (cd "$work/go" && export GOFLAGS=-modcacherw GOTOOLCHAIN=local && go mod init readers &&
        go get github.com/linkedin/goavro/v2@v2.15.0 github.com/hamba/avro/v2/ocf@v2.31.0 && go build -o read .) >"$work/go.log" 2>&1; then
        told "goavro 2.15.0 (Go)" "$work/go/read" goavro "$work/files"
        told "hamba/avro 2.31.0 (Go)" "$work/go/read" hamba "$work/files"
    else
        echo "the Go readers cannot be built: $(tail -n 1 "$work/go.log")"
        failed=1
    fi
else
    echo "go is missing: goavro and hamba were not tried"
    failed=1
fi

if command -v mvn >/dev/null; then
    mvn -q dependency:copy -Dartifact=org.apache.avro:avro-tools:1.12.1 -DoutputDirectory="$work" >"$work/mvn.log"
    java_json() {
        while read -r file; do
            java -Xmx256m -jar "$work/avro-tools-1.12.1.jar" tojson "$file" 2>/dev/null
        done <"$work/files" | "$work/venv/bin/python" "$here/read.py" json -
    }
    told "avro 1.12.1 (Java)" java_json
else
    echo "mvn is missing: avro for Java was not tried"
    failed=1
fi
exit "$failed"
