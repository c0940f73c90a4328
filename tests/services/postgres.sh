#!/usr/bin/env bash
# A private Postgres cluster in a directory of its own, on a free port, as a non-root user.
#   postgres.sh start DIR    writes DIR/env with POSTGRES_URL
#   postgres.sh stop DIR
# Uses initdb and pg_ctl from PATH or from Debian's /usr/lib/postgresql/VERSION/bin.
set -euo pipefail

action=${1:?start or stop}
dir=${2:?a directory}

bin_of() {
  local found
  found=$(find /usr/lib/postgresql -path "*/bin/$1" 2> /dev/null | sort -V | tail -n 1)
  [ -n "$found" ] || found=$(command -v "$1" || true)
  [ -n "$found" ] || { echo "postgres.sh: no $1: run scripts/setup.sh postgres" >&2; exit 1; }
  echo "$found"
}

# Postgres refuses to run as root.
as_server_user() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && setpriv --reuid postgres --regid postgres --init-groups -- "$@")
  else
    "$@"
  fi
}

start() {
  mkdir -p "$dir"
  if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
  fi
  local port log=$dir/postgres.log
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  as_server_user "$(bin_of initdb)" -D "$dir/data" -U drift --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 > "$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; exit 1; }
  as_server_user "$(bin_of pg_ctl)" -D "$dir/data" -w -t 60 -l "$log" -o "-p $port -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories=$dir -c fsync=off -c max_connections=200 -c shared_buffers=64MB" start > "$dir/start.log" 2>&1 ||
    { cat "$dir/start.log" "$log" >&2; exit 1; }
  echo "POSTGRES_URL=postgres://drift@127.0.0.1:$port/postgres" > "$dir/env"
}

stop() {
  [ -d "$dir/data" ] || return 0
  as_server_user "$(bin_of pg_ctl)" -D "$dir/data" -m immediate -w -t 30 stop > /dev/null 2>&1 || true
}

case $action in
  start) start ;;
  stop) stop ;;
  *) echo "postgres.sh: start or stop, not $action" >&2; exit 2 ;;
esac
