#!/usr/bin/env bash
# Takes htmx and its extension for server-sent events out of its npm package: workers/api/console/update.sh 4.0.1
# Then change the version in README.md, and run the console's tests in Chromium.
set -euo pipefail
version=${1:?the version of htmx.org}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "htmx.org@$version" >/dev/null
tar xzf htmx.org-*.tgz
gzip -9 -n -c package/dist/htmx.min.js >"$here/htmx.min.js.gz"
gzip -9 -n -c package/dist/ext/hx-sse.min.js >"$here/hx-sse.min.js.gz"
cp package/LICENSE "$here/LICENSE.htmx"
