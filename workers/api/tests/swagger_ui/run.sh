#!/usr/bin/env bash
# Opens /docs of a door in a real browser, without a network, and sees that the operations are there and nothing was blocked.
#
#   workers/api/tests/swagger_ui/run.sh http://127.0.0.1:8080
#
# Run outside CI, with a door that runs; it needs Debian's chromium (or CHROMIUM=…).
set -euo pipefail
door=${1:?the address of a door}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 120 "${CHROMIUM:-chromium}" --headless=new --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
    --disable-background-networking --disable-component-update --no-first-run --host-resolver-rules="MAP * ~NOTFOUND, EXCLUDE 127.0.0.1" \
    --enable-logging=stderr --virtual-time-budget=20000 --dump-dom "$door/docs" >"$work/page" 2>"$work/log"
shown=$(grep -o 'class="opblock-summary-path"' "$work/page" | wc -l)
described=$(curl -sf "$door/v1/openapi.json" | python3 -c 'import json, sys; print(sum(len(item) for item in json.load(sys.stdin)["paths"].values()))')
echo "$shown of $described operations are shown"
grep 'CONSOLE' "$work/log" || true
if grep -q 'Content Security Policy\|ERR_' "$work/log"; then echo "something was blocked" >&2; exit 1; fi
grep -q 'class="btn authorize' "$work/page" || { echo "no button to authorize" >&2; exit 1; }
[ "$shown" = "$described" ]
