#!/usr/bin/env bash
# A single-node Apache Kafka (KRaft) in a directory of its own, on free ports of this machine.
#   kafka.sh start DIR    writes DIR/env with KAFKA_BROKERS, DIR/pid and DIR/kafka.log
#   kafka.sh stop DIR
# The jars come from `scripts/setup.sh kafka`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libs=${KAFKA_LIBS:-$here/../../.deps/kafka/libs}
action=${1:?start or stop}
dir=${2:?a directory}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

java_with_kafka() {
  local heap=$1
  shift
  java "-Xmx$heap" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    "-Dlog4j2.configurationFile=$here/kafka/log4j2.properties" -cp "$libs/*" "$@"
}

start() {
  [ -d "$libs" ] || { echo "kafka.sh: no jars in $libs: run scripts/setup.sh kafka" >&2; exit 1; }
  mkdir -p "$dir"
  local port controller
  port=$(free_port)
  controller=$(free_port)
  cat > "$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
PROPERTIES
  java_with_kafka 128m kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/server.properties" \
    > "$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; exit 1; }
  java_with_kafka 512m kafka.Kafka "$dir/server.properties" > "$dir/kafka.log" 2>&1 < /dev/null &
  echo $! > "$dir/pid"
  for _ in $(seq 1 300); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then
      echo "KAFKA_BROKERS=127.0.0.1:$port" > "$dir/env"
      return
    fi
    kill -0 "$(cat "$dir/pid")" 2> /dev/null || break
    sleep 0.2
  done
  echo "kafka.sh: the broker did not answer; its log ends with" >&2
  tail -n 30 "$dir/kafka.log" >&2
  stop
  exit 1
}

stop() {
  [ -f "$dir/pid" ] || return 0
  local pid
  pid=$(cat "$dir/pid")
  kill -TERM "$pid" 2> /dev/null || true
  for _ in $(seq 1 100); do
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2> /dev/null || true
  rm -f "$dir/pid"
}

case $action in
  start) start ;;
  stop) stop ;;
  *) echo "kafka.sh: start or stop, not $action" >&2; exit 2 ;;
esac
