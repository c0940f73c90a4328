#!/usr/bin/env bash
# Judges every development stream (../shared/data/assist) at windows of 100, 250 and 500 records and
# prints the table of docs/quality.md.
#   quality.sh [PROFILE]      release by default
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
profile=${1:-release}
data=$root/../shared/data/assist
[ -f "$data/ground_truth.json" ] || { echo "quality.sh: no development data beside this checkout" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
convert=$root/target/$profile/examples/assist_records
driftd=$root/target/$profile/driftd

"$convert" "$data" --manifest "$work"
for stream in reference reference_seasonal; do
  "$convert" "$data" "$stream" "$work/$stream.jsonl"
  for size in 100 250 500; do
    "$driftd" reference fit --device cpu -m "$work/manifest.yaml" -i "$work/$stream.jsonl" \
      -o "$work/$stream.$size.bin" --window-records "$size" > /dev/null 2>&1
  done
done
echo "| stream | should alarm | 100 a window | 250 a window | 500 a window | cause found (250) |"
echo "|---|---|---|---|---|---|"
python3 - "$data/ground_truth.json" << 'PYTHON' | while IFS='|' read -r stream reference should onset; do
import json, sys
for name, truth in json.load(open(sys.argv[1]))["streams"].items():
    if truth["kind"] == "reference":
        continue
    onset = truth.get("onset") or {}
    index = onset.get("index") if isinstance(onset, dict) else onset
    if index is None:
        index = truth.get("onset_index")
    should = "yes" if truth["verdict"]["should_alarm"] else "no"
    print(name, truth.get("reference") or "reference", should, index if index is not None else "", sep="|")
PYTHON
  "$convert" "$data" "$stream" "$work/stream.jsonl"
  cells=
  for size in 100 250 500; do
    "$driftd" backtest --device cpu -m "$work/manifest.yaml" -r "$work/$reference.$size.bin" -i "$work/stream.jsonl" \
      --arl-windows 2000 --format json -o "$work/out.$size.json" 2> /dev/null
    cells+=$(python3 - "$work/out.$size.json" "$onset" "$size" << 'PYTHON'
import json, sys
told, onset, size = json.load(open(sys.argv[1])), sys.argv[2], int(sys.argv[3])
opened = [a["opened_window"] for a in told["alerts"]]
def say(window):
    if onset == "":
        return f"window {window}"
    delay = window - int(onset) // size + 1
    return f"{delay}" if delay >= 1 else f"**false, {1 - delay} before**"
print(" – |" if not opened else " " + ", ".join(say(w) for w in opened) + " |")
PYTHON
)
  done
  cause=$(python3 -c '
import json, sys
alerts = json.load(open(sys.argv[1]))["alerts"]
print("; ".join((a["cause"]["task"] or a["cause"]["segment"] or a["cause"]["kind"]) + " → " + ", ".join(a["cause"]["tasks_affected"]) for a in alerts) or "–")' "$work/out.250.json")
  echo "| $stream | $should |$cells $cause |"
done
