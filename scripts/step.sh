#!/usr/bin/env bash
# Runs a command; says its name before and the time it took after.
#   step.sh NAME CMD…
set -euo pipefail

name=$1
shift
began=$SECONDS
echo "== $name"
status=0
"$@" || status=$?
result="done"
[ "$status" = 0 ] || result="failed with $status"
echo "== $name: $result after $((SECONDS - began)) s"
exit "$status"
