#!/usr/bin/env bash
# Runs a command beside a real Airflow 3 (from PyPI, in a folder of its own) with a DAG `retrain`:
#   scripts/with-airflow.sh -- cargo test --test retraining -- --ignored real_airflow
# DRIFTD_TEST_AIRFLOW is its address; its user is admin with the password pw. AIRFLOW_VENV keeps the
# installation from one run to the next.
set -euo pipefail
[ "${1:-}" = "--" ] && shift
[ $# -gt 0 ] || { echo "usage: scripts/with-airflow.sh -- COMMAND" >&2; exit 2; }

home=$(mktemp -d)
server=""
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$home"
}
trap cleanup EXIT

venv=${AIRFLOW_VENV:-$home/venv}
[ -x "$venv/bin/airflow" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install --quiet 'apache-airflow>=3,<4'; }
export AIRFLOW_HOME=$home AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_FOLDER=$home/dags
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=admin:admin
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=$home/passwords.json
mkdir "$home/dags"
echo '{"admin": "pw"}' > "$home/passwords.json"
cat > "$home/dags/retrain.py" <<'DAG'
import datetime

from airflow.sdk import dag, task


@dag(dag_id="retrain", schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)
def retrain():
    @task
    def train(**context):
        print(context["dag_run"].conf)

    train()


retrain()
DAG
"$venv/bin/airflow" db migrate > "$home/log" 2>&1
"$venv/bin/airflow" dags reserialize >> "$home/log" 2>&1
port=$("$here/../tests/services/free_ports.py")
"$venv/bin/airflow" api-server --host 127.0.0.1 --port "$port" --workers 1 >> "$home/log" 2>&1 &
server=$!
export DRIFTD_TEST_AIRFLOW=http://127.0.0.1:$port
for _ in $(seq 1 120); do
  curl -fs -o /dev/null "$DRIFTD_TEST_AIRFLOW/api/v2/version" && break
  kill -0 "$server" 2>/dev/null || { tail -n 30 "$home/log" >&2; exit 1; }
  sleep 1
done
"$@"
