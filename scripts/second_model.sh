#!/usr/bin/env bash
# Trains a second model that nobody developed driftd against, on the package descriptions of the Debian that this
# machine runs, and judges streams of it: the tables of docs/quality.md. Needs Debian (or a relative of it), Python
# 3.11 or newer, and a release build of driftd. Everything is made in WORK; the machine's own apt is not touched.
#   second_model.sh WORK [exchange | detection | pace | verdicts [--only NAME] …]     all by default
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$root/scripts/second_model
[ $# -ge 1 ] || { sed -n '2,5s/^# *//p' "${BASH_SOURCE[0]}"; exit 2; }
mkdir -p "$1"
work=$(cd "$1" && pwd)
shift
driftd=${DRIFTD:-$root/target/release/driftd}
[ -x "$driftd" ] || { echo "second_model.sh: no driftd at \`$driftd\`: build it, or name one in DRIFTD" >&2; exit 1; }
export ORT_DYLIB_PATH=${ORT_DYLIB_PATH:-$root/.deps/onnxruntime/libonnxruntime.so}

if [ ! -e "$work/venv/ready" ]; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet -r "$here/requirements.txt"
  touch "$work/venv/ready"
fi
python=$work/venv/bin/python

if [ ! -e "$work/packages.jsonl" ]; then
  mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
  # The machine's own sources, and languages that it may not ask for.
  cat > "$work/apt.conf" << CONF
#clear Acquire::Languages;
Acquire::Languages { "en"; "de"; "fr"; "it"; };
Dir::State "$work/apt/state";
Dir::Cache "$work/apt/cache";
CONF
  apt-get --quiet -c "$work/apt.conf" update
  "$python" "$here/packages.py" "$work/apt.conf" "$work/packages.part"
  mv "$work/packages.part" "$work/packages.jsonl"
fi
if [ ! -e "$work/model/manifest.yaml" ]; then
  "$python" "$here/train.py" "$work/packages.jsonl" "$work/model"
fi
if [ ! -e "$work/model/golden.jsonl" ]; then
  "$python" "$here/answers.py" "$work/model"
fi
if [ $# -gt 0 ]; then
  exec "$python" "$here/judge.py" "$work/model" "$driftd" "$@"
fi
for what in exchange detection pace verdicts; do
  "$python" "$here/judge.py" "$work/model" "$driftd" "$what"
done
