#!/usr/bin/env bash
# Runs a command beside a real MLflow (from PyPI, in a folder of its own) whose webhooks may reach this machine:
#   scripts/with-mlflow.sh -- cargo test --test registry -- --ignored real_mlflow
# DRIFTD_TEST_MLFLOW is its address. MLFLOW_VENV keeps the installation from one run to the next.
set -euo pipefail
[ "${1:-}" = "--" ] && shift
[ $# -gt 0 ] || { echo "usage: scripts/with-mlflow.sh -- COMMAND" >&2; exit 2; }

home=$(mktemp -d)
server=""
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$home"
}
trap cleanup EXIT

venv=${MLFLOW_VENV:-$home/venv}
[ -x "$venv/bin/mlflow" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install --quiet 'mlflow==3.17.2'; }
# An address on this machine, without TLS: MLflow refuses both unless it is told otherwise.
export MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https
port=$("$here/../tests/services/free_ports.py")
"$venv/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1 --backend-store-uri "sqlite:///$home/mlflow.db" \
  --artifacts-destination "$home/artifacts" > "$home/log" 2>&1 &
server=$!
export DRIFTD_TEST_MLFLOW=http://127.0.0.1:$port
for _ in $(seq 1 120); do
  curl -fs -o /dev/null "$DRIFTD_TEST_MLFLOW/health" && break
  kill -0 "$server" 2>/dev/null || { tail -n 30 "$home/log" >&2; exit 1; }
  sleep 1
done
"$@" || { rc=$?; tail -n 30 "$home/log" >&2; exit "$rc"; }
