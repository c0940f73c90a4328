#!/usr/bin/env bash
# A single-node Apache Kafka (KRaft) in a directory of its own, on free ports of this machine.
#   kafka.sh start DIR    writes DIR/env with KAFKA_BROKERS, DIR/pid and DIR/kafka.log; waits for its answer
#   kafka.sh stop DIR     ends it by its pid; the data stay
#   kafka.sh archive      records the classes that a start loads: later starts take half the time
# KAFKA_PORTS="BROKER CONTROLLER" chooses the ports, to start again where it was; KAFKA_ADVERTISED=HOST:PORT is what
# clients are told, for a proxy before it.
# The jars come from `scripts/setup.sh kafka`, which records them too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libs=${KAFKA_LIBS:-$here/../../.deps/kafka/libs}
archive=$libs/../classes.jsa
deadline=60

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

# Any Java ignores an archive that another one recorded.
java=(java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Xlog:disable -Xlog:all=error:stderr
  "-Dlog4j2.configurationFile=$here/kafka/log4j2.properties" -cp "$libs/*")

# Asks for the cluster's metadata: an open port is not yet a broker that serves.
answers() {
  python3 - "$1" 2> /dev/null << 'PYTHON'
import socket, struct, sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2) as s:
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    s.sendall(struct.pack(">i", len(request)) + request)
    answer = s.makefile("rb")
    size = struct.unpack(">i", answer.read(4))[0]
    brokers = struct.unpack(">ii", answer.read(size)[:8])[1]
sys.exit(0 if brokers == 1 else 1)
PYTHON
}

# Whether DIR/pid is this directory's broker and alive: not a process that got its number later, not one that only waits
# to be reaped.
runs() {
  local pid
  pid=$(cat "$dir/pid" 2> /dev/null) || return 1
  [ -n "$pid" ] && tr '\0' '\n' 2> /dev/null < "/proc/$pid/cmdline" | grep -qxF "$dir/server.properties"
}

launch() {
  local port controller
  read -r port controller <<< "${KAFKA_PORTS:-$("$here/free_ports.py" 2)}"
  cat > "$dir/server.properties" << PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://${KAFKA_ADVERTISED:-127.0.0.1:$port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=2097152
PROPERTIES
  if [ ! -f "$dir/data/meta.properties" ]; then
    "${java[@]}" -Xmx128m "-XX:SharedArchiveFile=$archive" kafka.tools.StorageTool \
      format -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/server.properties" > "$dir/format.log" 2>&1 ||
      { cat "$dir/format.log" >&2; fail "the storage could not be formatted"; }
  fi
  # No function here: $! must be the pid of Java itself.
  "${java[@]}" -Xmx512m "${archive_option:--XX:SharedArchiveFile=$archive}" kafka.Kafka "$dir/server.properties" \
    > "$dir/kafka.log" 2>&1 < /dev/null &
  echo $! > "$dir/pid"
  local end=$((SECONDS + deadline))
  while [ "$SECONDS" -lt "$end" ]; do
    if answers "$port"; then
      printf 'KAFKA_BROKERS=127.0.0.1:%s\nKAFKA_PORTS="%s %s"\n' "$port" "$port" "$controller" > "$dir/env"
      return 0
    fi
    kill -0 "$(cat "$dir/pid")" 2> /dev/null || return 1
    sleep 0.1
  done
  return 1
}

start() {
  command -v java > /dev/null || fail "no java: run scripts/setup.sh kafka"
  command -v python3 > /dev/null || fail "no python3: run scripts/setup.sh system"
  [ -d "$libs" ] || fail "no jars in $libs: run scripts/setup.sh kafka"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  if runs && [ -f "$dir/env" ]; then
    echo "kafka: runs already"
    return
  fi
  rm -f "$dir/env"
  trap 'stop; exit 143' INT TERM
  # Another process may take a port between its choice and its use.
  local try
  for try in 1 2 3; do
    if launch; then
      trap - INT TERM
      return
    fi
    grep -q "Address already in use" "$dir/kafka.log" || break
    echo "kafka: a port was taken meanwhile (try $try)" >&2
    stop
  done
  echo "kafka.sh: the broker did not answer; its log ends with" >&2
  tail -n 30 "$dir/kafka.log" >&2
  stop
  exit 1
}

stop() {
  [ -d "$dir" ] || return 0
  dir=$(cd "$dir" && pwd)
  if runs; then
    local pid
    pid=$(cat "$dir/pid")
    kill -TERM "$pid" 2> /dev/null || true
    for _ in $(seq 1 300); do
      runs || break
      sleep 0.1
    done
    if runs; then kill -KILL "$pid" 2> /dev/null || true; fi
  fi
  rm -f "$dir/pid" "$dir/env"
}

record() {
  dir=$(mktemp -d)
  trap 'stop; rm -rf "$dir"' EXIT
  rm -f "$archive"
  archive_option=-XX:ArchiveClassesAtExit=$archive.new
  start
  stop
  [ ! -f "$archive.new" ] || mv -f "$archive.new" "$archive"
}

dir=${2:-}
case "${1:-} ${dir:+DIR}" in
  "start DIR") start ;;
  "stop DIR") stop ;;
  "archive ") record ;;
  *) echo "usage: kafka.sh start DIR | stop DIR | archive" >&2; exit 2 ;;
esac
