#!/usr/bin/env bash
# Runs a command beside services that are started for it and stopped after it, however it ends.
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
# The database's user must reach its folder.
chmod 755 "$dir"
starters=()
command_pid=

# The command is the first of a process group of its own, so nothing that it started outlives it.
# shellcheck disable=SC2317,SC2329 # the trap below calls it
end_command() {
  local signal
  [ -n "$command_pid" ] || return 0
  for signal in "$1" TERM KILL; do
    kill -"$signal" -- "-$command_pid" 2> /dev/null || return 0
    for _ in $(seq 1 50); do
      kill -0 -- "-$command_pid" 2> /dev/null || return 0
      sleep 0.1
    done
  done
}

# shellcheck disable=SC2317,SC2329 # the trap below calls it
stop_all() {
  local status=$? pid service
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  end_command "${ended_by:-TERM}"
  for pid in "${starters[@]}"; do
    kill -TERM "$pid" 2> /dev/null
    wait "$pid"
  done
  for service in "${services[@]}"; do
    "$here/../tests/services/$service.sh" stop "$dir/$service" &
  done
  wait
  rm -rf "$dir"
  exit "$status"
}
trap stop_all EXIT
trap 'ended_by=HUP; exit 129' HUP
trap 'ended_by=INT; exit 130' INT
trap 'ended_by=TERM; exit 143' TERM

[ ${#services[@]} = 0 ] || echo "services: starting ${services[*]}"
began=$SECONDS
for service in "${services[@]}"; do
  "$here/../tests/services/$service.sh" start "$dir/$service" &
  starters+=($!)
done
for pid in "${starters[@]}"; do
  wait "$pid" || { echo "services: one did not start" >&2; exit 1; }
done
starters=()
for service in "${services[@]}"; do
  set -a
  # shellcheck disable=SC1090 # written by the service
  . "$dir/$service/env"
  set +a
done
[ ${#services[@]} = 0 ] || echo "services: ready after $((SECONDS - began)) s"

# A background group that reads from a terminal would be stopped.
[ ! -t 0 ] || exec < /dev/null
set -m
"$@" &
command_pid=$!
set +m
status=0
wait "$command_pid" || status=$?
exit "$status"
