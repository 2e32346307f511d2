#!/usr/bin/env bash
# Takes axe out of its npm package: workers/api/tests/console/update.sh 4.14.1
# Then change the version in README.md, and run the console's tests.
set -euo pipefail
version=${1:?the version of axe-core}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "axe-core@$version" >/dev/null
tar xzf axe-core-*.tgz
gzip -9 -n -c package/axe.min.js >"$here/axe.min.js.gz"
cp package/LICENSE "$here/LICENSE.axe"
