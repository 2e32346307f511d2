#!/usr/bin/env bash
# Takes Swagger UI's files out of its npm package, at the version given: workers/api/swagger-ui/update.sh 5.35.0
# Then change the version in README.md and in src/http/docs.rs, run the tests of `docs`, and look at the page (tests/swagger_ui/run.sh).
set -euo pipefail
version=${1:?the version of swagger-ui-dist}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar xzf swagger-ui-dist-*.tgz
for file in swagger-ui-bundle.js swagger-ui.css; do gzip -9 -n -c "package/$file" >"$here/$file.gz"; done
cp package/LICENSE package/NOTICE package/swagger-ui-bundle.js.LICENSE.txt "$here/"
