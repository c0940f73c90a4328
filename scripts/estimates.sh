#!/usr/bin/env bash
# How far accuracy estimated without labels lies from the realised one on the development streams
# (../shared/data/assist), head by head: driftd beside NannyML's CBPE and ATC on the same rows. Prints the table of
# docs/quality.md.
#   estimates.sh [PROFILE]      release by default
# ESTIMATES_VENV keeps NannyML from one run to the next, ESTIMATES_WORK the streams and what was estimated
# (estimates.csv has a row for each window and head).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
profile=${1:-release}
data=$root/../shared/data/assist
[ -f "$data/ground_truth.json" ] || { echo "estimates.sh: no development data beside this checkout" >&2; exit 1; }
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
work=${ESTIMATES_WORK:-$own}
venv=${ESTIMATES_VENV:-$own/venv}
mkdir -p "$work"
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install --quiet 'nannyml==0.13.1' 'statsmodels==0.15.0'; }
export NML_DISABLE_USAGE_LOGGING=1
convert=$root/target/$profile/examples/assist_records
driftd=$root/target/$profile/driftd

"$convert" "$data" --manifest "$work"
for stream in reference reference_seasonal; do
  "$convert" "$data" "$stream" "$work/$stream.jsonl" "$work/$stream.labels.jsonl" --all
  "$driftd" reference fit --device cpu --skew-sample 0 -m "$work/manifest.yaml" -i "$work/$stream.jsonl" \
    --labels "$work/$stream.labels.jsonl" -o "$work/$stream.bin" --window-records 250 > /dev/null 2>&1
done
python3 -c '
import json, sys
for name, truth in json.load(open(sys.argv[1]))["streams"].items():
    if truth["kind"] != "reference":
        print(name, truth.get("reference") or "reference")' "$data/ground_truth.json" |
  while read -r stream reference; do
    "$convert" "$data" "$stream" "$work/$stream.jsonl" "$work/$stream.labels.jsonl" --all
    "$driftd" backtest --device cpu --skew-sample 0 -m "$work/manifest.yaml" -r "$work/$reference.bin" \
      -i "$work/$stream.jsonl" --labels "$work/$stream.labels.jsonl" --arl-windows 2000 --format json \
      -o "$work/$stream.json" 2> /dev/null
  done
"$venv/bin/python" "$root/scripts/estimates.py" "$work" "$data"
