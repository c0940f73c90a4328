#!/usr/bin/env bash
# Makes docs/dashboard.png: starts the demo, waits until the drift is shown, takes the picture.
#   screenshot.sh [DRIFTD_BINARY]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
driftd=${1:-$root/target/release/driftd}
work=$(mktemp -d)
port=$("$root/tests/services/free_ports.py")
(cd "$root" && exec "$driftd" demo --port "$port") > "$work/demo.log" 2>&1 &
demo=$!
trap 'kill -INT $demo 2> /dev/null || true; wait $demo || true; rm -rf "$work"' EXIT

echo "waiting for the drift in the demo"
for _ in $(seq 1 240); do
  grep -q "have arrived" "$work/demo.log" && break
  kill -0 "$demo" || { cat "$work/demo.log" >&2; exit 1; }
  sleep 0.5
done
sleep 12
chromium --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --hide-scrollbars \
  --force-dark-mode=0 --user-data-dir="$work/profile" --window-size=1360,1500 --virtual-time-budget=8000 \
  --screenshot="$root/docs/dashboard.png" "http://127.0.0.1:$port/?live=off#/models/support" 2> /dev/null
echo "docs/dashboard.png: $(wc -c < "$root/docs/dashboard.png") bytes"
