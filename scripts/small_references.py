#!/usr/bin/env python3
"""Judges quiet streams after references of a few hundred records up: the table of docs/quality.md.

    small_references.py DATA WORK [--trials 20] [--driftd target/release/driftd]

DATA is the development data (`../shared/data/assist`). Reference and stream of each trial are drawn without
replacement from the records of `reference` and `no_drift_1..3`, which are exchangeable by construction; half of the
streams have labels. Whatever alarms is false. Needs a release build of driftd and of the example `assist_records`,
and ONNX Runtime where ORT_DYLIB_PATH says.
"""

import argparse
import json
import math
import random
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POOL = ["reference", "no_drift_1", "no_drift_2", "no_drift_3"]
SIZES = [(400, 50), (400, 100), (1_000, 50), (1_000, 100), (1_000, 250), (2_500, 100), (2_500, 250)]  # records, window
STREAM = 3_000
BETWEEN = timedelta(seconds=20)
BEGIN = datetime(2026, 3, 2, tzinfo=timezone.utc)
LABELLED, MEDIAN_DELAY = 0.6, timedelta(hours=4.5)


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2_000:]}")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def load(data, work):
    """All records, and the labels of each by its id."""
    convert = ROOT / "target/release/examples/assist_records"
    run(convert, data, "--manifest", work)
    records, labels = [], {}
    for name in POOL:
        run(convert, data, name, work / "part.jsonl", work / "part.labels.jsonl", "--all")
        records += lines(work / "part.jsonl")
        for label in lines(work / "part.labels.jsonl"):
            labels.setdefault(label["prediction_id"], []).append(label)
    return records, labels


def write(path, records, labels, begin, prefix, rng, late):
    """Records one after another, and beside them their labels: all at once, or as many as come and when they do."""
    stamp = lambda time: time.isoformat(timespec="milliseconds")
    with open(path, "w") as file, open(path.with_suffix(".labels"), "w") as beside:
        for number, record in enumerate(records):
            time, own = begin + number * BETWEEN, f"{prefix}/{number}"
            file.write(json.dumps({**record, "prediction_id": own, "timestamp": stamp(time)}) + "\n")
            if late and rng.random() >= LABELLED:
                continue
            came = time + (MEDIAN_DELAY * math.exp(rng.gauss(0, 1)) if late else timedelta(0))
            for label in labels.get(record["prediction_id"], []):
                beside.write(json.dumps({**label, "prediction_id": own, "labeled_at": stamp(came)}) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("work", type=Path)
    arguments.add_argument("--trials", type=int, default=20)
    arguments.add_argument("--driftd", type=Path, default=ROOT / "target/release/driftd")
    given = arguments.parse_args()
    work = given.work
    work.mkdir(parents=True, exist_ok=True)
    records, labels = load(given.data, work)
    model = ["--device", "cpu", "-m", work / "manifest.yaml"]
    reference, stream = work / "reference.jsonl", work / "stream.jsonl"
    print("| records in the reference | a window | windows judged | streams with an alarm | rests on |")
    print("|---|---|---|---|---|")
    for size, window in SIZES:
        alarmed, windows, why = 0, 0, Counter()
        for trial in range(given.trials):
            rng = random.Random(f"{size} {window} {trial}")
            drawn = rng.sample(records, size + STREAM)
            write(reference, drawn[:size], labels, BEGIN, "reference", rng, late=False)
            later = BEGIN + size * BETWEEN + timedelta(hours=1)
            write(stream, drawn[size:], labels, later, "stream", rng, late=True)
            run(
                given.driftd, "reference", "fit", *model, "-i", reference, "--labels", reference.with_suffix(".labels"),
                "-o", work / "reference.bin", "--window-records", window,
            )  # fmt: skip
            beside = ["--labels", stream.with_suffix(".labels")] if trial % 2 == 0 else []
            run(
                given.driftd, "backtest", *model, "-r", work / "reference.bin", "-i", stream, *beside,
                "--arl-windows", 2_000, "--format", "json", "-o", work / "told.json",
            )  # fmt: skip
            told = json.loads((work / "told.json").read_text())
            alarmed += bool(told["alerts"])
            # With late labels windows go on after the stream; only those of its records count.
            windows += STREAM // window
            why.update(next(iter(alert["evidence"]), "–") for alert in told["alerts"])
        rests = ", ".join(f"{signal} {n}" for signal, n in why.most_common()) or "–"
        print(f"| {size:,} | {window} | {windows:,} | {alarmed} of {given.trials} | {rests} |", flush=True)


if __name__ == "__main__":
    main()
