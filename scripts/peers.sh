#!/usr/bin/env bash
# The tables of the peers' harness for driftd: makes its files, judges them, prints them with its own aggregators.
#   peers.sh HARNESS WORK      HARNESS: the folder with gen_data.py; WORK: a folder for 1 GB of data
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
harness=${1:?"the harness's folder"}
work=${2:?"a folder for the data"}
mkdir -p "$work/data" "$work/results"
if [ ! -x "$work/venv/bin/python" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet numpy pandas pyarrow
fi
python=$work/venv/bin/python
peers=$root/target/release/examples/peers
[ -x "$peers" ] || (cd "$root" && cargo build --release --locked --example peers)
[ -f "$work/data/qe_sigma.npy" ] || "$python" "$harness/gen_data.py" --out "$work/data" --only w1,w2,qt,qe
[ -f "$work/data/w1_ref.columns" ] || "$python" "$root/scripts/peers_columns.py" "$work/data"
"$peers" tabular "$work/data" "$work/results/qt_driftd.csv"
"$peers" embeddings "$work/data" "$work/results/qe_driftd.csv"
"$python" "$harness/agg_q1.py" --glob "$work/results/qt_*.csv" --out "$work/results/q1_summary.csv"
"$python" "$harness/agg_q2.py" --glob "$work/results/qe_*.csv" --out "$work/results/q2_summary.csv"
"$peers" speed "$work/data"
