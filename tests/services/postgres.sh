#!/usr/bin/env bash
# A private Postgres cluster in a directory of its own, on a free port, as a non-root user.
#   postgres.sh start DIR    writes DIR/env with POSTGRES_URL, DIR/pid and DIR/postgres.log
#   postgres.sh stop DIR     ends it by its pid; the data stay
# POSTGRES_PORT chooses the port, to start again where it was.
# Uses initdb and pg_ctl from Debian's /usr/lib/postgresql/VERSION/bin (the newest) or from PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
  echo "postgres.sh: $*" >&2
  exit 1
}

bin_of() {
  local found
  found=$(find /usr/lib/postgresql -path "*/bin/$1" 2> /dev/null | sort -V | tail -n 1 || true)
  [ -n "$found" ] || found=$(command -v "$1") || fail "no $1: run scripts/setup.sh postgres"
  echo "$found"
}

# Postgres refuses to run as root: Debian's package brings a user; without it one is made.
server_user() {
  if id -u postgres > /dev/null 2>&1; then
    echo postgres
  else
    id -u drift > /dev/null 2>&1 || useradd --system --user-group --home-dir / --shell /usr/sbin/nologin drift
    echo drift
  fi
}

as_server_user() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- "$@")
  else
    "$@"
  fi
}

# Whether DIR/pid is this directory's server and alive: not a process that got its number later, not one that only waits
# to be reaped.
runs() {
  local pid
  pid=$(cat "$dir/pid" 2> /dev/null) || return 1
  [ -n "$pid" ] && tr '\0' '\n' 2> /dev/null < "/proc/$pid/cmdline" | grep -qxF "$dir/data"
}

launch() {
  local port sockets=$dir
  # A socket's path has room for 107 characters; without it there is TCP.
  [ ${#dir} -le 80 ] || sockets=
  port=${POSTGRES_PORT:-$("$here/free_ports.py")}
  cat > "$dir/data/postgresql.auto.conf" << CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$sockets'
fsync = off
max_connections = 200
shared_buffers = '64MB'
CONF
  as_server_user "$pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/postgres.log" start > "$dir/start.log" 2>&1 || return 1
  head -n 1 "$dir/data/postmaster.pid" > "$dir/pid"
  echo "POSTGRES_URL=postgres://drift@127.0.0.1:$port/postgres" > "$dir/env"
}

start() {
  local initdb pg_ctl user=
  initdb=$(bin_of initdb)
  pg_ctl=$(bin_of pg_ctl)
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if runs && [ -f "$dir/env" ]; then
    echo "postgres: runs already"
    return
  fi
  rm -f "$dir/env" "$dir/pid"
  if [ "$(id -u)" = 0 ]; then
    user=$(server_user)
    chown "$user" "$dir"
    as_server_user test -w "$dir" || fail "the user $user cannot reach $dir: choose a directory that is open to others"
  fi
  trap 'stop; exit 143' INT TERM
  if [ ! -f "$dir/data/postmaster.opts" ]; then
    rm -rf "$dir/data"
    as_server_user "$initdb" -D "$dir/data" -U drift --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 > "$dir/initdb.log" 2>&1 ||
      { cat "$dir/initdb.log" >&2; fail "the cluster could not be made"; }
  fi
  # Another process may take the port between its choice and its use.
  local try
  for try in 1 2 3; do
    if launch; then
      trap - INT TERM
      return
    fi
    grep -q "Address already in use" "$dir/postgres.log" || break
    echo "postgres: the port was taken meanwhile (try $try)" >&2
    rm -f "$dir/postgres.log"
  done
  cat "$dir/start.log" >&2
  tail -n 30 "$dir/postgres.log" >&2 || true
  stop
  fail "the server did not start"
}

stop() {
  [ -d "$dir" ] || return 0
  dir=$(cd "$dir" && pwd)
  [ -f "$dir/pid" ] || head -n 1 "$dir/data/postmaster.pid" > "$dir/pid" 2> /dev/null || true
  if runs; then
    local pid
    pid=$(cat "$dir/pid")
    # QUIT is Postgres's immediate stop: what tests leave behind is thrown away.
    kill -QUIT "$pid" 2> /dev/null || true
    for _ in $(seq 1 100); do
      runs || break
      sleep 0.1
    done
    if runs; then kill -KILL "$pid" 2> /dev/null || true; fi
  fi
  rm -f "$dir/pid" "$dir/env"
}

dir=${2:-}
case "${1:-} ${dir:+DIR}" in
  "start DIR") start ;;
  "stop DIR") stop ;;
  *) echo "usage: postgres.sh start DIR | stop DIR" >&2; exit 2 ;;
esac
