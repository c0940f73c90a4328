#!/usr/bin/env python3
"""Judges quiet streams of records that go together, as those of a conversation do: the table of docs/quality.md.

    conversations.py WORK [--trials 10] [--driftd target/release/driftd]

Records are of a model made of arithmetic: five heads on 64 dimensions, tags and two attributes, without texts, so that
no model file is needed. A conversation has a topic, a mood, a channel, a country and a style of its own, as wide as the
noise of a record; its number of records follows a geometric law. References and streams are 6,000 records each, whatever
alarms is false. Needs a release build of driftd, and NumPy (`pip install numpy`).
"""

import argparse
import base64
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RECORDS, DIMENSION, TOPICS, LABELS = 6_000, 64, 12, 6
WINDOWS = [100, 250, 500]
# What a line is called, records of a conversation on average, and how many go on at a time.
KINDS = [("none", 1, 1), ("of 4 on average, one after another", 4, 1), ("of 8 on average, 20 at a time", 8, 20)]
BETWEEN = timedelta(seconds=30)
BEGIN = datetime(2026, 3, 2, tzinfo=timezone.utc)
MOODS, CHANNELS, COUNTRIES = ["bad", "even", "good"], ["web", "mail", "app"], 40


class World:
    """Where topics lie, and how the heads answer."""

    def __init__(self):
        rng = np.random.default_rng(7)
        self.centres = 0.6 * rng.normal(size=(TOPICS, DIMENSION))
        # One coordinate is far larger than the others, as transformers have it.
        self.scale = np.ones(DIMENSION)
        self.scale[5] = 30.0
        self.mood = 0.25 * rng.normal(size=(DIMENSION, len(MOODS)))
        self.abusive, self.urgency = 0.5 * rng.normal(size=DIMENSION), 0.2 * rng.normal(size=DIMENSION)
        self.labels = 0.35 * rng.normal(size=(DIMENSION, LABELS))
        self.topics = falling(TOPICS, 1.0)
        self.countries = falling(COUNTRIES, 1.3)

    def begun(self, rng):
        """What the records of one conversation have in common."""
        return {
            "topic": rng.choice(TOPICS, p=self.topics),
            "style": 0.5 * rng.normal(size=DIMENSION),
            "mood": rng.choice(len(MOODS), p=[0.3, 0.5, 0.2]),
            "channel": CHANNELS[rng.choice(3, p=[0.6, 0.3, 0.1])],
            "country": f"country {rng.choice(COUNTRIES, p=self.countries)}",
        }

    def record(self, rng, talk):
        point = self.centres[talk["topic"]] + talk["style"] + 0.6 * rng.normal(size=DIMENSION)
        near = 0.5 * self.centres @ point - 0.25 * (self.centres**2).sum(1)
        topic = shares(near + 0.5 * rng.normal(size=TOPICS))
        mood = shares(point @ self.mood + 1.5 * np.eye(len(MOODS))[talk["mood"]] + 0.3 * rng.normal(size=len(MOODS)))
        abusive = 1 / (1 + np.exp(9 - point @ self.abusive - rng.normal()))
        labels = 1 / (1 + np.exp(1.5 - point @ self.labels))
        embedding = base64.b64encode((point * self.scale).astype("<f4").tobytes()).decode()
        return {
            "model": {"name": "chat", "version": "1"},
            "embedding": {"dtype": "f32", "dim": DIMENSION, "data_b64": embedding},
            "tags": {"channel": talk["channel"]},
            "attributes": {"country": talk["country"], "amount": round(float(np.exp(1.5 * rng.normal())), 2)},
            "outputs": {
                "topic": answer("multiclass", [f"t{i}" for i in range(TOPICS)], topic),
                "mood": answer("multiclass", MOODS, mood),
                "abusive": answer("binary", ["no", "yes"], [1 - abusive, abusive]),
                "urgency": {"kind": "regression", "value": round(float(max(0, np.exp(point @ self.urgency) - 1)), 3)},
                "labels": {
                    "kind": "multilabel",
                    "labels": [f"l{i}" for i in range(LABELS) if labels[i] > 0.5],
                    "scores": {f"l{i}": round(float(labels[i]), 4) for i in range(LABELS)},
                },
            },
        }


def falling(n, power):
    weights = 1 / np.arange(1, n + 1) ** power
    return weights / weights.sum()


def shares(logits):
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def answer(kind, classes, scores):
    best = int(np.argmax(scores))
    return {"kind": kind, "label": classes[best], "scores": {c: round(float(s), 4) for c, s in zip(classes, scores)}}


def manifest():
    task = lambda name, kind, classes: {"name": name, "kind": kind, "classes": classes}
    return {
        "manifest": 1,
        "model": {"name": "chat", "version": "1"},
        "embedding": {"dimension": DIMENSION},
        "attributes": [{"name": "country", "kind": "categorical"}, {"name": "amount", "kind": "numeric"}],
        "tasks": [
            task("topic", "multiclass", [f"t{i}" for i in range(TOPICS)]),
            task("mood", "multiclass", MOODS),
            task("abusive", "binary", ["no", "yes"]),
            {"name": "urgency", "kind": "regression"},
            task("labels", "multilabel", [f"l{i}" for i in range(LABELS)]),
        ],
    }


def write(path, world, rng, begin, prefix, turns, at_a_time):
    talks = []
    with open(path, "w") as file:
        for number in range(RECORDS):
            while len(talks) < at_a_time:
                talks.append(world.begun(rng))
            which = rng.integers(len(talks))
            record = world.record(rng, talks[which])
            if rng.random() < 1 / turns:
                talks.pop(which)
            time = (begin + number * BETWEEN).isoformat(timespec="milliseconds")
            file.write(json.dumps({"prediction_id": f"{prefix}/{number}", "timestamp": time, **record}) + "\n")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2_000:]}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("work", type=Path)
    arguments.add_argument("--trials", type=int, default=10)
    arguments.add_argument("--driftd", type=Path, default=ROOT / "target/release/driftd")
    given = arguments.parse_args()
    work, world = given.work, World()
    work.mkdir(parents=True, exist_ok=True)
    (work / "manifest.yaml").write_text(json.dumps(manifest()))
    model = ["--device", "cpu", "-m", work / "manifest.yaml"]
    reference, stream = work / "reference.jsonl", work / "stream.jsonl"
    print("| conversations | a window | windows judged | streams with an alarm | rests on |")
    print("|---|---|---|---|---|")
    for kind, (name, turns, at_a_time) in enumerate(KINDS):
        alarmed, why = Counter(), {window: Counter() for window in WINDOWS}
        for trial in range(given.trials):
            rng = np.random.default_rng([kind, trial])
            write(reference, world, rng, BEGIN, "reference", turns, at_a_time)
            write(stream, world, rng, BEGIN + RECORDS * BETWEEN + timedelta(hours=1), "stream", turns, at_a_time)
            for window in WINDOWS:
                run(
                    given.driftd, "reference", "fit", *model, "-i", reference, "-o", work / "reference.bin",
                    "--window-records", window,
                )  # fmt: skip
                run(
                    given.driftd, "backtest", *model, "-r", work / "reference.bin", "-i", stream,
                    "--arl-windows", 2_000, "--format", "json", "-o", work / "told.json",
                )  # fmt: skip
                alerts = json.loads((work / "told.json").read_text())["alerts"]
                alarmed[window] += bool(alerts)
                why[window].update(next(iter(alert["evidence"]), "–") for alert in alerts)
        for window in WINDOWS:
            rests = ", ".join(f"{signal} {n}" for signal, n in why[window].most_common()) or "–"
            judged = given.trials * RECORDS // window
            print(f"| {name} | {window} | {judged:,} | {alarmed[window]} of {given.trials} | {rests} |", flush=True)


if __name__ == "__main__":
    main()
