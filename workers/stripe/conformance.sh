#!/bin/sh
# The client against two servers that are not ours, with pinned versions, in a temporary folder; not part of `.ci/run`.
#   stripe-mock (Go, v0.203.0): no state, but it checks every request against Stripe's own OpenAPI document.
#   localstripe (PyPI, 1.15.10): keeps state; no idempotency keys, no search.
# Needs go, python3 with venv, cargo, curl. Ends with 0 when both take all requests and answer as they should.
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
mock_port=${MOCK_PORT:-12131} local_port=${LOCAL_PORT:-12132}
pids=
trap 'for pid in $pids; do kill "$pid" 2>/dev/null || true; done; rm -rf "$folder"' EXIT

until_up() {
    for _ in $(seq 100); do
        curl -s -o /dev/null "$1" && return 0
        sleep 0.1
    done
    echo "no answer from $1" >&2
    return 1
}

run() {
    cargo run --quiet --example conformance -- --stripe-key sk_test_conformance "$@"
}

GOBIN="$folder/bin" GOFLAGS=-modcacherw go install github.com/stripe/stripe-mock@v0.203.0
"$folder/bin/stripe-mock" -http-port "$mock_port" >"$folder/mock.log" 2>&1 &
pids="$pids $!"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet localstripe==1.15.10
"$folder/venv/bin/localstripe" --port "$local_port" --from-scratch >"$folder/local.log" 2>&1 &
pids="$pids $!"
until_up "http://127.0.0.1:$mock_port/v1/charges"
until_up "http://127.0.0.1:$local_port/js.stripe.com/v3/"

echo "stripe-mock v0.203.0: are the requests of the right shape?"
run --stripe-url "http://127.0.0.1:$mock_port" --stateless

echo "localstripe 1.15.10: hold, take, give back, let go"
token=$(curl -s -u sk_test_conformance: "http://127.0.0.1:$local_port/v1/payment_methods" -d type=card \
    -d 'card[number]=4242424242424242' -d 'card[exp_month]=12' -d 'card[exp_year]=2034' -d 'card[cvc]=123' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
run --stripe-url "http://127.0.0.1:$local_port" --token "$token" --without-search
echo "both as they should be"
