#!/usr/bin/env bash
# How long `driftd reference fit` takes on many records and how much memory at most: simulated records of the
# example model with production's answers and without embeddings, so that our own inference runs over each text.
# A tenth of them is simulated; it is told ten times over, each with times of its own.
#   fit_speed.sh [RECORDS]    a million by default; a release build, or the binary that DRIFTD names
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
records=${1:-1000000}
driftd=${DRIFTD:-$root/target/release/driftd}
manifest=$root/examples/support/manifest.yaml
[ -x "$driftd" ] || { echo "fit_speed.sh: \`$driftd\` is missing: cargo build --release first" >&2; exit 1; }
export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$root/.deps/onnxruntime/libonnxruntime.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$driftd" simulate --device cpu -m "$manifest" -n "$((records / 10))" --seed 11 -o "$work/tenth.jsonl"
python3 - "$work" << 'PYTHON'
import datetime, json, sys
lines = [json.loads(line) for line in open(f"{sys.argv[1]}/tenth.jsonl")]
start, every = datetime.datetime(2026, 3, 1), datetime.timedelta(seconds=2)
with open(f"{sys.argv[1]}/records.jsonl", "w") as out:
    for i in range(10 * len(lines)):
        record = lines[i % len(lines)]
        record["timestamp"], record["prediction_id"] = (start + i * every).isoformat() + "Z", f"r{i}"
        out.write(json.dumps(record, separators=(",", ":")) + "\n")
PYTHON
/usr/bin/time -f '%e %U %M' -o "$work/time" \
  "$driftd" reference fit --device cpu -m "$manifest" --window 1h -i "$work/records.jsonl" -o "$work/ref.bin" > "$work/table"
grep '^records' "$work/table"
read -r wall cpu kib < <(tail -1 "$work/time")
echo "fit: $wall s, $cpu s of CPU, $((kib / 1024)) MiB at most; input $(du -m "$work/records.jsonl" | cut -f1) MB, reference $(du -k "$work/ref.bin" | cut -f1) KiB"
