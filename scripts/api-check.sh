#!/usr/bin/env bash
# Asks the API whatever its document allows, and much that it does not: installs Schemathesis into .deps/api and
# runs it against a small world.
#   api-check.sh
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.deps/api/venv
wanted="schemathesis==4.32.5"

if [ "$(cat "$venv/complete" 2> /dev/null)" != "$wanted" ]; then
  echo "api-check: installing $wanted"
  rm -rf "$venv"
  mkdir -p "$root/.deps/api"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input "uv==0.13.9"
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-cache "$wanted"
  echo "$wanted" > "$venv/complete"
fi
cd "$root"
SCHEMATHESIS=$venv/bin/schemathesis exec cargo test --locked --test api -- --ignored schemathesis
