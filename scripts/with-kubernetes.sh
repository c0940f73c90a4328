#!/usr/bin/env bash
# Runs a command beside a real Kubernetes API server and its etcd, built from their Go modules (with Go 1.26; the first
# time takes a quarter of an hour on two cores, and .deps/kubernetes keeps them):
#   scripts/with-kubernetes.sh -- cargo test --test retraining -- --ignored real_kubernetes
# DRIFTD_TEST_KUBERNETES is its address, DRIFTD_TEST_KUBERNETES_CA the certificate of its authority, and
# DRIFTD_TEST_KUBERNETES_TOKEN the token of an administrator. Nothing runs what is created there.
set -euo pipefail
[ "${1:-}" = "--" ] && shift
[ $# -gt 0 ] || { echo "usage: scripts/with-kubernetes.sh -- COMMAND" >&2; exit 2; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
modules=$root/tests/services/kubernetes
bin=$root/.deps/kubernetes
wanted=$(cat "$modules/go.mod" "$modules/go.sum" | cksum)
if [ "$(cat "$bin/complete" 2> /dev/null)" != "$wanted" ]; then
  command -v go > /dev/null || { echo "with-kubernetes.sh: no Go" >&2; exit 2; }
  mkdir -p "$bin"
  for program in go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kube-apiserver; do
    echo "with-kubernetes: building $program"
    name=${program##*/}
    (cd "$modules" && go build -trimpath -ldflags '-s -w' -o "$bin/${name/v3/etcd}" "$program")
  done
  echo "$wanted" > "$bin/complete"
fi

home=$(mktemp -d)
etcd=""
server=""
# shellcheck disable=SC2317,SC2329 # the trap below calls it
cleanup() {
  local pid
  for pid in $server $etcd; do
    kill "$pid" 2> /dev/null || true
    wait "$pid" || true
  done
  rm -rf "$home"
}
trap cleanup EXIT

# An authority, and a certificate of it for the server.
cd "$home"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=kubernetes -keyout tls.key -out tls.csr 2> /dev/null
printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > tls.ext
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile tls.ext -out tls.crt 2> /dev/null
openssl genrsa -out accounts.key 2048 2> /dev/null
token=$(openssl rand -hex 24)
echo "$token,admin,admin,system:masters" > tokens.csv
cd - > /dev/null

read -r client peer port <<< "$("$root/tests/services/free_ports.py" 3)"
"$bin/etcd" --name one --data-dir "$home/etcd" --listen-client-urls "http://127.0.0.1:$client" \
  --advertise-client-urls "http://127.0.0.1:$client" --listen-peer-urls "http://127.0.0.1:$peer" \
  --initial-advertise-peer-urls "http://127.0.0.1:$peer" --initial-cluster "one=http://127.0.0.1:$peer" \
  > "$home/etcd.log" 2>&1 &
etcd=$!
"$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" --bind-address 127.0.0.1 --secure-port "$port" \
  --tls-cert-file "$home/tls.crt" --tls-private-key-file "$home/tls.key" --cert-dir "$home" \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$home/accounts.key" \
  --service-account-signing-key-file "$home/accounts.key" --token-auth-file "$home/tokens.csv" \
  --authorization-mode RBAC --service-cluster-ip-range 10.0.0.0/24 > "$home/server.log" 2>&1 &
server=$!
export DRIFTD_TEST_KUBERNETES=https://127.0.0.1:$port DRIFTD_TEST_KUBERNETES_CA=$home/ca.crt
export DRIFTD_TEST_KUBERNETES_TOKEN=$token
for try in $(seq 1 120); do
  curl -fs -o /dev/null --cacert "$home/ca.crt" -H "authorization: Bearer $token" "$DRIFTD_TEST_KUBERNETES/readyz" && break
  if [ "$try" = 120 ] || ! kill -0 "$server" 2> /dev/null; then
    tail -n 30 "$home/etcd.log" "$home/server.log" >&2
    exit 1
  fi
  sleep 1
done
status=0
"$@" || status=$?
exit "$status"
