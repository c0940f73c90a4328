#!/usr/bin/env python3
"""Judges heads whose error wanders by itself: a table of docs/quality.md.

    wandering_errors.py WORK [--only WORDS] [--driftd target/release/driftd]

Three heads of 8 % error, all labels at once, hourly windows of 60 records; after 35 days to learn from, 1,440 windows
of the same process are judged at one false alarm in 720, so that two a stream are allowed. Each head's error wanders as
an Ornstein-Uhlenbeck process of its own; in some lines all err more from the middle of what is judged on, and what
fires then is right. Needs a release build of driftd, and NumPy (`pip install numpy`).
"""

import argparse
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from conversations import ROOT, run

HOURLY, DAYS, JUDGED, HEADS, CLASSES = 60, 35, 1_440, 3, ["a", "b", "c", "d"]
BEGIN = datetime(2026, 3, 2, tzinfo=timezone.utc)
# Mean of what the confidences leave.
ERROR, DOUBT = 0.08, 0.0783
# Hours of memory, standard deviation, how much more error comes in the middle, and streams.
KINDS = [
    (24, 0.01, 0.0, 2),
    (24, 0.02, 0.0, 4),
    (24, 0.03, 0.0, 4),
    (6, 0.02, 0.0, 4),
    (72, 0.02, 0.0, 4),
    (168, 0.03, 0.0, 4),
    (0, 0.0, 0.04, 2),
    (24, 0.01, 0.05, 2),
    (24, 0.03, 0.2, 2),
]


def hour(rng, errors):
    """Outputs and labels of an hour's records, of heads that err so often."""
    for _ in range(HOURLY):
        outputs, labels = {}, {}
        for head in range(HEADS):
            confidence, given = rng.beta(20, 1.7), rng.integers(0, len(CLASSES))
            wrong = rng.random() < min(1, (1 - confidence) / DOUBT * errors[head])
            truth = (given + 1 + rng.integers(0, 3)) % len(CLASSES) if wrong else given
            scores = [round((1 - confidence) / 3, 4)] * len(CLASSES)
            scores[given] = round(confidence, 4)
            outputs[f"h{head}"] = {"kind": "multiclass", "label": CLASSES[given], "scores": scores}
            # Each label comes; the draw keeps streams as they were.
            rng.random()
            labels[f"h{head}"] = CLASSES[truth]
        yield {"model": {"name": "wandering", "version": "1"}, "outputs": outputs, "labels": labels}


def write(seed, memory, deviation, more, learned, judged):
    rng = np.random.default_rng([seed, int(memory), int(deviation * 1000)])
    kept, level = np.exp(-1 / memory) if memory else 0, rng.normal(size=HEADS)
    with open(learned, "w") as first, open(judged, "w") as then:
        for at in range(24 * DAYS + JUDGED):
            level = kept * level + np.sqrt(1 - kept**2) * rng.normal(size=HEADS)
            breaks = more if at >= 24 * DAYS + JUDGED // 2 else 0
            for i, record in enumerate(hour(rng, np.clip(ERROR + deviation * level + breaks, 0.005, 0.9))):
                time = BEGIN + timedelta(hours=at, minutes=i)
                record = {"prediction_id": f"{at}/{i}", "timestamp": time.isoformat(), **record}
                (first if at < 24 * DAYS else then).write(json.dumps(record) + "\n")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("work", type=Path)
    arguments.add_argument("--only", default="", help="lines whose name holds this")
    arguments.add_argument("--driftd", type=Path, default=ROOT / "target/release/driftd")
    given = arguments.parse_args()
    work = given.work
    work.mkdir(parents=True, exist_ok=True)
    tasks = [{"name": f"h{head}", "kind": "multiclass", "classes": CLASSES} for head in range(HEADS)]
    manifest = {"manifest": 1, "model": {"name": "wandering", "version": "1"}, "tasks": tasks}
    (work / "manifest.yaml").write_text(json.dumps(manifest))
    model = ["--device", "cpu", "-m", work / "manifest.yaml"]
    print("| memory, standard deviation, more error from window 720 on | streams | alerts (window) | guarantee |")
    print("|---|---|---|---|")
    for memory, deviation, more, streams in KINDS:
        name = f"{memory} h, {100 * deviation:.0f} points, {100 * more:.0f} points"
        if given.only not in name:
            continue
        alerts, promised = [], Counter()
        for seed in range(1, streams + 1):
            learned, judged = work / "reference.jsonl", work / "stream.jsonl"
            write(seed, memory, deviation, more, learned, judged)
            run(given.driftd, "reference", "fit", *model, "-i", learned, "-o", work / "reference.bin", "--window", "1h")
            run(
                given.driftd, "backtest", *model, "-r", work / "reference.bin", "-i", judged, "--arl-windows", 720,
                "--format", "json", "-o", work / "told.json",
            )  # fmt: skip
            told = json.loads((work / "told.json").read_text())
            promised[told["summary"]["guarantee"]["status"]] += 1
            alerts += [f"{a['cause']['kind']} of {a['cause']['task']} ({a['opened_window']})" for a in told["alerts"]]
        said = ", ".join(f"{status} {n}" for status, n in promised.most_common())
        print(f"| {name} | {streams} | {len(alerts)}: {', '.join(alerts) or '–'} | {said} |", flush=True)


if __name__ == "__main__":
    main()
