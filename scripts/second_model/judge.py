"""Judges streams of the second model by `driftd` and prints the tables of docs/quality.md.

    judge.py MODEL_DIR DRIFTD detection [--seeds 5] [--only NAME]     alarms and delays
    judge.py MODEL_DIR DRIFTD verdicts [--trials 40] [--only NAME]    causes named
    judge.py MODEL_DIR DRIFTD pace [--seeds 5]                        quiet traffic at another pace than the reference's
    judge.py MODEL_DIR DRIFTD exchange                                whether reference and streams are alike at all

All settings are driftd's defaults, but for one false alarm in 2,000 windows and, where our own inference stands
beside production's answers, the share of records that is compared (all).
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from streams import BETWEEN, Row, World, rows
from tokens import VOCABULARY

SPLITS = 4
SIZES = [100, 250, 500]
PACES = [100, 25, 50, 80, 120, 150, 200]  # records a window; the first is the reference's
LEAST_COUNT = 60  # in the reference, of a token that is counted by itself
QUIET, DRIFTING = 1_500, 1_500  # records of a stream in the table of delays
WINDOW, QUIET_WINDOWS, DRIFT_WINDOWS = 250, 4, 4  # of a trial of verdicts


class Judge:
    def __init__(self, model, driftd, work):
        self.world, self.driftd, self.work = World(model), driftd, Path(work)
        self.manifest = Path(model) / "manifest.yaml"
        self.references = {}
        self.window = None  # how a window is told, if not by its records

    def run(self, *arguments):
        command = [self.driftd, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stderr[-2_000:]}")
        return done.stderr

    def model(self, beside):
        compare = ["--skew-sample", "1" if beside == "inference" else "0"]
        return ["--device", "cpu", "--threads", "1", "-m", self.manifest, *compare]

    def reference(self, split, beside, size):
        key = (split, beside, size)
        if key not in self.references:
            own = self.world.split(split)[0]
            rng = random.Random(split)
            items = self.world.draw(Row("reference", set(), beside), own, len(own) - 1, 0, rng)
            file = self.work / "reference.jsonl"
            self.world.write(items, file)
            labels = []
            if beside == "labels":
                labels = ["--labels", self.work / "reference.labels.jsonl"]
                self.world.write_labels(items, labels[1], rng)
            out = self.work / f"{split}.{beside}.{size}.bin"
            window = self.window or ["--window-records", size]
            self.run("reference", "fit", *self.model(beside), "-i", file, *labels, "-o", out, *window)
            self.references[key] = out
        return self.references[key]

    def stream(self, row, seed, quiet, drifting):
        rng = random.Random(f"{row.name} {seed}")
        items = self.world.draw(row, self.world.split(seed % SPLITS)[1], quiet, drifting, rng)
        self.world.write(items, self.work / "stream.jsonl")
        if row.beside == "labels":
            self.world.write_labels(items, self.work / "labels.jsonl", rng, row.concept, quiet)

    def judge(self, row, seed, size):
        """What `driftd backtest` says of the stream written last."""
        out = self.work / "out.json"
        labels = ["--labels", self.work / "labels.jsonl"] if row.beside == "labels" else []
        self.run(
            "backtest", *self.model(row.beside), "-r", self.reference(seed % SPLITS, row.beside, size),
            *(self.window or []), "-i", self.work / "stream.jsonl", *labels, "--arl-windows", 2_000, "--format", "json", "-o", out,
        )  # fmt: skip
        return json.loads(out.read_text())


def named(cause):
    """A cause in a word or two, as examples/causes says it."""
    if cause["kind"] == "skew":
        return f"skew {cause['task'] or cause.get('part') or 'encoder'}"
    return " ".join(filter(None, [cause["kind"], None if cause["kind"] == "link" else cause["task"]]))


def verdict(told):
    """The causes that stand at the end, or those that resolved last."""
    alerts = told["alerts"]
    last = max((a["resolved_window"] or 0 for a in alerts), default=0)
    standing = [a for a in alerts if a["resolved_window"] is None]
    standing = standing or [a for a in alerts if a["resolved_window"] == last]
    if standing:
        return sorted({named(a["cause"]) for a in standing})
    return ["harmless skew"] if any(w["notices"] for w in told["windows"]) else ["nothing"]


def is_right(row, causes):
    return bool(row.right & set(causes)) and set(causes) <= row.right | row.allowed


def detection(judge, seeds, only):
    print("| planted | " + " | ".join(f"{size} a window" for size in SIZES) + " | before the onset |")
    print("|---|---|---|---|---|")
    for row in (r for r in rows() if only in r.name):
        delays, false, quiet = {size: [] for size in SIZES}, Counter(), Counter()
        for seed in range(seeds):
            judge.stream(row, seed, QUIET, DRIFTING)
            for size in SIZES:
                told = judge.judge(row, seed, size)
                onset = len(told["windows"]) if row.quiet else QUIET // size
                opened = [a["opened_window"] for a in told["alerts"]]
                before = [w for w in opened if w < onset]
                false[size] += len(before)
                quiet[size] += onset
                after = [w - onset + 1 for w in opened if w >= onset]
                if after:
                    delays[size].append(min(after))
        cells = []
        for size in SIZES:
            found, least = delays[size], len(delays[size])
            if row.quiet:
                cells.append(f"{false[size]} alarms in {quiet[size]} windows")
            elif not found:
                cells.append("–")
            else:
                middle = f"{statistics.median(found):g}"
                spread = "" if min(found) == max(found) else f" ({min(found)}–{max(found)})"
                cells.append(f"{least} of {seeds}: {middle}{spread}")
        told_before = "" if row.quiet else f"{sum(false.values())} in {sum(quiet.values())} windows"
        print(f"| {row.name} | " + " | ".join(cells) + f" | {told_before} |", flush=True)


def verdicts(judge, trials, only):
    print("| planted | right | undetermined | nothing said | said otherwise |\n|---|---|---|---|---|")
    for row in (r for r in rows() if only in r.name):
        said, right = Counter(), 0
        for seed in range(trials):
            judge.stream(row, 1_000 + seed, QUIET_WINDOWS * WINDOW, DRIFT_WINDOWS * WINDOW)
            causes = verdict(judge.judge(row, 1_000 + seed, WINDOW))
            if is_right(row, causes):
                right += 1
            else:
                said[" + ".join(causes)] += 1
        unsure, silent = said.pop("undetermined", 0), said.pop("nothing", 0)
        others = ", ".join(f"{what} {n}" for what, n in said.most_common()) or "–"
        print(f"| {row.name} | {right} of {trials} | {unsure} | {silent} | {others} |", flush=True)


def pace(judge, seeds):
    """Windows by time, of a hundred records in the reference, and quiet streams with fewer or more in each."""
    seconds = PACES[0] * BETWEEN.total_seconds()
    judge.window = ["--window", f"{seconds:.0f}s"]
    print("| records a window | streams with a false alarm | windows | causes | most often p < 0.01 |")
    print("|---|---|---|---|---|")
    for per in sorted(PACES):
        alarms, windows, causes, small = 0, 0, Counter(), Counter()
        for seed in range(seeds):
            rng = random.Random(f"pace {per} {seed}")
            pool = judge.world.split(seed % SPLITS)[1]
            items = judge.world.draw(Row("nothing", set()), pool, min(3_000, 40 * per), 0, rng)
            judge.world.write(items, judge.work / "stream.jsonl", timedelta(seconds=seconds / per))
            told = judge.judge(Row("nothing", set()), seed, PACES[0])
            alarms += bool(told["alerts"])
            causes.update(named(a["cause"]) for a in told["alerts"])
            windows += len(told["windows"])
            for window in told["windows"]:
                for s in window["statistics"]:
                    if s["p_value"] is not None and s["p_value"] < 0.01:
                        small[" ".join(filter(None, [s["scope"], s["task"], s["signal"], s["segment"]]))] += 1
        named_causes = ", ".join(f"{cause} {n}" for cause, n in causes.most_common()) or "–"
        most = ", ".join(f"{signal} {n}" for signal, n in small.most_common(2))
        print(f"| {per} | {alarms} of {seeds} | {windows} | {named_causes} | {most} |", flush=True)


def together(judge):
    """How much more token counts vary than those of independent tokens, by a window's records: Pearson's X² over its
    degrees of freedom. It owes nothing to driftd."""
    import numpy as np

    world = judge.world
    reference, pool = world.split(0)
    texts = world.tokenizer.encode_batch([text["text"] for text in world.texts])
    ids = [encoding.ids[1:-1] for encoding in texts]

    def counts(of):
        return np.bincount(np.concatenate([ids[i] for i in of]), minlength=VOCABULARY).astype(float)

    every = counts(reference)
    frequent = every >= LEAST_COUNT
    shares = np.append(every[frequent], every[~frequent].sum()) / every.sum()
    rng = np.random.default_rng(1)
    print("\n| records a window | X² of token counts / degrees of freedom |\n|---|---|")
    for per in (1, *sorted(PACES)):
        ratios = []
        for _ in range(200):
            window = counts(rng.choice(pool, per, replace=False))
            expected = window.sum() * shares
            window = np.append(window[frequent], window[~frequent].sum())
            ratios.append(((window - expected) ** 2 / expected).sum() / (len(shares) - 1))
        print(f"| {per} | {np.mean(ratios):.2f} |", flush=True)


def exchange(judge):
    """A permutation test that owes nothing to driftd: lengths, classes and embeddings of a reference and of a stream."""
    import base64

    import numpy as np

    world = judge.world
    clean = [json.loads(line) for line in world.lines("clean")]

    def features(record, text):
        embedding = np.frombuffer(base64.b64decode(record["embedding"]["data_b64"]), "<f2").astype(float)
        scores = record["outputs"]["section"]["scores"]
        more = [len(text["text"]), record["outputs"]["size"]["value"], len(record["outputs"]["terms"]["labels"])]
        return np.concatenate([embedding, scores, record["outputs"]["tags"]["scores"], more])

    every = np.array([features(r, t) for r, t in zip(clean, world.texts)])
    every = (every - every.mean(0)) / every.std(0)
    rng = np.random.default_rng(1)
    print("| stream | largest difference of a mean, p | sum of squared differences, p |\n|---|---|---|")
    for seed in range(2 * SPLITS):
        reference, pool = world.split(seed % SPLITS)
        stream = rng.permutation(pool)[: QUIET + DRIFTING]
        both = every[np.concatenate([reference, stream])]

        def differ(of):
            d = of[: len(reference)].mean(0) - of[len(reference) :].mean(0)
            return np.abs(d).max(), (d**2).sum()

        seen = differ(both)
        by_chance = np.array([differ(both[rng.permutation(len(both))]) for _ in range(199)])
        p = [(1 + (by_chance[:, i] >= seen[i]).sum()) / 200 for i in range(2)]
        print(f"| {seed} | {p[0]:.3f} | {p[1]:.3f} |", flush=True)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model", type=Path)
    arguments.add_argument("driftd")
    arguments.add_argument("what", choices=["detection", "verdicts", "pace", "exchange"])
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--trials", type=int, default=40)
    arguments.add_argument("--only", default="")
    a = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work:
        judge = Judge(a.model, a.driftd, work)
        if a.what == "detection":
            detection(judge, a.seeds, a.only)
        elif a.what == "verdicts":
            verdicts(judge, a.trials, a.only)
        elif a.what == "pace":
            pace(judge, a.seeds)
            together(judge)
        else:
            exchange(judge)


if __name__ == "__main__":
    main()
