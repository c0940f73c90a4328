#!/usr/bin/env bash
# Runs a command beside an object store that speaks S3 (moto from PyPI, in a folder of its own), with a bucket:
#   scripts/with-s3.sh -- cargo test --test replay_set -- --ignored real_s3
# DRIFTD_TEST_S3 is its address; DRIFTD_TEST_S3_READER copies what lies below `s3://bucket/prefix` to a folder.
# S3_VENV keeps the installation from one run to the next.
set -euo pipefail
[ "${1:-}" = "--" ] && shift
[ $# -gt 0 ] || { echo "usage: scripts/with-s3.sh -- COMMAND" >&2; exit 2; }

home=$(mktemp -d)
server=""
cleanup() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$home"
}
trap cleanup EXIT

venv=${S3_VENV:-$home/venv}
[ -x "$venv/bin/moto_server" ] || { python3 -m venv "$venv"; "$venv/bin/pip" install --quiet 'moto[server]==5.2.5'; }
# It takes a port that is free, and says which.
"$venv/bin/moto_server" -H 127.0.0.1 -p 0 > "$home/log" 2>&1 &
server=$!
export DRIFTD_TEST_S3="" DRIFTD_TEST_S3_READER=$home/reader
for _ in $(seq 1 60); do
  DRIFTD_TEST_S3=$(sed -n 's/.*Running on \(http:[^ ]*\).*/\1/p' "$home/log" | head -n 1)
  [ -n "$DRIFTD_TEST_S3" ] && curl -fs -o /dev/null "$DRIFTD_TEST_S3/moto-api/" && break
  kill -0 "$server" 2>/dev/null || { tail -n 30 "$home/log" >&2; exit 1; }
  sleep 1
done
{
  echo "#!$venv/bin/python"
  cat << 'PYTHON'
import os, sys
import boto3

url, key = os.environ["DRIFTD_TEST_S3"], "anything"
s3 = boto3.client("s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=key, region_name="eu-central-1")
if sys.argv[1] == "--make":
    s3.create_bucket(Bucket=sys.argv[2], CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
else:
    bucket, _, prefix = sys.argv[1].removeprefix("s3://").partition("/")
    os.makedirs(sys.argv[2])
    for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix + "/").get("Contents", []):
        s3.download_file(bucket, found["Key"], os.path.join(sys.argv[2], os.path.basename(found["Key"])))
PYTHON
} > "$home/reader"
chmod +x "$home/reader"
"$home/reader" --make sets
"$@" || { rc=$?; tail -n 30 "$home/log" >&2; exit "$rc"; }
