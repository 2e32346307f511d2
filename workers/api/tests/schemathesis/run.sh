#!/usr/bin/env bash
# Asks a real door all that its document says, and all that it does not say, and holds each answer against the document:
# no 5xx, no status, header or body that is not described, nothing let in without a key. With schemathesis, from PyPI.
#
#   workers/api/tests/schemathesis/run.sh [PROGRAMS] [-- FURTHER OPTIONS OF SCHEMATHESIS]    # default: target/debug
#
# PROGRAMS are made by: cargo build --bin dev-stack --bin api-daemon --bin order-api
# Run outside CI: it needs Python 3 and installs pinned public packages into a temporary folder. Fails where schemathesis finds
# anything; stops every server that it has started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
programs=$here/../../../../target/debug
if [ $# -gt 0 ] && [ "$1" != -- ]; then programs=$1; shift; fi
if [ "${1-}" = -- ]; then shift; fi
PATH=$(realpath "$programs"):$PATH
work=$(mktemp -d)
unset KAFKA_BROKERS DATABASE_URL PIPELINE_CONFIG
end() {
    jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true
    wait || true
    dev-stack down --remove-data --folder "$work/stack" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT

say() { printf '\n== %s\n' "$*"; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_answers() { # URL
    for _ in $(seq 240); do curl -sf --max-time 5 -o "$work/said" "$1" && return; sleep 0.5; done
    echo "no answer: $1" >&2
    tail -n 5 "$work"/*.log >&2
    exit 1
}

say "schemathesis"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

say "a pipeline and its door"
dev-stack up --folder "$work/stack"
eval "$(dev-stack env --folder "$work/stack")"
api-daemon order topics create --partitions 3 --replicas 1
for service in order inventory payment; do
    api-daemon $service migrate
    LISTEN=127.0.0.1:0 api-daemon $service >"$work/$service.log" 2>&1 &
done
order-api migrate
order-api key --name tester --role orders:read --role orders:write --role stock:write --role ops:act >"$work/keys.toml"
key=$(grep -o 'oak_[0-9a-f]*' "$work/keys.toml")
export API_KEYS_FILE=$work/keys.toml LISTEN=127.0.0.1:$(port) API_LISTEN=127.0.0.1:$(port)
order-api >"$work/door.log" 2>&1 &
until_answers "http://$LISTEN/readyz"
door=http://$API_LISTEN

say "something to find: goods, and orders that have come differently far"
ask() { # PATH BODY
    curl -sSf -o /dev/null -H "Authorization: Bearer $key" -H "Idempotency-Key: $RANDOM-$RANDOM" -H 'Prefer: wait=20' --json "$2" "$door$1"
}
ask /v1/stock/receipts '{"sku":"pen","quantity":100000}'
for id in o-1 o-2 o-3; do
    ask /v1/orders "{\"order_id\":\"$id\",\"customer_id\":\"ada\",\"currency\":\"EUR\",\"fulfilment\":\"on_command\",
        \"lines\":[{\"sku\":\"pen\",\"quantity\":2,\"unit_price_minor\":250}]}"
done
ask /v1/orders/o-2/ship '{}'
ask /v1/orders/o-3/cancel '{}'

say "all checks"
cd "$work"
got() { curl -sSf -H "Authorization: Bearer $key" "$@"; }
ORDER_API_AFTER=$(got -o "$work/said" -D - "$door/v1/orders/o-1" | tr -d '\r' | sed -n 's/^order-position: //p')
ORDER_API_CURSOR=$(got "$door/v1/orders?limit=1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["next"])')
export ORDER_API_KEY=$key ORDER_API_AFTER ORDER_API_CURSOR
PYTHONPATH=$here "$work/venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "$door/v1/openapi.json" "$@"
if grep -q "$key" "$work/door.log"; then echo "the key is in the log" >&2; exit 1; fi
say "done: all as the document says"
