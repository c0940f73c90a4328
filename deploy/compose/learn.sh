#!/usr/bin/env bash
# Fits a reference to simulated records and makes it the active one, unless the store has one.
set -euo pipefail

driftd=${DRIFTD:-/usr/local/bin/driftd}
config=${DRIFTD_CONFIG:-/etc/driftd/driftd.yaml}
manifest=${MANIFEST:-/models/support/manifest.yaml}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The table has a line for each reference below its head.
known=$("$driftd" reference list -c "$config" | tail -n +2)
if [ -n "$known" ]; then
  echo "learn: the store has a reference"
  exit
fi
# Fifty records a second, as the traffic will be, for 25 minutes of event time.
"$driftd" simulate --manifest "$manifest" --count 75000 --interval 20ms --seed 11 \
  --start "$(date -u -d '-1 hour' +%FT%H:%M:00Z)" --output "$work/held-out.jsonl"
"$driftd" reference fit --manifest "$manifest" --input "$work/held-out.jsonl" --window 10s --output "$work/reference.bin"
"$driftd" reference activate -c "$config" "$work/reference.bin"
