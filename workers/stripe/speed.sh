#!/bin/sh
# What the provider costs: memory with 10,000 calls open, and orders/s against the simulator's with a provider that answers in 100 ms.
# Not part of `.ci/run`; needs nothing but this repository. Prints, and judges nothing: docs/performance.md has the goals.
set -eu
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'kill $pid 2>/dev/null || true; rm -rf "$folder"' EXIT
cargo build --release --quiet --bin stripe-server --bin bench --example open_calls
ulimit -n 20000

server() {
    printf '[simulator]\nlatency_min_ms = %s\nlatency_max_ms = %s\n' "$1" "$1" >"$folder/behaviour.toml"
    target/release/stripe-server --listen 127.0.0.1:12141 --behaviour "$folder/behaviour.toml" >"$folder/server.log" 2>&1 &
    pid=$!
    until curl -s -o /dev/null http://127.0.0.1:12141/readyz; do sleep 0.1; done
}

server 5000
for requests in 256 10000; do
    echo "10,000 calls, $requests requests at once:"
    target/release/examples/open_calls --stripe-url http://127.0.0.1:12141 --stripe-key sk_test_speed --stripe-requests "$requests"
done
kill $pid

server 100
echo "the simulator:"
cargo bench-pipeline --only five-lines "$@"
echo "a provider that answers in 100 ms:"
PROVIDER=stripe STRIPE_URL=http://127.0.0.1:12141 STRIPE_KEY=sk_test_speed STRIPE_TEST_TOKEN=pm_card_visa STRIPE_REQUESTS=1024 \
    cargo bench-pipeline --only five-lines "$@"
