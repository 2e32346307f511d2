#!/usr/bin/env bash
# Keeps an archive in a bucket: a real Kafka and Postgres, a demo's orders, and moto (from PyPI) as the S3 server, which
# checks signatures and rights and refuses a second object under one name.
#
#   tests/archive_s3/run.sh [PROGRAMS]      # default: target/release
#
# PROGRAMS are made by: cargo build --release --bins --features replay-tool/s3
# Run outside CI: it needs Python 3 and installs pinned public packages into a temporary folder. Fails at the first thing
# that is not as it should be; stops every server that it has started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$(realpath "${1:-$here/../../target/release}")
work=$(mktemp -d)
PATH=$programs:$PATH
unset "${!AWS_@}" ARCHIVE_DIR KAFKA_BROKERS DATABASE_URL
end() {
    jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
    demo stop >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT

say() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
# Runs a command, shows it and the last lines of what it says, and fails unless it ends with this code and says these words.
ends() { # CODE WORDS COMMAND...
    local expected=$1 words=$2 code=0
    shift 2
    printf '$ %s\n' "$*"
    timeout 600 "$@" >"$work/said" 2>&1 || code=$?
    tail -n 3 "$work/said"
    [ "$code" = "$expected" ] || fail "ended with $code, not $expected"
    grep -qF -- "$words" "$work/said" || fail "does not say: $words"
    ! grep -qF -- "$secret" "$work/said" || fail "shows the secret"
}
until_answers() { # COMMAND...
    for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 1; done
    fail "no answer to: $*"
}
digests() { replay-tool rebuild --to memory "$@" | grep digest; }

say "an S3 server"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
export AWS_ENDPOINT_URL=http://127.0.0.1:$(port) AWS_REGION=us-east-1 AWS_ALLOW_HTTP=true
"$work/venv/bin/moto_server" -p "${AWS_ENDPOINT_URL##*:}" >"$work/moto.log" 2>&1 &
server=$!
until_answers curl -sf --max-time 5 "$AWS_ENDPOINT_URL/moto-api/"
"$work/venv/bin/python" "$here/server.py" "$AWS_ENDPOINT_URL" shop >"$work/users"
# shellcheck source=/dev/null
source "$work/users"
export "${archivist[@]}"
secret=$AWS_SECRET_ACCESS_KEY

say "orders"
demo --keep --limit 300 >"$work/demo.log" 2>&1 || { tail -n 20 "$work/demo.log"; fail "the demo"; }
eval "$(demo env)"
until_answers replay-tool verify

say "archive, check, list"
archive=s3://shop/archive
ends 2 "nothing lies there" replay-tool archive list $archive
ends 0 "new segments" replay-tool archive run --to $archive
ends 0 "0 records in 0 new segments" replay-tool archive run --to $archive
ends 0 "whole" replay-tool archive check $archive
ends 0 "whole" replay-tool archive list $archive

say "a run that is killed, and two at once"
records() { replay-tool archive list "$1" --json | python3 -c 'import json, sys; print(sum(part["records"] for part in json.load(sys.stdin)["partitions"]))'; }
replay-tool archive run --to s3://shop/killed --segment-bytes 4096 --no-commit >"$work/killed.log" 2>&1 &
killed=$!
# The server stands still in the middle of a put, so that the run cannot be faster than its end.
until grep -q 'PUT /shop/killed/.*avro' "$work/moto.log"; do kill -0 $killed; sleep 0.05; done
kill -STOP $server
kill -9 $killed
kill -CONT $server
echo "killed with $(records s3://shop/killed) of $(records $archive) records in the bucket"
[ "$(records s3://shop/killed)" -lt "$(records $archive)" ] || fail "it was done before it was killed"
ends 0 "new segments" replay-tool archive run --to s3://shop/killed --segment-bytes 4096 --no-commit
ends 0 "whole" replay-tool archive check s3://shop/killed
[ "$(records s3://shop/killed)" = "$(records $archive)" ] || fail "other records than the archive"
one_of_two() { # NUMBER
    local code=0
    replay-tool archive run --to s3://shop/two --segment-bytes 4096 --no-commit >"$work/two-$1" 2>&1 || code=$?
    echo $code >"$work/code-$1"
}
one_of_two 1 & first=$!
one_of_two 2 & wait $first $!
codes=$(sort -n "$work"/code-* | tr '\n' ' ')
echo "two runs at once ended with $codes"
[ "$codes" = "0 2 " ] || fail "one of them should have been refused"
tail -qn 1 "$work"/two-*
ends 0 "new segments" replay-tool archive run --to s3://shop/two --no-commit
ends 0 "whole" replay-tool archive check s3://shop/two

say "reading it"
ends 0 "Everything holds" replay-tool verify --archive $archive --brokers ''
digests >"$work/of-topics"
digests --archive $archive --brokers '' >"$work/of-archive"
cmp "$work/of-topics" "$work/of-archive" || fail "another state than the topics'"
echo "rebuilt from the topics and from the bucket: the same digests"
ends 0 "stands at" replay-tool trace 31198570044 --archive $archive --brokers ''
ends 0 "no dead letters" replay-tool dead-letters list --archive $archive --brokers ''
ends 0 "records published" replay-tool archive restore --archive $archive --archive-prefix '' --brokers "$KAFKA_BROKERS" --topic-prefix again-
digests --topic-prefix again- >"$work/of-restored"
cmp "$work/of-topics" "$work/of-restored" || fail "another state than before it was restored"
echo "rebuilt from the restored topics: the same digests"

say "refusals"
ends 2 "there is no such bucket" replay-tool archive run --to s3://shopp/archive
ends 2 "the signature is wrong" env AWS_SECRET_ACCESS_KEY=wrong replay-tool archive check $archive
ends 2 "does not know the access key" env AWS_ACCESS_KEY_ID=AKIANOBODY replay-tool archive check $archive
ends 2 "access denied" env "${stranger[@]:0:1}" "${stranger[@]:1:1}" replay-tool archive check $archive
ends 2 "set AWS_ALLOW_HTTP=true" env AWS_ALLOW_HTTP=false replay-tool archive check $archive
ends 2 "cannot be reached" env AWS_ENDPOINT_URL=http://127.0.0.1:9 replay-tool archive check $archive
ends 2 "nothing lies there" replay-tool archive check s3://shop/other
ends 2 "no user and no password" replay-tool archive check "s3://KEY:SECRET@shop/archive"

say "TLS"
tls=https://localhost:$(port)
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
"$work/venv/bin/moto_server" -p "${tls##*:}" -s -c "$work/certificate.pem" -k "$work/key.pem" >"$work/tls.log" 2>&1 &
until_answers curl -sfk --max-time 5 "$tls/moto-api/"
ends 2 "is not trusted" env AWS_ENDPOINT_URL="$tls" replay-tool archive check $archive
ends 2 "there is no such bucket" env AWS_ENDPOINT_URL="$tls" AWS_CA_BUNDLE="$work/certificate.pem" replay-tool archive check $archive

say "done: all as it should be"
