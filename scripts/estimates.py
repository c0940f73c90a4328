#!/usr/bin/env python3
"""Accuracy estimated without labels against the realised one, window by window, as `scripts/estimates.sh` runs it.

    estimates.py WORK DATA      WORK holds NAME.jsonl and NAME.labels.jsonl of every stream (examples/assist_records
                                with --all) and NAME.json of `driftd backtest --format json`; DATA its ground_truth.json

Every estimate of a window is made on the rows that have a label for the head, and compared with the accuracy on the
same rows. CBPE is NannyML's at its defaults; it knows binary and multiclass heads only. ATC (Garg et al., ICLR 2022)
is ours: the threshold is put where the reference's share of rows above it is the reference's accuracy, on the
confidence or on the negative entropy. `unchanged` is the reference's accuracy, whatever the window holds: who knows
nothing of the window does as well. Windows with fewer than 30 labels of a head are left out.
"""
import base64
import json
import logging
import sys
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
WINDOW = 250
LEAST_LABELS = 30
METHODS = ["driftd", "CBPE", "ATC, confidence", "ATC, entropy", "unchanged"]


def load(work, name):
    """The labelled rows of each head: place in the stream, probabilities, answer, truth."""
    truth = {}
    for line in open(f"{work}/{name}.labels.jsonl"):
        label = json.loads(line)
        truth[label["prediction_id"], label["task"]] = label.get("label", label.get("labels"))
    heads = {}
    for place, line in enumerate(open(f"{work}/{name}.jsonl")):
        record = json.loads(line)
        for task, output in record["outputs"].items():
            gold = truth.get((record["prediction_id"], task))
            if gold is None:
                continue
            scores = np.frombuffer(base64.b64decode(output["scores"]), "<f4").astype(float)
            answer = output["label"] if "label" in output else tuple(sorted(output["labels"]))
            gold = tuple(sorted(gold)) if isinstance(gold, list) else gold
            heads.setdefault(task, []).append((place, scores, answer, gold))
    return {task: Rows(rows) for task, rows in heads.items()}, place + 1


class Rows:
    def __init__(self, rows):
        place, scores, answer, gold = zip(*rows)
        self.place, self.scores, self.answer, self.gold = np.array(place), np.array(scores), list(answer), list(gold)
        self.right = np.array([a == g for a, g in zip(answer, gold)], float)
        self.sets = isinstance(answer[0], tuple)

    def within(self, window):
        """Which rows lie in a window."""
        return np.flatnonzero(self.place // WINDOW == window)

    def confidence(self):
        # A set is as sure as its least sure label.
        return np.maximum(self.scores, 1 - self.scores).min(1) if self.sets else self.scores.max(1)

    def negative_entropy(self):
        def term(p):
            return p * np.log(np.maximum(p, 1e-12))

        return (term(self.scores) + term(1 - self.scores)).sum(1) if self.sets else term(self.scores).sum(1)

    def frame(self, classes):
        frame = pd.DataFrame(self.scores, columns=[f"p_{name}" for name in classes])
        frame["answer"], frame["gold"] = self.answer, self.gold
        return frame


def cbpe(reference, classes):
    """NannyML's estimator, fitted; `None` for heads that it is not made for."""
    from nannyml import CBPE

    if reference.sets:
        return None
    frame, options = reference.frame(classes), {"y_pred": "answer", "y_true": "gold", "metrics": ["accuracy"]}
    if len(classes) == 2:
        kind, options["y_pred_proba"] = "classification_binary", f"p_{classes[1]}"
        binary = lambda frame: frame.assign(answer=(frame.answer == classes[1]) * 1, gold=(frame.gold == classes[1]) * 1)
    else:
        kind, options["y_pred_proba"] = "classification_multiclass", {name: f"p_{name}" for name in classes}
        binary = lambda frame: frame
    fitted = CBPE(problem_type=kind, chunk_size=WINDOW, **options).fit(binary(frame))

    def estimate(rows, chosen):
        window = binary(rows.frame(classes).iloc[chosen].reset_index(drop=True)).drop(columns="gold")
        told = fitted.estimate(window).filter(period="analysis").to_df()
        assert len(told) == 1, "a window is one chunk"
        return float(told["accuracy", "value"].iloc[0])

    return estimate


def atc(reference, score):
    """The threshold above which the reference's share is its accuracy."""
    ordered, accuracy = np.sort(score(reference)), reference.right.mean()
    threshold = ordered[min(int(round((1 - accuracy) * len(ordered))), len(ordered) - 1)]
    return lambda rows, chosen: float((score(rows)[chosen] >= threshold).mean())


def estimators(reference, classes):
    accuracy = reference.right.mean()
    return {
        "CBPE": cbpe(reference, classes),
        "ATC, confidence": atc(reference, Rows.confidence),
        "ATC, entropy": atc(reference, Rows.negative_entropy),
        "unchanged": lambda rows, chosen: accuracy,
    }


def main(work, data):
    manifest = json.load(open(f"{work}/manifest.yaml"))
    classes = {task["name"]: task["classes"] for task in manifest["tasks"]}
    truths = json.load(open(f"{data}/ground_truth.json"))["streams"]
    fitted, rows_of_table = {}, []
    for name, truth in truths.items():
        if truth["kind"] == "reference":
            continue
        reference = truth.get("reference") or "reference"
        if reference not in fitted:
            heads, _ = load(work, reference)
            fitted[reference] = {task: estimators(rows, classes[task]) for task, rows in heads.items()}
        heads, length = load(work, name)
        told = {p["task"]: p["points"] for p in json.load(open(f"{work}/{name}.json"))["performance"]}
        onset = truth["onset_index"] // WINDOW if truth["verdict"]["should_alarm"] else 0
        for task, rows in heads.items():
            for window in range(onset, length // WINDOW):
                chosen = rows.within(window)
                if len(chosen) < LEAST_LABELS:
                    continue
                realised, point = rows.right[chosen].mean(), told[task][window]
                same = point["labelled"] == len(chosen) and abs(point["realised"] - realised) < 1e-9
                assert same, f"{name}, {task}, window {window}: driftd saw {point}, here {len(chosen)}, {realised}"
                found = {"driftd": point["estimate_of_labelled"]}
                for method, estimate in fitted[reference][task].items():
                    found[method] = estimate(rows, chosen) if estimate else None
                kind = "control" if not truth["verdict"]["should_alarm"] else "drift"
                kind = "concept drift" if truth["kind"] == "concept_drift" else kind
                sampling = 100 * np.sqrt(2 / np.pi * realised * (1 - realised) / len(chosen))
                rows_of_table.append({"stream": name, "window": window, "head": task, "kind": kind,
                                      "labels": len(chosen), "realised": realised, "sampling": sampling, **found})
        print(name, "done", file=sys.stderr)
    table = pd.DataFrame(rows_of_table)
    table.to_csv(f"{work}/estimates.csv", index=False)
    print("| head | windows of | windows, labels in each | realised | " + " | ".join(METHODS) + " | chance |")
    print("|" + "---|" * (len(METHODS) + 5))
    for head in table["head"].unique():
        for kind in ["control", "drift", "concept drift"]:
            part = table[(table["head"] == head) & (table.kind == kind)]
            if part.empty:
                continue
            errors = [100 * (part[m].astype(float) - part.realised).abs().mean() for m in METHODS]
            best = np.nanmin(errors)
            cells = ["–" if np.isnan(e) else f"**{e:.2f}**" if round(e, 2) == round(best, 2) else f"{e:.2f}" for e in errors]
            print(f"| {head} | {kind} | {len(part)}, {part.labels.mean():.0f} | {100 * part.realised.mean():.1f} % | "
                  + " | ".join(cells) + f" | {part.sampling.mean():.2f} |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
