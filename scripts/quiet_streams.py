#!/usr/bin/env python3
"""Judges quiet streams whose windows have more in common than chance: a table of docs/quality.md.

    quiet_streams.py WORK [--trials 4] [--only WORDS] [--driftd target/release/driftd]

Records are of a model made of arithmetic: three heads on 16 dimensions and two attributes, without texts, so that no
model file is needed. Hourly windows of 60 records; after each reference 1,440 windows of the same process are judged at
one false alarm in 720, so that two a stream are allowed. Whatever alarms is false.

Either the mix of topics, where embeddings lie, how sure a head is, a value and the attributes wander, each as an
Ornstein-Uhlenbeck process of its own with one memory; or one customer of many sends a batch of like records in a third
of the hours, whose size has Pareto's law from three records on. Needs a release build of driftd, and NumPy
(`pip install numpy`).
"""

import argparse
import base64
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from conversations import ROOT, falling, run

HOURLY, DIMENSION, TOPICS, COUNTRIES, JUDGED = 60, 16, 8, 12, 1_440
BEGIN = datetime(2026, 3, 2, tzinfo=timezone.utc)
MOODS = ["bad", "even", "good"]
# What a line is called, hours of memory (0: nothing wanders), Pareto's exponent of a batch's size (0: no batches), and
# days of reference.
KINDS = [
    ("neither", 0, 0, 35),
    ("wandering, a memory of 6 hours", 6, 0, 35),
    ("wandering, of a day", 24, 0, 35),
    ("wandering, of three days", 72, 0, 35),
    ("wandering, of a week", 168, 0, 35),
    ("wandering, of a week, eight weeks to learn from", 168, 0, 56),
    ("batches of 4.5 on average", 0, 3.0, 35),
    ("batches of 6 on average", 0, 2.0, 35),
    ("batches of 9 on average", 0, 1.5, 35),
]
WANDERING = TOPICS + 3 + 4


class World:
    """Where topics lie, and how the heads answer."""

    def __init__(self):
        rng = np.random.default_rng(11)
        self.centres = rng.normal(size=(TOPICS, DIMENSION))
        self.mood = 0.4 * rng.normal(size=(DIMENSION, len(MOODS)))
        self.urgency = 0.2 * rng.normal(size=DIMENSION)
        self.directions = np.linalg.qr(rng.normal(size=(DIMENSION, 3)))[0].T
        self.topics, self.countries = falling(TOPICS, 0.7), falling(COUNTRIES, 1.0)

    def hour(self, rng, level, exponent):
        """The records of one hour, where what wanders is so many standard deviations off."""
        weights = self.topics * np.exp(0.2 * level[:TOPICS])
        shift = 0.2 * level[TOPICS : TOPICS + 3] @ self.directions
        warmth, value, amount, country = level[TOPICS + 3 :]
        countries = self.countries * np.exp(0.2 * country * np.linspace(-1, 1, COUNTRIES))
        topics = rng.choice(TOPICS, HOURLY, p=weights / weights.sum())
        points = self.centres[topics] + shift + 0.7 * rng.normal(size=(HOURLY, DIMENSION))
        amounts = np.exp(rng.normal(size=HOURLY) + 0.2 * amount)
        places = rng.choice(COUNTRIES, HOURLY, p=countries / countries.sum())
        if exponent and rng.random() < 1 / 3:
            size = min(HOURLY, int(3 * (1 + rng.pareto(exponent))))
            points[:size] = points[0] + 0.1 * rng.normal(size=(size, DIMENSION))
            amounts[:size], places[:size] = amounts[0], places[0]
        near = points @ self.centres.T - 0.5 * (self.centres**2).sum(1)
        topic = shares((0.8 * near + 0.5 * rng.normal(size=near.shape)) * np.exp(0.15 * warmth))
        mood = shares(points @ self.mood + 0.5 * rng.normal(size=(HOURLY, len(MOODS))))
        urgency = points @ self.urgency + 0.5 * rng.normal(size=HOURLY) + 0.2 * value
        for i in rng.permutation(HOURLY):
            yield {
                "model": {"name": "quiet", "version": "1"},
                "embedding": {
                    "dtype": "f32",
                    "dim": DIMENSION,
                    "data_b64": base64.b64encode(points[i].astype("<f4").tobytes()).decode(),
                },
                "attributes": {"country": f"country {places[i]}", "amount": round(float(amounts[i]), 3)},
                "outputs": {
                    "topic": answer([f"t{i}" for i in range(TOPICS)], topic[i]),
                    "mood": answer(MOODS, mood[i]),
                    "urgency": {"kind": "regression", "value": round(float(urgency[i]), 4)},
                },
            }


def shares(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def answer(classes, scores):
    scores = {name: round(float(score), 4) for name, score in zip(classes, scores)}
    return {"kind": "multiclass", "label": max(scores, key=scores.get), "scores": scores}


def manifest():
    return {
        "manifest": 1,
        "model": {"name": "quiet", "version": "1"},
        "embedding": {"dimension": DIMENSION},
        "attributes": [{"name": "country", "kind": "categorical"}, {"name": "amount", "kind": "numeric"}],
        "tasks": [
            {"name": "topic", "kind": "multiclass", "classes": [f"t{i}" for i in range(TOPICS)]},
            {"name": "mood", "kind": "multiclass", "classes": MOODS},
            {"name": "urgency", "kind": "regression"},
        ],
    }


def write(world, rng, memory, exponent, days, reference, stream):
    """One process: its first days to learn from, and what comes after."""
    level = rng.normal(size=WANDERING) if memory else np.zeros(WANDERING)
    kept = np.exp(-1 / memory) if memory else 0.0
    with open(reference, "w") as learned, open(stream, "w") as judged:
        for hour in range(24 * days + JUDGED):
            file = learned if hour < 24 * days else judged
            for i, record in enumerate(world.hour(rng, level, exponent)):
                time = BEGIN + timedelta(hours=hour, minutes=i)
                file.write(json.dumps({"prediction_id": f"{hour}/{i}", "timestamp": time.isoformat(), **record}) + "\n")
            if memory:
                level = kept * level + np.sqrt(1 - kept**2) * rng.normal(size=WANDERING)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("work", type=Path)
    arguments.add_argument("--trials", type=int, default=4)
    arguments.add_argument("--only", default="", help="lines whose name holds this")
    arguments.add_argument("--driftd", type=Path, default=ROOT / "target/release/driftd")
    given = arguments.parse_args()
    work, world = given.work, World()
    work.mkdir(parents=True, exist_ok=True)
    (work / "manifest.yaml").write_text(json.dumps(manifest()))
    model = ["--device", "cpu", "-m", work / "manifest.yaml"]
    print("| process | streams | alerts (allowed) | rest on | guarantee |")
    print("|---|---|---|---|---|")
    for kind, (name, memory, exponent, days) in enumerate(KINDS):
        if given.only not in name:
            continue
        why, promised = Counter(), Counter()
        for trial in range(given.trials):
            rng = np.random.default_rng([kind, trial])
            files = [work / f"{kind}-{trial}-{part}.jsonl" for part in ("reference", "stream")]
            if not all(file.exists() for file in files):
                write(world, rng, memory, exponent, days, *files)
            learned = work / f"{kind}-{trial}.bin"
            run(given.driftd, "reference", "fit", *model, "-i", files[0], "-o", learned, "--window", "1h")
            run(
                given.driftd, "backtest", *model, "-r", learned, "-i", files[1], "--arl-windows", 720,
                "--format", "json", "-o", work / "told.json",
            )  # fmt: skip
            told = json.loads((work / "told.json").read_text())
            promised[told["summary"]["guarantee"]["status"]] += 1
            why.update(next(iter(alert["evidence"]), "–") for alert in told["alerts"])
        rests = ", ".join(f"{signal} {n}" for signal, n in why.most_common(4)) or "–"
        allowed = given.trials * JUDGED // 720
        said = ", ".join(f"{status} {n}" for status, n in promised.most_common())
        print(f"| {name} | {given.trials} | {why.total()} ({allowed}) | {rests} | {said} |", flush=True)


if __name__ == "__main__":
    main()
