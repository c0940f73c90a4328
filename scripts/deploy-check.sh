#!/usr/bin/env bash
# Checks what deploy/ says: installs its tools into .deps/deploy, then runs tests/deploy.
#   deploy-check.sh [--write-rules] [PYTEST-ARGUMENT…]
# --write-rules copies deploy/prometheus/rules into the Kustomize base and the chart, and ends.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tests=$root/tests/deploy
tools=$root/.deps/deploy
venv=$tools/venv
helm=helm.sh/helm/v3/cmd/helm@v3.22.0
kustomize=sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
compose=github.com/compose-spec/compose-go/v2/cmd@v2.16.2

say() { echo "deploy-check: $*"; }

fail() {
  echo "deploy-check: $*" >&2
  exit 1
}

# Runs a step whose output only matters if it fails.
quietly() {
  local log=$tools/last.log
  "$@" > "$log" 2>&1 < /dev/null || { tail -n 30 "$log" >&2; fail "failed: $*"; }
}

part_python() {
  local wanted
  wanted=$(cksum < "$tests/requirements.txt")
  [ "$(cat "$venv/complete" 2> /dev/null)" = "$wanted" ] && return
  say "installing Python packages (checkov, kubernetes-validate, Go, Node.js and others)"
  rm -rf "$venv"
  quietly python3 -m venv "$venv"
  quietly "$venv/bin/pip" install --disable-pip-version-check --no-input -r "$tests/requirements.txt"
  echo "$wanted" > "$venv/complete"
}

# A Go module's command, built by the pinned Go of the virtual environment.
part_go() {
  local name=$1 package=$2 stamp=$tools/bin/$1.version work
  [ "$(cat "$stamp" 2> /dev/null)" = "$package" ] && return
  say "building ${package##*/} (${package%@*}); some minutes"
  work=$(mktemp -d)
  quietly env GOBIN="$work/bin" GOPATH="$work/path" GOCACHE="$work/cache" GOTOOLCHAIN=local CGO_ENABLED=0 \
    GOFLAGS=-modcacherw nice -n 10 "$venv/bin/go" install -trimpath -ldflags "-s -w" "$package"
  mkdir -p "$tools/bin"
  mv "$work"/bin/* "$tools/bin/$name"
  rm -rf "$work"
  echo "$package" > "$stamp"
}

part_node() {
  local wanted
  wanted=$(cksum < "$tests/crds/package-lock.json")
  [ "$(cat "$tools/crds/complete" 2> /dev/null)" = "$wanted" ] && return
  say "installing the validators of custom resources"
  rm -rf "$tools/crds"
  mkdir -p "$tools/crds"
  cp "$tests"/crds/package*.json "$tests/crds/validate.mjs" "$tools/crds"
  quietly npm --prefix "$tools/crds" ci --ignore-scripts --no-audit --no-fund
  echo "$wanted" > "$tools/crds/complete"
}

command -v python3 > /dev/null || fail "python3 is missing: scripts/setup.sh system installs it"
mkdir -p "$tools"
began=$SECONDS
part_python
export PATH=$venv/bin:$tools/bin:$PATH
part_go helm "$helm"
part_go kustomize "$kustomize"
part_go compose "$compose"
part_node
say "tools are ready ($((SECONDS - began)) s)"

if [ "${1:-}" = --write-rules ]; then
  exec "$venv/bin/python" "$tests/rules.py"
fi
cd "$root"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$tests" "$@"
