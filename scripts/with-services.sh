#!/usr/bin/env bash
# Runs a command beside services that are started for it and stopped after it.
#   with-services.sh [--kafka] [--postgres] -- CMD…
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=()
while [ $# -gt 0 ]; do
  case $1 in
    --kafka | --postgres) services+=("${1#--}") ;;
    --) shift; break ;;
    *) echo "with-services.sh: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
[ $# -gt 0 ] || { echo "with-services.sh: no command" >&2; exit 2; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/driftd-services.XXXXXX")
chmod 755 "$dir"
command_pid=
stop_all() {
  local status=$?
  trap - EXIT INT TERM
  [ -z "$command_pid" ] || kill -TERM "$command_pid" 2> /dev/null || true
  for service in "${services[@]}"; do
    "$here/../tests/services/$service.sh" stop "$dir/$service" || true
  done
  rm -rf "$dir"
  exit "$status"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

pids=()
for service in "${services[@]}"; do
  echo "starting $service"
  "$here/../tests/services/$service.sh" start "$dir/$service" &
  pids+=($!)
done
for pid in "${pids[@]}"; do
  wait "$pid"
done
for service in "${services[@]}"; do
  set -a
  # shellcheck disable=SC1090
  . "$dir/$service/env"
  set +a
done

"$@" &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
